"""`python -m enrichment serve`: the function's answers byte for byte, hostile HTTP, probes, start and drain."""

import asyncio
import base64
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from enrichment.drivers.event_loop import EventLoop
from enrichment.drivers.http_connection import MAX_HEAD_BYTES, HttpConnection
from enrichment.drivers.serve import server

from .conftest import FUNCTION, Function, Tables, Topic, framework_command, running, serve_command

Event = dict[str, Any]


@pytest.fixture(scope="module")
def both(
    environment: dict[str, str], topic: Topic, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Function]]:
    """The function under functions-framework, and under `serve`."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(running(environment, tmp_path_factory.mktemp("both") / "output", command))
            for command in (framework_command, serve_command)
        ]
    topic.dead_letters()  # which other modules do not expect


@pytest.fixture(scope="module")
def served(both: list[Function]) -> Function:
    return both[1]


def connected(function: Function) -> socket.socket:
    host, _, port = function.url.removeprefix("http://").rstrip("/").partition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def exchange(function: Function, sent: bytes) -> bytes:
    """Send bytes, and return all that comes back until the server closes."""
    with connected(function) as connection:
        connection.sendall(sent)
        return received(connection)


def received(connection: socket.socket) -> bytes:
    found = b""
    try:
        while chunk := connection.recv(65536):
            found += chunk
    except ConnectionResetError:  # it closed while there was more to read
        pass
    return re.sub(rb"date: [^\r]*\r\n", b"", found)


def ended_by(connection: socket.socket, end: bytes) -> bytes:
    """Return what comes, up to these bytes."""
    found = b""
    while not found.endswith(end):
        chunk = connection.recv(65536)
        assert chunk, found
        found += chunk
    return found


def pushed(event: Event) -> bytes:
    data = base64.b64encode(json.dumps(event).encode()).decode()
    message = {"data": data, "messageId": "m-1", "publishTime": "2026-03-01T12:00:00Z"}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


def post(body: bytes, *headers: bytes, last: bool = True) -> bytes:
    closing = (b"connection: close",) if last else ()
    lines = (b"POST / HTTP/1.1", b"host: h", *headers, *closing, b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, trailer: bytes = b"") -> bytes:
    pieces = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 50]), body[at : at + 50]) for at in range(0, len(body), 50)
    )
    head = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    return head + pieces + b"0\r\n" + trailer + b"\r\n"


EVENT = {"event_id": "e-both", "user_id": "u-1", "type": "t", "occurred_at": "2026-03-01T11:00:00Z"}
GOOD = pushed(EVENT)
SMUGGLED = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(post(GOOD), id="written"),
        pytest.param(post(pushed({"event_id": "e-bad"})), id="dead-lettered"),
        pytest.param(post(pushed(EVENT | {"user_id": "no-upstream"})), id="retry"),
        pytest.param(post(pushed(EVENT | {"user_id": "denied"})), id="fault"),
        pytest.param(post(b""), id="empty"),
        pytest.param(post(b"{}", b"ce-id: 1"), id="half-a-cloudevent"),
        pytest.param(chunked(GOOD), id="chunked"),
        pytest.param(post(GOOD, b"expect: 100-continue"), id="expect"),
        pytest.param(post(GOOD, last=False) + post(b""), id="pipelined"),
        pytest.param(b"POST / HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(GOOD) + GOOD, id="http-1.0"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", id="get"),
        pytest.param(b"HEAD / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", id="head"),
        pytest.param(b"POST http://h/x?y HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", id="absolute-target"),
        pytest.param(b"no HTTP at all\r\n\r\n", id="no-http"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: h\r\nx y: 1\r\n\r\n", id="no-header"),
        pytest.param(post(SMUGGLED, b"transfer-encoding: chunked"), id="length-and-chunked"),
        pytest.param(post(GOOD, b"content-length: 1"), id="two-lengths"),
        pytest.param(post(GOOD, b"transfer-encoding: chunked, x"), id="chunked-not-last"),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", id="no-chunk-size"
        ),
    ],
)  # fmt: skip
def test_the_answer_is_the_functions_byte_for_byte(both: list[Function], sent: bytes) -> None:
    ours, framework = (exchange(function, sent) for function in reversed(both))
    assert ours == framework
    assert ours.startswith((b"HTTP/1.1 ", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 "))


def test_a_405_names_the_method_that_is_taken(both: list[Function]) -> None:
    for function in both:
        found = exchange(
            function, b"PUT / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        assert found.startswith(b"HTTP/1.1 405 ")
        assert b"\r\nallow: POST\r\n" in found


def test_what_is_hidden_in_a_body_is_not_served_as_a_request(served: Function) -> None:
    """Request smuggling: two framings in one request are refused, and what follows is not read."""
    found = exchange(served, post(b"0\r\n\r\n" + post(GOOD), b"transfer-encoding: chunked", last=False))
    assert found.count(b"HTTP/1.1 ") == 1
    assert found.startswith(b"HTTP/1.1 400 ")


def test_a_pipelined_request_waits_for_the_one_before(served: Function, tables: Tables) -> None:
    events = [EVENT | {"event_id": f"e-pipelined-{number}"} for number in range(3)]
    found = exchange(served, b"".join(post(pushed(one), last=one is events[-1]) for one in events))
    assert found.count(b"HTTP/1.1 200 OK") == 3
    assert [len(tables.rows(str(one["event_id"]))) for one in events] == [1, 1, 1]


@pytest.mark.parametrize("path", ["/live", "/ready"])
@pytest.mark.parametrize(("method", "body"), [("GET", b"OK"), ("HEAD", b"")])
def test_probes_are_answered_without_a_line_in_the_log(
    served: Function, path: str, method: str, body: bytes
) -> None:
    served.new_lines()
    found = exchange(served, f"{method} {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".encode())
    head, _, text = found.partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], text) == (b"HTTP/1.1 200 OK", body)
    assert served.new_lines() == []


@pytest.mark.parametrize("command", [framework_command, serve_command])
def test_what_follows_an_upgrade_is_not_served_as_a_request(
    both: list[Function], tables: Tables, command: object
) -> None:
    """Request smuggling: the parser takes such a head for the end of HTTP, and a body for the next request."""
    hidden = post(pushed(EVENT | {"event_id": "e-hidden"}))
    upgrade = (b"connection: upgrade", b"upgrade: h2c")
    with connected(both[command is serve_command]) as connection:
        connection.sendall(post(hidden, *upgrade, last=False).removesuffix(hidden))
        found = ended_by(connection, b"received.")
        with suppress(OSError):  # it has closed
            connection.sendall(hidden)
        found += received(connection)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert found.count(b"HTTP/1.1 ") == 1
    assert tables.rows("e-hidden") == []


@pytest.mark.parametrize("command", [framework_command, serve_command])
def test_a_trailer_is_no_header(both: list[Function], command: object) -> None:
    """What checks the headers of a request on its way has not seen it."""
    found = exchange(both[command is serve_command], chunked(GOOD, b"ce-id: 1\r\n"))
    assert found.startswith(b"HTTP/1.1 200 ")


_CHUNKED = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "rest"),
    [
        pytest.param(b"GET /", b"a", id="target"),
        pytest.param(b"POST / HTTP/1.1\r\nx: ", b"a", id="header"),
        pytest.param(b"POST / HTTP/1.1\r\n", b"x: y\r\n", id="headers"),
        pytest.param(_CHUNKED + b"2\r\n{}\r\n0\r\nx: ", b"a", id="trailer"),
        pytest.param(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"x: y\r\n", id="trailers"),
        pytest.param(_CHUNKED + b"2;x=", b"a", id="chunk-extension"),
    ],
)
@pytest.mark.parametrize("command", [framework_command, serve_command])
def test_what_brings_a_request_no_further_has_an_end(
    both: list[Function], command: object, begin: bytes, rest: bytes
) -> None:
    function = both[command is serve_command]
    with connected(function) as connection:
        connection.sendall(begin)
        exchange(function, post(b""))  # so that it has arrived by itself
        connection.sendall((rest * (MAX_HEAD_BYTES + 1))[: MAX_HEAD_BYTES + 1])
        assert received(connection).startswith(b"HTTP/1.1 431 ")


def test_a_head_that_begins_behind_a_large_body_is_not_refused(served: Function) -> None:
    with connected(served) as connection:
        connection.sendall(post(b"x" * 200_000, last=False) + post(b"")[:5])
        assert ended_by(connection, b"OK").startswith(b"HTTP/1.1 200 ")
        connection.sendall(post(b"")[5:])
        assert received(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("command", [framework_command, serve_command])
def test_a_connection_with_too_many_requests_at_once_is_closed(both: list[Function], command: object) -> None:
    request = b"GET /live HTTP/1.1\r\nhost: h\r\n\r\n"
    assert exchange(both[command is serve_command], request * 1_000).count(b"HTTP/1.1 ") < 1_000


@pytest.mark.parametrize("command", [framework_command, serve_command])
def test_a_client_that_goes_with_requests_waiting_leaves_no_traceback(
    both: list[Function], command: object
) -> None:
    function = both[command is serve_command]
    function.new_lines()
    with connected(function) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(post(GOOD, last=False) * 3)
    lines: list[str] = []
    while not any('"written"' in line for line in lines):
        lines += function.new_lines()  # a poll, ended by the line
    exchange(function, post(b""))
    for line in lines + function.new_lines():
        json.loads(line)


def test_the_attributes_of_the_largest_message_fit_into_a_head(served: Function, tables: Tables) -> None:
    """Pub/Sub's limits: 100 attributes, 1,024 bytes for a value. What arrives in one piece is not held to the limit."""
    metadata = [b"x-goog-pubsub-message-id: m-large", b"x-goog-pubsub-publish-time: 2026-03-01T12:00:00Z"]
    attributes = [b"a%d: " % number + b"v" * 500 for number in range(100)]
    event = EVENT | {"event_id": "e-large-head"}
    found = exchange(served, post(json.dumps(event).encode(), *metadata, *attributes))
    assert found.startswith(b"HTTP/1.1 200 ")
    assert len(tables.rows("e-large-head")) == 1


@pytest.mark.parametrize("command", [framework_command, serve_command])
def test_a_body_that_is_cut_off_is_one_line_and_no_traceback(both: list[Function], command: object) -> None:
    function = both[command is serve_command]
    function.new_lines()
    with connected(function) as connection:
        connection.sendall(post(GOOD)[:-1])
    while not (lines := function.new_lines()):
        pass  # a poll, ended by the line; the test's time limit is the run's
    (line,) = (json.loads(line) for line in lines)
    assert line["logging.googleapis.com/labels"]["reason"] == "request_incomplete"


@pytest.mark.parametrize(
    "sent", [b"", b"POST / HT", post(GOOD)[:-1]], ids=["nothing", "half-a-head", "half-a-body"]
)
def test_a_request_that_does_not_arrive_in_time_is_closed(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "_REQUEST_S", -1.0)

    async def application(scope: object, receive: Any, send: object) -> None:  # noqa: ANN401
        while (await receive())["type"] != "http.disconnect":
            pass

    async def closed_by_server() -> bytes:
        listening = server.listen(server.Address("127.0.0.1", 0))
        config = uvicorn.Config(application, http=HttpConnection, lifespan="off", ws="none", log_config=None)
        serving = server._Server(config, 0, list[str]().append)
        task = asyncio.create_task(serving.serve([listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(sent)
        found = await reader.read()
        serving.should_exit = True
        writer.close()
        await task
        return found

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        assert runner.run(closed_by_server()) == b""


InProcess = Callable[[object, float], tuple[server._Server, socket.socket, list[str]]]


@pytest.fixture
def in_process() -> InProcess:
    """Make a server of an application in this process; gives its listening socket and what it reports, too."""

    def make(application: object, drain_s: float) -> tuple[server._Server, socket.socket, list[str]]:
        config = uvicorn.Config(
            cast("Any", application), http=HttpConnection, lifespan="off", ws="none", log_config=None
        )
        reports: list[str] = []
        serving = server._Server(config, drain_s, reports.append)
        return serving, server.listen(server.Address("127.0.0.1", 0)), reports

    return make


def test_a_client_that_does_not_take_its_response_is_disconnected(
    monkeypatch: pytest.MonkeyPatch, in_process: InProcess
) -> None:
    monkeypatch.setattr(server, "_REQUEST_S", -1.0)

    async def application(scope: object, receive: Any, send: Any) -> None:  # noqa: ANN401
        await receive()
        body = b"x" * 50_000_000
        length = b"%d" % len(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})

    async def serve() -> None:
        serving, listening, _ = in_process(application, 0)
        with socket.socket() as client:
            client.connect(listening.getsockname())
            client.sendall(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
            task = asyncio.create_task(serving.serve([listening]))
            while not serving.server_state.connections:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0)
            while serving.server_state.connections:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)  # a poll, ended by the server
            serving.should_exit = True
            await task

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        runner.run(serve())


def test_a_connection_that_was_just_being_accepted_does_not_hold_up_the_drain(in_process: InProcess) -> None:
    async def drain() -> list[str]:
        loop = asyncio.get_running_loop()
        serving, listening, reports = in_process(None, 3)
        task = asyncio.create_task(serving.serve([listening]))
        while not serving.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        with socket.create_server(("127.0.0.1", 0)) as other, socket.create_connection(other.getsockname()):
            accepted, _ = other.accept()
            stopping = asyncio.create_task(serving.shutdown([listening]))
            for _ in range(3):  # uvicorn has closed what was open
                await asyncio.sleep(0)
            await loop.connect_accepted_socket(
                lambda: HttpConnection(serving.config, serving.server_state, {}), accepted
            )
            await stopping
        serving.should_exit = True
        await task
        assert not serving.server_state.connections
        return reports

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        assert runner.run(drain()) == []


class _Process:
    """A `serve` of its own, to be ended by the test."""

    def __init__(self, environment: dict[str, str], output: Path, **env: str) -> None:
        self.output = output
        with output.open("w") as out:
            self.process = subprocess.Popen(
                serve_command(0), env=environment | env, cwd=FUNCTION, stdout=out, stderr=subprocess.STDOUT
            )
        while (found := re.search(r"listens on 127.0.0.1 port (\d+)", output.read_text())) is None:
            assert self.process.poll() is None, output.read_text()
        self.url = f"http://127.0.0.1:{found[1]}/"

    @property
    def function(self) -> Function:
        return Function(self.url, self.output)

    def end(self) -> int:
        try:
            return self.process.wait(timeout=20)
        finally:
            self.process.kill()


def test_a_signal_ends_it_once_what_is_under_way_has_its_answer(
    environment: dict[str, str], tmp_path: Path, tables: Tables
) -> None:
    process = _Process(environment, tmp_path / "output", SERVE_DRAIN_S="20")
    request = post(pushed(EVENT | {"event_id": "e-drained"}), last=False)
    with connected(process.function) as idle, connected(process.function) as busy:
        idle.sendall(post(b"", last=False))
        assert ended_by(idle, b"headers of a delivery").startswith(b"HTTP/1.1 400 ")
        busy.sendall(b"GET /live HTTP/1.1\r\nhost: h\r\n\r\n")
        assert ended_by(busy, b"OK").startswith(b"HTTP/1.1 200 ")
        busy.sendall(request[:-1])
        exchange(process.function, post(b""))  # so that the first part has arrived
        process.process.send_signal(signal.SIGTERM)
        assert idle.recv(65536) == b""  # an idle connection is closed, a busy one is not
        with pytest.raises(ConnectionRefusedError):
            connected(process.function)
        busy.sendall(request[-1:])
        found = received(busy)
    assert found.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in found
    assert process.end() == 0
    assert len(tables.rows("e-drained")) == 1


def test_what_outlasts_the_drain_is_answered_503_so_that_it_comes_again(
    environment: dict[str, str], tmp_path: Path
) -> None:
    process = _Process(environment, tmp_path / "output", SERVE_DRAIN_S="0")
    with connected(process.function) as connection:
        connection.sendall(post(GOOD, last=False)[:-1])
        exchange(process.function, post(b""))
        process.process.send_signal(signal.SIGTERM)
        found = received(connection)
    assert found.startswith(b"HTTP/1.1 503 ")
    assert process.end() == 0
    lines = [json.loads(line)["message"] for line in process.output.read_text().splitlines()]
    assert any("1 requests had not ended 0 s after the signal" in line for line in lines)


def started(environment: dict[str, str], *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "enrichment", "serve", *arguments],
        cwd=FUNCTION, env=environment | env, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_all_settings_that_are_wrong_are_named_at_once(environment: dict[str, str]) -> None:
    inherited = {"PATH": os.environ["PATH"]}
    done = started(inherited, PORT="http", SERVE_DRAIN_S="-1", BIGQUERY_TABLE="t")
    assert done.returncode == 2
    assert done.stdout == ""
    for name in ("PORT", "SERVE_DRAIN_S", "BIGQUERY_TABLE", "GKE_GATEWAY_URL", "DEAD_LETTER_TOPIC"):
        assert f"\n  - {name} " in done.stderr
    assert "Traceback" not in done.stderr
    lookup = started(inherited, "--lookup")
    assert lookup.returncode == 2
    assert "GKE_GATEWAY_URL" in lookup.stderr
    assert "BIGQUERY_TABLE" not in lookup.stderr


def test_a_port_that_is_taken_is_one_sentence(environment: dict[str, str], served: Function) -> None:
    port = served.url.rpartition(":")[2].rstrip("/")
    done = started(environment, "--host", "127.0.0.1", "--port", port)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"python -m enrichment serve: cannot listen on 127.0.0.1 port {port}: ")


def test_it_starts_without_a_web_framework_and_without_the_other_commands() -> None:
    code = "import sys; from enrichment import __main__; import enrichment.drivers.serve.server; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], cwd=FUNCTION, capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert not loaded & {
        "enrichment.redrive", "enrichment.commands", "flask", "functions_framework", "gunicorn", "starlette",
        "google.cloud.pubsub_v1", "grpc", "httpx", "cryptography",
    }  # fmt: skip


@pytest.mark.parametrize("package", ["uvicorn", "httptools"])
def test_a_missing_extra_is_one_sentence(package: str) -> None:
    hidden = f"import sys; sys.modules[{package!r}] = None"
    code = f"{hidden}; from enrichment.__main__ import main; sys.exit(main(['serve']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FUNCTION, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        f'python -m enrichment serve: {package} is not installed. Run `pip install "./function[serve]"` in a clone.\n'
    )
