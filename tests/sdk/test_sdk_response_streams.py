"""Responses that are read while they come in."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import meshpass
import pytest
from meshpass._call.response import RawResponse

from .conftest import RawServer, Server
from .transports import Transport, Transports, attempt_of

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture(params=["sync", "async"])
def transports(request: pytest.FixtureRequest, raw_server: RawServer) -> Iterator[Transports]:
    _ = raw_server  # which waits at its end until the connections are closed
    with Transports(request.param) as made:
        yield made


def begin(transport: Transport, timeout_s: float = 30.0, max_response_bytes: int = 1_000_000) -> RawResponse:
    outcome = transport.send(
        attempt_of(method="GET", stream=True, timeout_s=timeout_s, max_response_bytes=max_response_bytes)
    )
    assert isinstance(outcome, RawResponse)
    assert not isinstance(outcome.body, bytes)
    return outcome


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_parts_are_there_before_the_body_ends_and_the_connection_is_used_again(
    transports: Transports, raw_server: RawServer
) -> None:
    go_on = threading.Event()
    connections = []

    def serve(connection: socket.socket) -> None:
        connections.append(1)
        while connection.recv(4096):
            connection.sendall(HEAD + chunk(b"first"))
            assert go_on.wait(10)
            connection.sendall(chunk(b"second") + b"0\r\n\r\n")

    transport = transports(raw_server(serve))
    for _ in range(2):
        go_on.clear()
        response = begin(transport)
        parts = transport.parts(response.body)
        assert next(parts) == b"first"
        go_on.set()
        assert b"".join(parts) == b"second"

    assert len(connections) == 1


def test_a_body_that_is_closed_early_closes_its_connection_and_frees_its_place(
    transports: Transports, raw_server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshpass._http.pool.MAX_CONNECTIONS", 1)
    monkeypatch.setattr("meshpass._http.async_pool.MAX_CONNECTIONS", 1)
    ends = []

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(HEAD + chunk(b"first"))
        ends.append(connection.recv(4096))

    transport = transports(raw_server(serve))
    for _ in range(2):
        response = begin(transport)
        assert next(transport.parts(response.body)) == b"first"
        transport.close(response.body)
        transport.close(response.body)

    response = begin(transport)
    transport.close(response.body)
    assert ends[:2] == [b"", b""]


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (None, "timeout_body"),
        (b"", "connection_lost"),
        (b"x\r\n", "connection_lost"),
        (chunk(b"y" * 2000), "response_too_large"),
    ],
    ids=["silence", "end", "no chunk", "too large"],
)
def test_a_body_that_fails_raises_what_a_whole_response_would(
    transports: Transports, raw_server: RawServer, rest: bytes | None, code: str
) -> None:
    begun, over = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(HEAD + chunk(b"first"))
        assert begun.wait(20)
        if rest is None:
            over.wait(20)
        else:
            connection.sendall(rest)

    transport = transports(raw_server(serve))
    body = begin(transport, timeout_s=1.5 if rest is None else 20, max_response_bytes=1000).body
    begun.set()
    with pytest.raises(meshpass.MeshError) as caught:
        transport.read(body)
    over.set()

    assert caught.value.code == code


def test_a_response_of_300_and_above_is_read_as_a_whole(transports: Transports, server: Server) -> None:
    server.answer = lambda _: (404, {}, b"none")

    outcome = transports(server.address).send(attempt_of(method="GET", stream=True))

    assert isinstance(outcome, RawResponse)
    assert outcome.body == b"none"


@pytest.mark.parametrize("size", [0, 5])
def test_a_body_that_came_with_its_head_is_not_left_to_be_read(
    transports: Transports, raw_server: RawServer, size: int
) -> None:
    def serve(connection: socket.socket) -> None:
        while connection.recv(4096):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)

    transport = transports(raw_server(serve))

    for _ in range(2):
        outcome = transport.send(attempt_of(method="GET", stream=True))
        assert isinstance(outcome, RawResponse)
        assert outcome.body == b"x" * size


@pytest.mark.parametrize("size", [500_000, 3_000_000])
def test_a_body_of_a_known_length_is_streamed(transports: Transports, server: Server, size: int) -> None:
    server.answer = lambda _: (200, {}, b"x" * size)
    transport = transports(server.address)

    for _ in range(2):
        outcome = transport.send(attempt_of(method="GET", stream=True))
        assert isinstance(outcome, RawResponse)
        assert len(transport.read(outcome.body)) == size
    assert server.connections == 1


def test_a_slow_reader_holds_the_server_back(raw_server: RawServer) -> None:
    sent = [0]
    stalled = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        connection.settimeout(1)
        try:
            while sent[0] < 100_000_000:
                sent[0] += connection.send(b"x" * 1_000_000)
        except TimeoutError:
            stalled.set()

    with Transports("async") as transports:
        transport = transports(raw_server(serve))
        body = begin(transport, max_response_bytes=200_000_000).body
        parts = transport.parts(body)
        next(parts)

        async def wait() -> None:
            assert await asyncio.to_thread(stalled.wait, 20)

        transport.runner.run(wait())
        assert sent[0] < 50_000_000
        transport.close(body)
