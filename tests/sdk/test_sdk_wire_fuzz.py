"""Any bytes over a real connection are a response or an error of this package, and never the next call's response."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial

import meshpass
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

_HUNG_S = 60
_CLEAN = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nown"
_PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n",
            b"HTTP/1.1 204 No Content\r\n",
            b"HTTP/1.1 304 Not Modified\r\n",
            b"HTTP/1.1 999 \r\n",
            b"HTTP/2 200\r\n",
            b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\n",
            b"content-length: 3\r\n",
            b"content-length: 3, 3\r\n",
            b"content-length: 4\r\n",
            b"content-length: 99999999999999999\r\n",
            b"content-length: +3\r\n",
            b"content-length: 0\r\n",
            b"transfer-encoding: chunked\r\n",
            b"transfer-encoding: gzip, chunked\r\n",
            b"content-encoding: gzip\r\n",
            b"content-encoding: deflate\r\n",
            b"connection: close\r\n",
            b"set-cookie: n=M\xc3\xbcller\r\n",
            b"x: y\r\n",
            b"x : y\r\n",
            b" folded\r\n",
            b"x:\r\n" * 300,
            b"\r\n",
            b"\n",
            b"abc",
            b"3\r\nabc\r\n",
            b"3;e=v\r\nabc\r\n",
            b"4\r\nabc\r\n",
            b"ffffffffffffffff\r\n",
            b"0\r\n\r\n",
            b"0\r\nx: y\r\n\r\n",
            b"\x1f\x8b\x08\x00",
            _CLEAN,
        ]
    ),
)
_WIRES = st.lists(_PIECES, max_size=8).map(b"".join)


class _Peer:
    """A server whose first response is any bytes, and every other one a clean one."""

    def __init__(self) -> None:
        self.wire = b""
        self.ending = "open"
        self._asked = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def begin(self, wire: bytes, ending: str) -> None:
        self.wire, self.ending = wire, ending
        self._asked.clear()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            while b"\r\n\r\n" in (connection.recv(64 * 1024) or b""):
                if self._asked.is_set():
                    connection.sendall(_CLEAN)
                    continue
                self._asked.set()
                connection.sendall(self.wire)
                if self.ending == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if self.ending != "open":
                    return


@pytest.fixture(scope="module")
def peer() -> Iterator[_Peer]:
    with closing(_Peer()) as started:
        yield started


@pytest.fixture(scope="module")
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


_client_of = partial(meshpass.Client, "http://user-profile.internal", timeout_s=5)
_async_client_of = partial(meshpass.AsyncClient, "http://user-profile.internal", timeout_s=5)


class _Auth:
    def token(self) -> meshpass.Token:
        return meshpass.Token("a.b.c", 9e9, "test")

    async def atoken(self) -> meshpass.Token:
        return self.token()

    def invalidate(self, token: meshpass.Token) -> None:
        """It is the only one."""


def _calls(address: str, method: str) -> str:
    with _client_of(auth=_Auth(), address=address) as client:
        with suppress(meshpass.MeshError):
            # One attempt: a second would get the clean response.
            response = client.request(method, "/", timeout_s=0.1, retry=meshpass.RetryPolicy(attempts=1))
            assert isinstance(response.text, str)
        return client.get("/").text


def _async_calls(address: str, method: str) -> str:
    async def scene() -> str:
        async with _async_client_of(auth=_Auth(), address=address) as client:
            with suppress(meshpass.MeshError):
                response = await client.request(
                    method, "/", timeout_s=0.1, retry=meshpass.RetryPolicy(attempts=1)
                )
                assert isinstance(response.text, str)
            return (await client.get("/")).text

    return asyncio.run(scene())


@pytest.mark.parametrize("calls", [_calls, _async_calls])
@given(
    wire=_WIRES,
    ending=st.sampled_from(["open", "close", "close", "reset"]),
    method=st.sampled_from(["POST", "HEAD"]),
)
@example(wire=_CLEAN + _CLEAN, ending="open", method="POST")
@example(wire=b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", ending="open", method="HEAD")
@example(wire=b"HTTP/1.1 204 No Content\r\n\r\n" + _CLEAN, ending="open", method="POST")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_end_in_time_and_leave_the_next_call_its_own_response(
    calls: Callable[[str, str], str],
    peer: _Peer,
    thread: ThreadPoolExecutor,
    wire: bytes,
    ending: str,
    method: str,
) -> None:
    peer.begin(wire, ending)
    # Far beyond the deadlines: only a call that hangs is ended by it.
    assert thread.submit(calls, peer.address, method).result(_HUNG_S) == "own"
