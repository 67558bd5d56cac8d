"""Peers that send too much, too early or unasked, and calls that must be carried out once."""

import asyncio
import re
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any

import httpx
import meshpass
import pytest
from meshpass._http import connection
from meshpass._http.wire import MAX_FIELDS, MAX_INTERIM, Reader, WireError

from .conftest import Connect, RawServer

_URL = "http://user-profile.internal"
_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def _read_request(stream: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        part = stream.recv(64 * 1024)
        if not part:
            raise ConnectionError
        head += part
    return head


def _read(wire: bytes, step: int) -> Reader:
    reader = Reader("GET", 1 << 20)
    for at in range(0, len(wire), step):
        reader.feed(wire[at : at + step])
    return reader


@pytest.mark.parametrize("step", [1 << 20, 1000])
@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * (MAX_FIELDS + 1) + b"\r\n", "fields"),
        (_CHUNKED + b"0\r\n" + b"a:\r\n" * (MAX_FIELDS + 1) + b"\r\n", "fields"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MAX_INTERIM + 1) + _OK, "interim"),
        (_CHUNKED + b"1;" + b"a" * 5000 + b"\r\na\r\n0\r\n\r\n", "chunk's size is too large"),
    ],
)
def test_what_costs_time_without_being_a_body_is_limited(wire: bytes, why: str, step: int) -> None:
    with pytest.raises(WireError, match=why):
        _read(wire, step)


@pytest.mark.parametrize("step", [1 << 20, 1000])
def test_what_real_servers_send_is_within_the_limits(step: int) -> None:
    wire = b"HTTP/1.1 103 Early Hints\r\n\r\n" * MAX_INTERIM + _OK[:-2] + b"a: b\r\n" * (MAX_FIELDS - 1)
    reader = _read(wire + b"\r\nok", step)

    assert (reader.complete, len(reader.fields), reader.body) == (True, MAX_FIELDS, b"ok")


def test_small_chunks_are_read_in_portions_that_hold_the_loop_for_a_few_milliseconds(
    raw_server: RawServer, auth: meshpass.SignedJWT, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    feed = Reader.feed

    def counted(self: Reader, data: bytes | memoryview) -> None:
        sizes.append(len(data))
        feed(self, data)

    monkeypatch.setattr(Reader, "feed", counted)

    def serve(stream: socket.socket) -> None:
        _read_request(stream)
        stream.sendall(_CHUNKED + b"2\r\nab\r\n" * 300_000 + b"0\r\n\r\n")
        _read_request(stream)
        stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + bytes(3_000_000))
        stream.recv(1)

    async def scene() -> None:
        async with meshpass.AsyncClient(_URL, auth=auth, address=raw_server(serve)) as client:
            assert (await client.get("/")).content == b"ab" * 300_000
            assert max(sizes) <= 16 * 1024
            sizes.clear()
            # A plain body costs no time but that of copying.
            assert len((await client.get("/")).content) == 3_000_000
            assert max(sizes) > 16 * 1024

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_response_that_was_not_asked_for_is_given_to_no_call(
    kind: str, raw_server: RawServer, auth: meshpass.SignedJWT
) -> None:
    unasked = threading.Event()

    def serve(stream: socket.socket) -> None:
        _read_request(stream)
        stream.sendall(_OK + b"ok")
        time.sleep(0.01)  # so that it is no part of the response
        stream.sendall(_OK + b"no")
        unasked.set()
        _read_request(stream)

    def others_work() -> None:
        assert unasked.wait(10)  # the event loop has no turn meanwhile

    def calls() -> list[str]:
        with meshpass.Client(_URL, auth=auth, address=raw_server(serve)) as client:
            texts = []
            for _ in range(3):
                texts.append(client.post("/").text)
                others_work()
                unasked.clear()
            return texts

    async def async_calls() -> list[str]:
        async with meshpass.AsyncClient(_URL, auth=auth, address=raw_server(serve)) as client:
            texts = []
            for _ in range(3):
                texts.append((await client.post("/")).text)
                others_work()
                unasked.clear()
            return texts

    assert (calls() if kind == "sync" else asyncio.run(async_calls())) == ["ok"] * 3


def test_a_response_before_the_upload_ended_is_read_though_the_peer_closes_at_once(
    connect: Connect, raw_server: RawServer
) -> None:
    def serve(stream: socket.socket) -> None:
        _read_request(stream)
        # What is left unread makes the kernel reset the connection.
        stream.sendall(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno")

    client = connect(address=raw_server(serve))
    for _ in range(20):
        response = client.post("/", content=bytes(4_000_000))
        assert (response.status_code, response.text) == (413, "no")


_RESET = struct.pack("ii", 1, 0)
_FAILURES: dict[str, bytes | None] = {
    "closed": b"",
    "reset": None,
    "half a head": b"HTTP/1.1 200 OK\r\ncont",
    "half a body": b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
    "half a chunk": _CHUNKED + b"9\r\nabc",
    "interim alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "no HTTP": b"\0\0\x12\x04\0\0\0\0\0",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "no gzip": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nab",
    "503 of the mesh": b"HTTP/1.1 503 X\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n",
    "503 with a time": b"HTTP/1.1 503 X\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
    "429 with a time": b"HTTP/1.1 429 X\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
    "408": b"HTTP/1.1 408 X\r\nserver: envoy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    "999": b"HTTP/1.1 999 \r\ncontent-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("size", [3, 300_000])
@pytest.mark.parametrize("first", ["new connection", "kept connection"])
@pytest.mark.parametrize("failure", _FAILURES)
def test_a_post_that_may_have_been_carried_out_is_sent_once(
    failure: str, first: str, size: int, connect: Connect, raw_server: RawServer
) -> None:
    seen: list[bytes] = []

    def serve(stream: socket.socket) -> None:
        while True:
            head = _read_request(stream)
            left = size - len(head.partition(b"\r\n\r\n")[2])
            while b"POST" in head and left > 0:
                left -= len(stream.recv(min(left, 64 * 1024)))
            if b"POST" not in head:
                stream.sendall(_OK + b"ok")
                continue
            seen.append(head)
            wire = _FAILURES[failure]
            if wire is None:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            else:
                stream.sendall(wire)
            return

    client = connect(address=raw_server(serve))
    if first == "kept connection":
        client.get("/")
    with suppress(meshpass.MeshError):
        client.post("/", content=bytes(size), timeout_s=10)

    assert len(seen) == 1


def test_a_post_on_a_kept_connection_that_was_closed_is_not_sent_again(
    connect: Connect, raw_server: RawServer
) -> None:
    """The peer's close crosses the request: it is not known whether it was carried out."""
    seen: list[bytes] = []

    def serve(stream: socket.socket) -> None:
        _read_request(stream)
        stream.sendall(_OK + b"ok")
        seen.append(_read_request(stream))

    client = connect(address=raw_server(serve))
    client.get("/")
    with pytest.raises(meshpass.UpstreamUnavailable):
        client.post("/")

    assert len(seen) == 1


def test_the_call_of_a_closed_client_is_an_error_of_this_package(auth: meshpass.SignedJWT) -> None:
    client = meshpass.Client(_URL, auth=auth, address="127.0.0.1:1")
    client.close()
    with pytest.raises(meshpass.ClientClosed, match=r"user-profile\.internal is closed") as caught:
        client.post("/")
    assert isinstance(caught.value, meshpass.MeshError)
    assert isinstance(caught.value, RuntimeError)

    async def scene() -> None:
        closed = meshpass.AsyncClient(_URL, auth=auth, address="127.0.0.1:1")
        await closed.aclose()
        with pytest.raises(meshpass.ClientClosed):
            await closed.post("/")

    asyncio.run(scene())


@pytest.mark.parametrize("error", [LookupError("s3cret"), TimeoutError("s3cret"), OSError(5, "s3cret")])
def test_what_a_source_of_the_callers_own_raises_is_an_identity_error_without_its_text(
    error: Exception, connect: Connect
) -> None:
    class Source:
        def token(self) -> meshpass.Token:
            raise error

        async def atoken(self) -> meshpass.Token:
            raise error

        def invalidate(self, token: meshpass.Token) -> None: ...

    with pytest.raises(meshpass.IdentityError) as caught:
        connect(address="127.0.0.1:1", auth=Source()).get("/")

    assert re.search(rf"{type(error).__name__} at test_sdk_hostile_peers\.py:\d+", str(caught.value))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_streamed_response_holds_no_token(
    kind: str, raw_server: RawServer, auth: meshpass.SignedJWT
) -> None:
    def serve(stream: socket.socket) -> None:
        _read_request(stream)
        stream.sendall(_OK + b"o")
        stream.recv(1)

    def held(response: httpx.Response) -> object:
        body: Any = response.stream
        return body._body._attempt.secrets

    async def scene(address: str) -> object:
        async with (
            meshpass.AsyncClient(_URL, auth=auth, address=address) as client,
            client.stream("GET", "/") as response,
        ):
            return held(response)

    address = raw_server(serve)
    if kind == "async":
        assert asyncio.run(scene(address)) == {}
    else:
        with (
            meshpass.Client(_URL, auth=auth, address=address) as client,
            client.stream("GET", "/") as response,
        ):
            assert held(response) == {}


@pytest.mark.parametrize("between", ["", " " * 900, "x" * 37])
def test_no_part_of_a_token_is_in_the_error_of_a_large_refusal(
    between: str, connect: Connect, raw_server: RawServer, auth: meshpass.SignedJWT
) -> None:
    token = auth.token().value
    body = ((between + token) * 6000)[: 4 << 20].encode()

    def serve(stream: socket.socket) -> None:
        _read_request(stream)
        head = b"HTTP/1.1 403 X\r\nserver: envoy\r\ncontent-length: %d\r\n\r\n" % len(body)
        stream.sendall(head + body)

    with pytest.raises(meshpass.NotAllowed) as caught:
        connect(address=raw_server(serve), auth=auth).get("/")

    shown = f"{caught.value} {caught.value.detail}"
    assert not any(token[at : at + 12] in shown for at in range(len(token) - 12))


def test_an_interrupt_while_a_connection_is_closed_gives_its_place_back(
    raw_server: RawServer, auth: meshpass.SignedJWT, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(stream: socket.socket) -> None:
        _read_request(stream)
        stream.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")

    close = connection.Connection.close

    def interrupted(self: connection.Connection) -> None:
        close(self)
        raise KeyboardInterrupt

    with meshpass.Client(_URL, auth=auth, address=raw_server(serve)) as client:
        client.get("/")
        with monkeypatch.context() as patched:
            patched.setattr(connection.Connection, "close", interrupted)
            for _ in range(150):  # more than there are places
                with pytest.raises(KeyboardInterrupt):
                    client.get("/")
        assert client.get("/").status_code == 200
