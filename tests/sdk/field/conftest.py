"""Servers that the reports from the field need: one that echoes what it is asked, and one that sends given bytes."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest

from ..conftest import RawServer  # noqa: TID252 - this folder's parent

Say = Callable[..., str]


@dataclass
class Echo:
    """A server whose response holds the request's target; the path's first segment says how it responds.

    `/now`, `/chunks` and `/later` respond at once, in two chunks, and after a few milliseconds. `/half` sends half of
    the body at once and the rest after a few milliseconds. `/close` closes the connection afterwards, and says so.
    `/never` does not respond. `/early` responds before it has read the request's body. `/together` responds when
    `width` of its kind are there.
    """

    width: int = 1
    requests: list[str] = field(default_factory=list)
    open: int = 0
    address: str = ""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _together: int = 0
    _all_there: asyncio.Event = field(default_factory=asyncio.Event)

    def wait_until_closed(self) -> bool:
        """Wait until no connection is open; return whether this came true."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.open, 30)

    def gather(self, width: int) -> None:
        """Let the next requests to `/together` wait for each other until there are so many."""

        async def reset() -> None:
            self.width, self._together, self._all_there = width, 0, asyncio.Event()

        asyncio.run_coroutine_threadsafe(reset(), self._loop).result(30)

    def start(self, context: ssl.SSLContext | None) -> Callable[[], None]:
        """Serve in a thread of its own; return what ends it."""

        async def listen() -> asyncio.Server:
            return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context, backlog=512)

        server = self._loop.run_until_complete(listen())
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()

        async def end() -> None:
            server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        def stop() -> None:
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(30)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

        return stop

    def _count(self, change: int) -> None:
        with self._changed:
            self.open += change
            self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count(1)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._respond(reader, writer):
                    pass
        finally:
            writer.transport.abort()
            self._count(-1)

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        target = head.split(" ", 2)[1]
        self.requests.append(target)
        how, body = target.split("/")[1], target.encode()
        fields = [line.partition(":") for line in head.lower().split("\r\n")[1:]]
        length = next((int(value) for name, _, value in fields if name == "content-length"), 0)
        if how != "early":
            body += b" " + await reader.readexactly(length) if length else b""
        if how == "never":
            await reader.read()
            return False
        if how == "together":
            self._together += 1
            if self._together == self.width:
                self._all_there.set()
            await self._all_there.wait()
        if how == "later":
            await asyncio.sleep(0.003)
        if how == "chunks":
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n%b\r\n" % body[:1])
            await writer.drain()
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body) - 1, body[1:]))
        else:
            end = b"connection: close\r\n" if how == "close" else b""
            writer.write(b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n" % (end, len(body)))
            if how == "half":
                writer.write(body[:5])
                await writer.drain()
                await asyncio.sleep(0.003)
                body = body[5:]
            writer.write(body)
        await writer.drain()
        if how == "early":
            await reader.readexactly(length)
        return how != "close"


@pytest.fixture
def echo() -> Iterator[Callable[..., Echo]]:
    """Start servers that echo, with TLS where a context is given."""
    with ExitStack() as stack:

        def start(context: ssl.SSLContext | None = None) -> Echo:
            server = Echo()
            stack.callback(server.start(context))
            return server

        yield start


@pytest.fixture
def say(raw_server: RawServer) -> Say:
    """Serve each request with these bytes, and close the connection after the last of them where `close` is set."""

    def start(*parts: bytes, close: bool = False, asked: list[bytes] | None = None) -> str:
        def serve(connection: socket.socket) -> None:
            while request := connection.recv(65536):
                if asked is not None:
                    asked.append(request)
                for part in parts:
                    connection.sendall(part)
                if close:
                    return

        return raw_server(serve)

    return start
