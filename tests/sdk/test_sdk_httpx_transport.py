# ruff: noqa: ANN401
"""A plain httpx client over the mesh: pinning, tokens, limits, retries and errors, and nothing to another host."""

import asyncio
import gzip
import itertools
import pickle
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import meshpass
import pytest
from meshpass._adapters.library_errors import NAMES, combined, names_for
from meshpass.testing import FakeGateway, Reply

from .conftest import Authority, RawServer, Seen, Server

ORIGIN = "http://user-profile.internal"


@dataclass
class Plain:
    """Either of httpx's clients, called in the same way."""

    request: Callable[..., httpx.Response]
    http: httpx.Client | httpx.AsyncClient


Over = Callable[..., Plain]


def silent(connection: socket.socket) -> None:
    """Read until the peer closes, and send nothing."""
    while connection.recv(1000):
        pass


def greet(connection: socket.socket) -> None:
    """Greet as a server of another protocol."""
    connection.recv(4096)
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")


@pytest.fixture(params=["sync", "async"])
def over(request: pytest.FixtureRequest, auth: meshpass.SignedJWT) -> Iterator[Over]:
    """Build one of httpx's clients over a transport; a test that uses this runs once with each."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def build(
            address: str, origin: str = ORIGIN, http: dict[str, Any] | None = None, **kwargs: Any
        ) -> Plain:
            kwargs.setdefault("auth", auth)
            options = {"base_url": origin, "timeout": None, **(http or {})}
            if request.param == "sync":
                transport = meshpass.httpx_transport(origin, address=address, **kwargs)
                blocking = stack.enter_context(httpx.Client(transport=transport, **options))
                return Plain(blocking.request, blocking)
            other = meshpass.AsyncTransport(origin, address=address, **kwargs)
            client = httpx.AsyncClient(transport=other, **options)
            stack.callback(lambda: runner.run(client.aclose()))
            return Plain(lambda *args, **values: runner.run(client.request(*args, **values)), client)

        yield build


def test_a_request_carries_the_name_the_token_and_what_the_caller_of_httpx_wrote(
    over: Over, server: Server, auth: meshpass.SignedJWT
) -> None:
    plain = over(server.address)

    response = plain.request("POST", "/a%2Fb/c;v=1?q=x+y&q=%C3%BC&e=", json={"a": 1}, headers={"X-Mine": "1"})

    (seen,) = server.seen
    assert (seen.method, seen.target, seen.body) == ("POST", "/a%2Fb/c;v=1?q=x+y&q=%C3%BC&e=", b'{"a":1}')
    assert seen.headers["host"] == "user-profile.internal"
    assert seen.headers["authorization"] == f"Bearer {auth.token().value}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["x-mine"] == "1"
    assert seen.headers["user-agent"].startswith("python-httpx/")
    assert 0 < int(seen.headers["x-request-timeout-ms"]) <= 10_000
    assert (response.status_code, response.json(), response.http_version) == (200, {}, "HTTP/1.1")
    assert response.is_closed
    assert response.elapsed.total_seconds() > 0
    assert "authorization" not in response.request.headers


def test_tls_checks_the_virtual_name_and_not_the_address(
    over: Over, serve: Callable[..., Server], ca: Authority
) -> None:
    server = serve(ca.context("user-profile.internal"))

    good = over(server.address, "https://user-profile.internal", ca_file=ca.file)
    assert good.request("GET", "/").status_code == 200
    assert server.seen[0].sni == "user-profile.internal"

    other = over(server.address, "https://other.internal", ca_file=ca.file)
    with pytest.raises(meshpass.GatewayTLSError) as failed:
        other.request("GET", "/")
    assert isinstance(failed.value, httpx.ConnectError)


def test_a_redirect_to_another_host_is_refused_and_no_token_goes_there(
    over: Over, serve: Callable[..., Server]
) -> None:
    server, foreign = serve(), serve()
    server.answer = lambda _: (302, {"location": f"http://{foreign.address}/steal"}, b"")
    plain = over(server.address, http={"follow_redirects": True})

    with pytest.raises(meshpass.InvalidRequest, match="never sent to another origin") as refused:
        plain.request("GET", "/")

    assert isinstance(refused.value, httpx.LocalProtocolError)
    assert refused.value.request.url.host == "127.0.0.1"
    assert foreign.seen == []


def test_a_redirect_within_the_service_is_followed_by_httpx(over: Over, server: Server) -> None:
    server.answer = lambda seen: (
        (302, {"location": "/b"}, b"") if seen.target == "/a" else (200, {}, b"there")
    )
    plain = over(server.address, http={"follow_redirects": True})

    assert plain.request("GET", "/a").text == "there"


@pytest.mark.parametrize(
    "url",
    [
        "https://user-profile.internal/",
        "http://user-profile.internal:81/",
        "http://user-profile.internal.evil.test/",
        "http://127.0.0.1/",
        "http://evil.test/",
    ],
)
def test_another_origin_is_refused(over: Over, server: Server, url: str) -> None:
    with pytest.raises(meshpass.InvalidRequest, match="never sent to another origin"):
        over(server.address).request("GET", url)

    assert server.seen == []


@pytest.mark.parametrize(
    "target",
    [
        *(b"/a\r\nx: y", b"/a\nb", b"/a b", b"/%2e%2e/admin", b"/a/..", b"/./a", b"/.%2E/a", b"//evil.test/"),
        *(
            b"http://evil.test/",
            b"*",
            b"a",
            b"",
            b"/a#b",
            b"/a?b#c",
            b"/a\\b",
            b"/%zz",
            b"/a?%",
            b"/\xc3\xbc",
            b"/a\x00",
        ),
    ],
)
def test_a_target_that_is_not_safe_as_it_is_is_refused(over: Over, server: Server, target: bytes) -> None:
    with pytest.raises(meshpass.InvalidRequest, match=r"The path"):
        over(server.address).request("GET", "/", extensions={"target": target})

    assert server.seen == []


def test_a_path_outside_of_the_base_path_is_refused(auth: meshpass.SignedJWT, server: Server) -> None:
    transport = meshpass.Transport(f"{ORIGIN}/v2", auth=auth, address=server.address)
    with httpx.Client(transport=transport, base_url=f"{ORIGIN}/v2") as plain:
        assert plain.get("/profile").status_code == 200
        assert plain.get("?q=1").status_code == 200
        for path in ("/v1/profile", "/v20", "/"):
            with pytest.raises(meshpass.InvalidRequest, match="not below /v2"):
                plain.get(f"{ORIGIN}{path}")

    assert [seen.target for seen in server.seen] == ["/v2/profile", "/v2/?q=1"]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Authorization": "Bearer mine-0123456789"}, "Authorization header"),
        ({"Host": "other.internal"}, "Host header differs"),
        ({"X-Bad": b"a\r\nb: c"}, "line breaks"),
        ({"X-Bad": b"\xfc"}, "non-ASCII"),
        ({b"X Bad": b"a"}, "header name"),
    ],
)
def test_a_header_that_is_not_the_callers_to_set_or_not_safe_is_refused(
    over: Over, server: Server, headers: dict[Any, Any], words: str
) -> None:
    with pytest.raises(meshpass.InvalidRequest, match=words) as refused:
        over(server.address).request("GET", "/", headers=headers)

    assert isinstance(refused.value, httpx.LocalProtocolError)
    assert "mine" not in str(refused.value)
    assert server.seen == []


def test_httpx_own_auth_is_refused_where_nothing_takes_its_header(
    over: Over, server: Server, auth: meshpass.SignedJWT
) -> None:
    with pytest.raises(meshpass.InvalidRequest, match="Authorization header"):
        over(server.address).request("GET", "/", auth=auth)


def test_an_authorization_of_the_caller_may_go_in_another_header(
    over: Over, server: Server, auth: meshpass.SignedJWT
) -> None:
    plain = over(server.address, authorization_header="X-User-Authorization")

    plain.request("GET", "/", headers={"Authorization": "Bearer mine"})

    (seen,) = server.seen
    assert seen.headers["x-user-authorization"] == "Bearer mine"
    assert seen.headers["authorization"] == f"Bearer {auth.token().value}"


@pytest.mark.parametrize("name", ["Authorization", "Host", "cookie", "a b", "", "content-length", "x\r\ny"])
def test_a_header_that_cannot_take_an_authorization_is_refused(auth: meshpass.SignedJWT, name: str) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="authorization_header"):
        meshpass.Transport(ORIGIN, auth=auth, address="127.0.0.1:9", authorization_header=name)


def test_cookies_are_kept_by_httpx_alone(over: Over, server: Server) -> None:
    numbers = itertools.count()

    def answer(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        return 200, {"set-cookie": f"n={next(numbers)}"}, seen.headers.get("cookie", "").encode()

    server.answer = answer
    plain = over(server.address)

    assert [plain.request("GET", "/").text for _ in range(3)] == ["", "n=0", "n=1"]
    plain.http.cookies.clear()
    assert plain.request("GET", "/").text == ""


def test_cookies_of_a_client_that_was_given_stay_with_it(auth: meshpass.SignedJWT, server: Server) -> None:
    server.answer = lambda seen: (200, {"set-cookie": "mine=1"}, seen.headers.get("cookie", "").encode())
    with meshpass.Client(ORIGIN, auth=auth, address=server.address) as client:
        client.get("/")
        with httpx.Client(transport=meshpass.Transport(client)) as plain:
            assert plain.get(f"{ORIGIN}/").text == ""
        assert client.get("/").text == "mine=1"


def test_a_body_is_decoded_within_the_limit(over: Over, server: Server) -> None:
    packed = gzip.compress(b"x" * 5000)
    server.answer = lambda _: (200, {"content-encoding": "gzip", "content-length": str(len(packed))}, packed)

    response = over(server.address).request("GET", "/")

    assert response.content == b"x" * 5000
    assert set(server.seen[0].headers["accept-encoding"].split(", ")) <= {"gzip", "deflate"}
    with pytest.raises(meshpass.BadResponse, match="larger than 4000") as failed:
        over(server.address, max_response_bytes=4000).request("GET", "/")
    assert isinstance(failed.value, httpx.DecodingError)


def test_only_codings_that_are_decoded_here_are_asked_for(over: Over, server: Server) -> None:
    plain = over(server.address)

    for value in ("br, zstd", "gzip;q=0.5, br", "identity"):
        plain.request("GET", "/", headers={"accept-encoding": value})

    assert [seen.headers["accept-encoding"] for seen in server.seen] == ["identity", "gzip;q=0.5", "identity"]


def test_only_idempotent_methods_are_retried(over: Over) -> None:
    with FakeGateway() as gateway:
        plain = over(
            gateway.address, gateway.base_url, auth=gateway.auth(), retry=meshpass.RetryPolicy(backoff_s=0)
        )
        gateway.fail(2)
        assert plain.request("GET", "/").status_code == 200
        assert len(gateway.requests) == 3

        gateway.fail(1)
        with pytest.raises(meshpass.UpstreamUnavailable) as failed:
            plain.request("POST", "/", content=b"x")
        assert isinstance(failed.value, httpx.ProxyError)
        assert len(gateway.requests) == 4


def test_what_the_mesh_refuses_is_an_error_and_what_the_service_says_is_a_response(over: Over) -> None:
    with FakeGateway() as gateway:
        plain = over(gateway.address, gateway.base_url, auth=gateway.auth())
        gateway.service = lambda _: Reply.json({"error": "mine"}, 403)
        assert plain.request("GET", "/").status_code == 403

        gateway.allow = lambda _: False
        with pytest.raises(meshpass.NotAllowed) as refused:
            plain.request("GET", "/x?y=1")
        error = refused.value
        assert isinstance(error, httpx.ProxyError)
        assert (error.status, error.answered_by, error.request.url.path) == (403, "gateway", "/x")
        assert "/x" not in str(error)


def test_no_connection_is_httpx_connect_error(over: Over) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    plain = over(address, retry=meshpass.RetryPolicy(attempts=1))

    with pytest.raises(httpx.ConnectError) as failed:
        plain.request("GET", "/")

    assert isinstance(failed.value, meshpass.GatewayUnreachable)
    assert failed.value.request.url == f"{ORIGIN}/"


def test_a_connection_that_breaks_is_httpx_remote_protocol_error(raw_server: RawServer, over: Over) -> None:
    def break_off(connection: socket.socket) -> None:
        connection.recv(10)

    address = raw_server(break_off)

    with pytest.raises(httpx.RemoteProtocolError) as failed:
        over(address).request("POST", "/")

    assert failed.value.code == "connection_lost"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("timeout_s", "timeout", "said"),
    [
        (10.0, 0.2, "within 0.2 s"),
        (0.2, 10.0, "within 0.2 s"),
        (0.2, None, "within 0.2 s"),
        (10.0, httpx.Timeout(10, read=0.2), "within 0.2 s"),
        (0.2, httpx.Timeout(10, read=None), "within 0.2 s"),
    ],
)
def test_the_smaller_of_both_limits_counts_for_the_whole_call(
    raw_server: RawServer, over: Over, timeout_s: float, timeout: Any, said: str
) -> None:
    address = raw_server(silent)

    with pytest.raises(httpx.ReadTimeout, match=said) as failed:
        over(address, timeout_s=timeout_s).request("GET", "/", timeout=timeout)

    assert isinstance(failed.value, meshpass.MeshTimeout)


@pytest.mark.parametrize(
    ("connect_timeout_s", "timeout"),
    [(20.0, httpx.Timeout(30, connect=0.2)), (0.2, httpx.Timeout(30, connect=20)), (0.2, None)],
)
def test_the_smaller_of_both_limits_counts_for_connecting(
    over: Over, full_address: str, connect_timeout_s: float, timeout: Any
) -> None:
    plain = over(
        full_address,
        timeout_s=30,
        connect_timeout_s=connect_timeout_s,
        retry=meshpass.RetryPolicy(attempts=1),
    )

    with pytest.raises(httpx.ConnectError, match=r"no connection within 0\.2 s"):
        plain.request("GET", "/", timeout=timeout)


@pytest.mark.parametrize("limit", ["5", [1], -1, float("nan"), True])
@pytest.mark.parametrize("name", ["connect", "read"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(
    over: Over, server: Server, name: str, limit: Any
) -> None:
    limits = {"connect": 5, "read": 5, "write": 5, "pool": 5, name: limit}

    with pytest.raises(httpx.LocalProtocolError, match=r"The time limit is .*a number of seconds above 0"):
        over(server.address).request("GET", "/", timeout=httpx.Timeout(**limits))
    assert not server.seen


def test_a_streamed_body_and_a_multipart_form_are_sent(over: Over, server: Server) -> None:
    plain = over(server.address)

    plain.request("POST", "/", files={"f": ("a.txt", b"content of a file")}, data={"k": "v"})

    (seen,) = server.seen
    assert b"content of a file" in seen.body
    assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")


def test_a_generator_is_sent(auth: meshpass.SignedJWT, server: Server) -> None:
    with httpx.Client(transport=meshpass.Transport(ORIGIN, auth=auth, address=server.address)) as plain:
        assert plain.post(f"{ORIGIN}/", content=iter([b"a", b"b"])).status_code == 200

    assert server.seen[0].body == b"ab"


PACKED = gzip.compress(bytes(range(256)) * 400)


def in_pieces(head: bytes, *pieces: bytes) -> Callable[[socket.socket], None]:
    """Answer each request with a head, and with pieces of a body that come after it."""

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
            for piece in pieces:
                time.sleep(0.02)  # so that the head comes alone
                connection.sendall(piece)

    return serve


GZIPPED = in_pieces(b"content-encoding: gzip\r\ncontent-length: %d" % len(PACKED), PACKED[:100], PACKED[100:])


def test_a_body_that_comes_after_its_head_is_read_by_a_plain_call(raw_server: RawServer, over: Over) -> None:
    response = over(raw_server(GZIPPED)).request("GET", "/")

    assert response.content == bytes(range(256)) * 400
    assert response.is_closed


def test_a_response_can_be_streamed(auth: meshpass.SignedJWT, raw_server: RawServer) -> None:
    arrived = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
        assert arrived.wait(20)
        connection.sendall(b"cd")
        silent(connection)

    transport = meshpass.Transport(ORIGIN, auth=auth, address=raw_server(serve), timeout_s=30)
    with (
        httpx.Client(transport=transport, timeout=None) as plain,
        plain.stream("GET", f"{ORIGIN}/") as response,
    ):
        parts = response.iter_bytes()
        # The rest is sent only after this part was read.
        assert next(parts) == b"ab"
        arrived.set()
        assert b"".join(parts) == b"cd"


def test_a_streamed_body_comes_raw_or_decoded(auth: meshpass.SignedJWT, raw_server: RawServer) -> None:
    with httpx.Client(transport=meshpass.Transport(ORIGIN, auth=auth, address=raw_server(GZIPPED))) as plain:
        with plain.stream("GET", f"{ORIGIN}/") as response:
            assert b"".join(response.iter_raw()) == PACKED
        with plain.stream("GET", f"{ORIGIN}/") as response:
            assert {len(part) for part in response.iter_bytes(1024)} == {1024}
            assert response.num_bytes_downloaded == len(PACKED)


async def _stream(auth: meshpass.SignedJWT, address: str) -> tuple[bytes, bytes]:
    transport = meshpass.AsyncTransport(ORIGIN, auth=auth, address=address)
    async with httpx.AsyncClient(transport=transport) as plain:
        async with plain.stream("GET", f"{ORIGIN}/") as response:
            raw = b"".join([part async for part in response.aiter_raw()])
        async with plain.stream("GET", f"{ORIGIN}/") as response:
            return raw, b"".join([part async for part in response.aiter_bytes()])


def test_an_async_client_streams_raw_or_decoded(auth: meshpass.SignedJWT, raw_server: RawServer) -> None:
    assert asyncio.run(_stream(auth, raw_server(GZIPPED))) == (PACKED, bytes(range(256)) * 400)


@pytest.mark.parametrize(
    ("serve", "limits", "error"),
    [
        (in_pieces(b"content-length: 9", b"ab"), {"timeout_s": 0.3}, httpx.ReadTimeout),
        (in_pieces(b"transfer-encoding: chunked", b"zz\r\n"), {}, httpx.RemoteProtocolError),
        (GZIPPED, {"max_response_bytes": 20_000}, httpx.DecodingError),
        (in_pieces(b"content-encoding: gzip\r\ncontent-length: 2", b"ab"), {}, httpx.DecodingError),
        (greet, {}, httpx.RemoteProtocolError),
    ],
    ids=["late", "broken", "too large", "not decodable", "not HTTP"],
)
def test_a_body_that_fails_after_its_head_is_an_error_of_both(
    raw_server: RawServer,
    over: Over,
    serve: Callable[[socket.socket], None],
    limits: dict[str, Any],
    error: type[Exception],
) -> None:
    with pytest.raises(error) as failed:
        over(raw_server(serve), **limits).request("GET", "/")

    assert isinstance(failed.value, meshpass.MeshError)
    assert failed.value.request.url == f"{ORIGIN}/"  # type: ignore[attr-defined]


def test_a_raw_body_that_fails_is_an_error_of_both(raw_server: RawServer, auth: meshpass.SignedJWT) -> None:
    address = raw_server(in_pieces(b"content-length: 9", b"ab"))
    with httpx.Client(
        transport=meshpass.Transport(ORIGIN, auth=auth, address=address, timeout_s=0.3)
    ) as plain:
        with plain.stream("GET", f"{ORIGIN}/") as response, pytest.raises(httpx.ReadTimeout) as failed:
            list(response.iter_raw())
        assert isinstance(failed.value, meshpass.MeshTimeout)

    async def stream() -> None:
        transport = meshpass.AsyncTransport(ORIGIN, auth=auth, address=address, timeout_s=0.3)
        async with (
            httpx.AsyncClient(transport=transport) as client,
            client.stream("GET", f"{ORIGIN}/") as response,
        ):
            _ = [part async for part in response.aiter_raw()]

    with pytest.raises(httpx.ReadTimeout) as failed:
        asyncio.run(stream())
    assert isinstance(failed.value, meshpass.MeshTimeout)


def test_what_the_body_of_a_request_raises_leaves_the_call_as_it_is(
    auth: meshpass.SignedJWT, server: Server
) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("mine")

    transport = meshpass.Transport(ORIGIN, auth=auth, address=server.address)
    with httpx.Client(transport=transport) as plain, pytest.raises(LookupError, match="mine"):
        plain.post(f"{ORIGIN}/", content=body())


def test_a_transport_closes_what_it_made_and_nothing_else(auth: meshpass.SignedJWT, server: Server) -> None:
    made = meshpass.httpx_transport(ORIGIN, auth=auth, address=server.address)
    with httpx.Client(transport=made, base_url=ORIGIN) as plain:
        plain.get("/")
    with pytest.raises(RuntimeError, match="closed"):
        made.handle_request(httpx.Request("GET", f"{ORIGIN}/"))

    with meshpass.Client(ORIGIN, auth=auth, address=server.address) as client:
        with httpx.Client(transport=meshpass.Transport(client), base_url=ORIGIN) as plain:
            plain.get("/")
        assert client.get("/").status_code == 200


async def _async_close(auth: meshpass.SignedJWT, address: str) -> None:
    made = meshpass.async_httpx_transport(ORIGIN, auth=auth, address=address)
    async with httpx.AsyncClient(transport=made, base_url=ORIGIN) as plain:
        await plain.get("/")
    with pytest.raises(RuntimeError, match="closed"):
        await made.handle_async_request(httpx.Request("GET", f"{ORIGIN}/"))

    async with meshpass.AsyncClient(ORIGIN, auth=auth, address=address) as client:
        async with httpx.AsyncClient(transport=meshpass.AsyncTransport(client), base_url=ORIGIN) as plain:
            await plain.get("/")
        assert (await client.get("/")).status_code == 200


def test_an_async_transport_closes_what_it_made_and_nothing_else(
    auth: meshpass.SignedJWT, server: Server
) -> None:
    asyncio.run(_async_close(auth, server.address))


def test_a_transport_is_built_from_the_environment(tmp_path: Path) -> None:
    with FakeGateway() as gateway:
        environ = gateway.environ(tmp_path)
        with httpx.Client(
            transport=meshpass.Transport.from_env(environ, timeout_s=3), base_url=gateway.base_url
        ) as plain:
            assert plain.get("/").status_code == 200

        async def call() -> int:
            transport = meshpass.AsyncTransport.from_env(environ)
            async with httpx.AsyncClient(transport=transport, base_url=gateway.base_url) as client:
                return (await client.get("/")).status_code

        assert asyncio.run(call()) == 200


def test_arguments_that_do_not_fit_are_refused(auth: meshpass.SignedJWT) -> None:
    with meshpass.Client(ORIGIN, auth=auth, address="127.0.0.1:9") as client:
        with pytest.raises(meshpass.ConfigurationError, match="arguments already"):
            meshpass.Transport(client, timeout_s=3)
        with pytest.raises(meshpass.ConfigurationError, match=r"must be a meshpass\.AsyncClient"):
            meshpass.AsyncTransport(client)  # type: ignore[arg-type]
    with pytest.raises(meshpass.ConfigurationError, match="auth is missing"):
        meshpass.Transport(ORIGIN)


def test_every_code_of_an_error_has_an_error_of_each_library() -> None:
    page = (Path(__file__).parents[2] / "sdk/README.md").read_text()
    errors = [getattr(meshpass, name) for name in meshpass.__all__]
    codes = {
        error.code for error in errors if isinstance(error, type) and issubclass(error, meshpass.MeshError)
    }

    assert codes <= NAMES.keys()
    assert {code for code in NAMES if f"`{code}`" not in page} <= {"mesh_error", "timeout_send"}
    assert all(issubclass(getattr(httpx, names.httpx), httpx.RequestError) for names in NAMES.values())


def test_a_combined_error_is_a_copy_of_one_class_and_survives_pickling() -> None:
    error = meshpass.NotAllowed("No.", service="s", status=403, claims={"iss": "i"}, hint="Do this.")
    error.attempts = 2
    requests = [httpx.Request("GET", f"{ORIGIN}/{n}") for n in range(2)]
    first, second = (combined(error, httpx.ProxyError, request) for request in requests)

    assert type(first) is type(second)
    assert type(first).__name__ == "NotAllowed"
    assert str(first) == str(error)
    assert vars(error).keys() <= vars(first).keys()
    assert [first.request, second.request] == requests  # type: ignore[attr-defined]
    again = pickle.loads(pickle.dumps(first))
    assert isinstance(again, httpx.ProxyError)
    assert isinstance(again, meshpass.NotAllowed)
    assert (str(again), again.status, again.claims, again.attempts) == (str(error), 403, {"iss": "i"}, 2)
    assert names_for(meshpass.MeshError("x", code="new")).httpx == "TransportError"


def test_the_page_says_which_errors_each_error_is() -> None:
    page = (Path(__file__).parents[2] / "docs/sdk-adapters.md").read_text()
    rows = re.findall(r"^\| .*`.* \| `(\w+)` \| `(\w+)` \|$", page, re.MULTILINE)

    assert {(names.httpx, names.requests) for names in NAMES.values()} == set(rows)
