# ruff: noqa: ANN401
"""Requests on their way out: what was sent is reported truly, and no connection with a rest of one is used again."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import meshpass
import pytest
from meshpass._call.body import RequestBody
from meshpass._call.response import RawResponse

from .conftest import Authority, Connect, RawServer
from .transports import Transport, Transports, attempt_of, body_of

BIG = b"x" * (16 * 1024 * 1024)  # more than the buffers of both ends hold
REFUSED = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(params=["sync", "async"])
def transports(request: pytest.FixtureRequest, raw_server: RawServer) -> Iterator[Transports]:
    _ = raw_server  # which waits at its end until the connections are closed
    with Transports(request.param) as made:
        yield made


@pytest.fixture(params=["plain", "tls"])
def transport_to(
    request: pytest.FixtureRequest, transports: Transports, ca: Authority, raw_server: RawServer
) -> Callable[..., Transport]:
    """Build a transport to a server that speaks to each socket with a function, with and without TLS."""

    def build(serve: Callable[[Any], None], **options: Any) -> Transport:
        if request.param == "plain":
            return transports(raw_server(serve), **options)
        context = ca.context("h.internal")

        def over_tls(connection: socket.socket) -> None:
            with closing(context.wrap_socket(connection, server_side=True)) as secure:
                serve(secure)

        return transports(raw_server(over_tls), "https://h.internal", ca.file, **options)

    return build


def read_head(connection: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(1)
        if not part:
            return got
        got += part
    return got


def read_all(connection: socket.socket) -> bytes:
    got = b""
    with suppress(OSError):
        while part := connection.recv(65536):
            got += part
    return got


def test_a_server_that_reads_the_head_and_stalls_the_body_is_no_connection_that_did_not_come(
    transport_to: Callable[..., Transport],
) -> None:
    over = threading.Event()

    def stall(connection: socket.socket) -> None:
        read_head(connection)
        over.wait(30)

    attempt = attempt_of(BIG, timeout_s=2)
    outcome = transport_to(stall).send(attempt)
    over.set()

    assert isinstance(outcome, TimeoutError)
    assert attempt.phase == "send"


def test_both_clients_say_that_a_part_of_the_request_may_have_been_sent(
    connect: Connect, raw_server: RawServer
) -> None:
    over = threading.Event()

    def stall(connection: socket.socket) -> None:
        read_head(connection)
        over.wait(30)

    with pytest.raises(meshpass.MeshTimeout) as caught:
        connect(address=raw_server(stall), timeout_s=2).request("POST", "/", content=BIG)
    over.set()

    assert caught.value.code == "timeout_send"
    assert "while the request was being sent" in str(caught.value)
    assert "nothing was sent" not in str(caught.value)


def test_a_response_that_comes_before_the_upload_ended_is_returned_and_its_connection_used_no_more(
    transport_to: Callable[..., Transport],
) -> None:
    connections: list[bytes] = []
    over = threading.Event()

    def refuse(connection: socket.socket) -> None:
        head = read_head(connection)
        connections.append(head)
        if len(connections) == 1:
            connection.sendall(REFUSED)
            over.wait(30)  # keep-alive, and the body is never read
        else:
            connection.sendall(OK)
            read_all(connection)

    transport = transport_to(refuse)
    started = threading.Timer(20, over.set)
    started.start()
    first = transport.send(attempt_of(BIG, timeout_s=15))
    over.set()
    second = transport.send(attempt_of(method="GET", timeout_s=15))
    started.cancel()

    assert isinstance(first, RawResponse)
    assert (first.status, first.content) == (413, b"no")
    assert isinstance(second, RawResponse)
    assert (second.status, second.content) == (200, b"ok")
    assert len(connections) == 2
    assert connections[1].startswith(b"GET / ")


def test_an_upload_that_was_read_to_its_end_keeps_its_connection(
    transport_to: Callable[..., Transport],
) -> None:
    got: list[int] = []

    def read(connection: socket.socket) -> None:
        while read_head(connection):
            left = len(BIG)
            while left:
                left -= len(connection.recv(min(left, 1 << 20)))
            got.append(id(connection))
            connection.sendall(OK)

    transport = transport_to(read)
    outcomes = [transport.send(attempt_of(BIG)) for _ in range(2)]

    assert [outcome.status for outcome in outcomes if isinstance(outcome, RawResponse)] == [200, 200]
    assert len(got) == 2
    assert got[0] == got[1]


def test_an_interim_response_does_not_end_the_upload(transport_to: Callable[..., Transport]) -> None:
    def read(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = len(BIG)
        while left:
            left -= len(connection.recv(min(left, 1 << 20)))
        connection.sendall(OK)

    outcome = transport_to(read).send(attempt_of(BIG))

    assert isinstance(outcome, RawResponse)
    assert outcome.status == 200


def test_all_of_a_request_that_got_no_response_was_sent(transport_to: Callable[..., Transport]) -> None:
    def read(connection: socket.socket) -> None:
        read_all(connection)

    attempt = attempt_of(b"x" * 200_000, timeout_s=2)
    outcome = transport_to(read).send(attempt)

    assert isinstance(outcome, TimeoutError)
    assert attempt.phase == "read"


def test_a_body_is_sent_in_chunks_or_by_its_length(transport_to: Callable[..., Transport]) -> None:
    got: list[bytes] = []

    def read(connection: socket.socket) -> None:
        while head := read_head(connection):
            ending = b"0\r\n\r\n" if b"chunked" in head else b"tail"
            body = b""
            while not body.endswith(ending):
                body += connection.recv(65536)
            got.append(body)
            connection.sendall(OK)

    transport = transport_to(read)
    in_chunks = transport.send(attempt_of(body_of(b"abc", b"", b"0123456789abcdef")))
    by_length = transport.send(attempt_of(body_of(b"abc", b"tail", length=7)))

    assert isinstance(in_chunks, RawResponse)
    assert isinstance(by_length, RawResponse)
    assert got == [b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n", b"abctail"]


@pytest.mark.parametrize(
    ("parts", "why"), [((b"abc",), "has 3 bytes"), ((b"abc", b"def"), "more than the 4")]
)
def test_a_body_of_another_length_than_declared_is_refused_and_the_connection_closed(
    transport_to: Callable[..., Transport], parts: tuple[bytes, ...], why: str
) -> None:
    got: list[bytes] = []
    read = threading.Event()

    def keep(connection: socket.socket) -> None:
        got.append(read_all(connection))
        read.set()

    with pytest.raises(meshpass.InvalidRequest, match=why):
        transport_to(keep).send(attempt_of(body_of(*parts, length=4)))

    assert read.wait(10)
    assert got[0].partition(b"\r\n\r\n")[2] in (b"", b"abc")


@pytest.mark.parametrize(
    "error", [KeyError("mine"), OSError(5, "a file of the caller's"), ConnectionResetError("other")]
)
def test_what_the_callers_own_body_raises_passes_through(
    transport_to: Callable[..., Transport], error: Exception
) -> None:
    closed = threading.Event()

    def keep(connection: socket.socket) -> None:
        read_all(connection)
        closed.set()

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        transport_to(keep).send(attempt_of(body_of(b"", between=fail)))

    assert caught.value is error
    assert closed.wait(10)


def test_a_refusal_ends_a_body_that_never_ends(transport_to: Callable[..., Transport]) -> None:
    def refuse(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(REFUSED)
        read_all(connection)

    ended = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                time.sleep(0.001)
                yield b"x" * 1000
        finally:
            ended.set()

    outcome = transport_to(refuse).send(attempt_of(RequestBody(endless, length=None, replayable=False)))

    assert isinstance(outcome, RawResponse)
    assert outcome.status == 413
    assert ended.is_set()


def test_a_body_says_that_it_was_begun(transport_to: Callable[..., Transport]) -> None:
    def answer(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(REFUSED)
        read_all(connection)

    body = body_of(b"x")
    assert not body.started

    transport_to(answer).send(attempt_of(body))

    assert body.started
