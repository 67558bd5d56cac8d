"""One HTTP/1.1 connection for asyncio code: a protocol that carries one exchange after another."""

import asyncio
import os
import threading
import time
from asyncio.trsock import TransportSocket
from typing import TYPE_CHECKING, cast

from meshpass._call.body import RequestBody
from meshpass._call.content_coding import TooLargeError
from meshpass._call.failures import connection_lost, from_exchange, not_http, too_large
from meshpass._call.response import RawResponse
from meshpass._call.service import KEEPALIVE_S, Service
from meshpass._errors import MeshError
from meshpass._http.async_response_body import StreamedBody
from meshpass._http.framing import Framing
from meshpass._http.readiness import idle_check
from meshpass._http.wire import NotHTTPError, Reader, WireError, request_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshpass._call.request import Attempt

# A message up to this size is left to the transport as a whole.
_ONE_WRITE_BYTES = 64 * 1024
# What is read at once: asyncio would give 256 KiB, and small chunks of that size hold the loop for 35 ms. So what takes
# long to read comes in smaller portions, between which the loop runs.
_READ_BYTES = 64 * 1024
_COSTLY_READ_BYTES = 16 * 1024


class _Input(threading.local):
    """Buffer that all connections of a thread read into: with one for each, the 100 of a pool would hold 6 MiB.

    An event loop reads for one connection after the other, and a `Reader` copies what came before the loop goes on.
    """

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_READ_BYTES))


_input = _Input()
# Takes the place of a closed connection in its TLS transport. `SSLProtocol`, of asyncio and of uvloop, keeps methods of
# its protocol after the end. With them the connection and its transport would be a cycle, which holds 256 KiB and the
# state of OpenSSL until the garbage collector runs: a program that makes few cycles may not run it for hours.
_CLOSED = asyncio.BufferedProtocol()
# Reading of a streamed body pauses while its reader has this much, which was not taken yet.
_MOST_BUFFERED_BYTES = 256 * 1024


class AsyncConnection(asyncio.BufferedProtocol):
    """A connection that carries one exchange after another.

    Args:
        service: What it leads to.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._host = service.origin.url.partition("://")[2]
        self._transport: asyncio.Transport
        self._tcp: asyncio.Transport  # below TLS; the same without
        self._loop = asyncio.get_running_loop()
        self._closed = self._loop.create_future()
        self._lost: Exception | None = None
        # The exchange under way: its request, its response so far, and the future of its outcome.
        self._attempt: Attempt | None = None
        self._reader: Reader | None = None
        self._outcome: asyncio.Future[Reader | MeshError]
        # Whether all of the request was given to the transport; until then, what sends it and what that waits for.
        self._given = False
        self._upload: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        # What the reader of a streamed body waits for, why it gets no more, and whether reading is paused.
        self._more: asyncio.Future[None] | None = None
        self._failed: MeshError | None = None
        self._paused = False
        self._used = (time.monotonic(), time.time())
        self._has_input: Callable[[], bool]  # whether the socket has something that the loop has not read yet
        self.reusable = False

    def is_usable(self, now: tuple[float, float]) -> bool:
        """Report whether the connection, idle since its last exchange, is open and young enough for another.

        An idle connection that has something to read has been closed, or has sent what was not asked for. The event
        loop has not read it yet where it did not run since, or was busy.

        Args:
            now: As for `is_young`.
        """
        return self.is_young(now) and not self._transport.is_closing() and not self._has_input()

    def is_young(self, now: tuple[float, float]) -> bool:
        """Report whether the last exchange was not long ago.

        Args:
            now: The time on both clocks, the monotonic one and the other: the first stands still while a machine is
                suspended.
        """
        monotonic, wall = self._used
        return now[0] - monotonic < KEEPALIVE_S and now[1] - wall < KEEPALIVE_S

    async def exchange(
        self, attempt: "Attempt", release: "Callable[[AsyncConnection], None]"
    ) -> "RawResponse | MeshError":
        """Send a request and read the response; `reusable` then reports whether another may follow.

        The caller bounds its time, and closes the connection if it is cancelled.

        Args:
            attempt: What to send.
            release: Gives the connection back once a streamed body has ended.

        Raises:
            Exception: what the caller's own body raised.
        """
        self.reusable = self._given = False
        started = time.monotonic()
        if self._transport.is_closing():  # a peer that refuses our certificate closes before anything is sent
            await self._closed
            return from_exchange(self._service, self._lost or ConnectionResetError(), attempt.phase)
        self._outcome = self._loop.create_future()
        self._attempt, self._failed = attempt, None
        self._reader = reader = Reader(attempt.method, attempt.max_response_bytes)
        attempt.phase = "send"
        self._send(attempt, request_bytes(attempt, self._host))
        try:
            found = await self._outcome
        except asyncio.CancelledError:
            # The last parts of a request may still be in the transport's buffer.
            if attempt.phase == "send" and self._is_sent():
                attempt.phase = "read"
            raise
        finally:
            if self._upload is not None:
                await self._stop_upload(self._upload)
        if isinstance(found, MeshError):
            return found
        # A body that came with its head is not left to be read: most are small.
        if attempt.stream and reader.status < 300 and not reader.complete:
            body = StreamedBody(self._service, self, attempt, reader, release)
            return RawResponse(reader.status, reader.fields, body, time.monotonic() - started)
        self._settle(reader)
        return RawResponse(reader.status, reader.fields, reader.body, self._used[0] - started)

    async def next_part(self, reader: Reader) -> "bytes | MeshError":
        """Return the next bytes of a streamed body; none at its end. The caller bounds the time."""
        while True:
            if reader.buffered:
                if self._paused:
                    self._paused = False
                    self._transport.resume_reading()
                return reader.take()
            if self._failed is not None:
                return self._failed
            if reader.complete:
                self._settle(reader)
                return b""
            self._more = self._loop.create_future()
            await self._more

    @property
    def tcp(self) -> asyncio.Transport:
        """The transport below TLS."""
        return self._tcp

    def start_tls(self, transport: asyncio.Transport) -> None:
        """Go on over TLS."""
        self._transport = transport

    def close(self) -> None:
        """Close the connection at once; an exchange under way fails."""
        self.reusable = False
        self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, by this side or the other."""
        await self._closed

    def is_of_asyncio(self) -> bool:
        """Report whether the transport is one of asyncio's own, whose socket says when it was closed."""
        return isinstance(self._tcp.get_extra_info("socket"), TransportSocket)

    def drop_socket(self) -> None:
        """Close this process's handle of the socket, and leave the transport and its event loop alone.

        For a loop that is closed, and for one of a parent process, whose epoll is shared: closing the transport would
        take the parent's socket out of it. The number of the handle stays taken, because the transport still has it.
        """
        stream = self._tcp.get_extra_info("socket")
        if os.name == "nt" or stream is None or self._tcp.is_closing() or stream.fileno() < 0:
            return
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            os.dup2(nothing, stream.fileno(), inheritable=False)
        finally:
            os.close(nothing)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        # uvloop's inherit from no class of asyncio's.
        self._tcp = self._transport = cast("asyncio.Transport", transport)
        self._has_input = idle_check(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:
        """See asyncio. The size of the buffer bounds the work of one turn of the event loop."""
        reader = self._reader
        return _input.buffer if reader is None or not reader.is_costly else _input.buffer[:_COSTLY_READ_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        """Read on. A connection that sends what was not asked for carries no further exchange."""
        reader, attempt = self._reader, self._attempt
        if reader is None or attempt is None:
            self.close()
            return
        if self._given:
            attempt.phase = "head"
        if not self._feed(reader, _input.buffer[:nbytes]):
            return
        if reader.status:
            attempt.phase = "body"
            self._go_on(reader, attempt)

    def eof_received(self) -> None:
        """Take the end of the peer's bytes: the end of a response that has no other, or the loss of one."""
        reader, attempt = self._reader, self._attempt
        if reader is None or attempt is None:
            return
        if attempt.phase in ("send", "read"):
            self._end(from_exchange(self._service, ConnectionResetError()))
        elif self._is_cut_off():
            self._end(connection_lost(self._service, "the peer closed it"))
        elif self._feed(reader, b""):
            self._end(reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is closed, by this side or the other."""
        self._lost = exc
        if exc is not None and self._tcp is self._transport and os.name != "nt":
            self._read_rest()
        if self._reader is not None:
            self._end(from_exchange(self._service, exc or ConnectionResetError()))
        if not self._closed.done():
            self._closed.set_result(None)
        if self._tcp is not self._transport:
            self._transport.set_protocol(_CLOSED)

    def pause_writing(self) -> None:
        """See asyncio."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """See asyncio."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def _send(self, attempt: "Attempt", message: memoryview) -> None:
        if len(message) > _ONE_WRITE_BYTES or isinstance(attempt.content, RequestBody):
            self._upload = self._loop.create_task(self._send_parts(attempt, message))
            return
        self._transport.write(message)
        self._given = True
        if self._is_sent():
            attempt.phase = "read"

    async def _send_parts(self, attempt: "Attempt", message: memoryview) -> None:
        """Send what is too large for one write. What the caller's own body raises ends the exchange."""
        try:
            for at in range(0, len(message), _ONE_WRITE_BYTES):
                await self._write(message[at : at + _ONE_WRITE_BYTES])
            if isinstance(attempt.content, RequestBody):
                await self._send_body(attempt.content)
        except Exception as exc:  # noqa: BLE001 - handed on
            if not self._outcome.done():
                self._outcome.set_exception(exc)
            return
        self._given = True
        reader = self._reader
        if reader is not None and attempt.phase == "send" and self._is_sent():
            attempt.phase = "head" if reader.started else "read"
        if reader is not None and reader.status:
            self._go_on(reader, attempt)

    async def _send_body(self, body: RequestBody) -> None:
        framing = Framing(body.length)
        body.started = True
        parts = aiter(body)
        try:
            async for part in parts:
                await self._write(framing.part(part))
            await self._write(framing.end())
        finally:
            close = getattr(parts, "aclose", None)
            if close is not None:
                await close()

    async def _write(self, data: "bytes | memoryview") -> None:
        if self._has_input():
            # A peer that does not want the rest may answer and close at once. A write would then fail, and asyncio
            # would drop the response that waits in the socket: so let the loop read it first.
            await asyncio.sleep(0)
        self._transport.write(data)
        if self._room is not None:
            await self._room
        else:
            # A body that never waits would keep the loop from everything else, an early response included.
            await asyncio.sleep(0)

    async def _stop_upload(self, upload: "asyncio.Task[None]") -> None:
        self._upload = None
        upload.cancel()
        await asyncio.wait([upload])

    def _read_rest(self) -> None:
        """Read what waits in the socket: asyncio drops it when a write fails, and it may be a whole response."""
        stream = self._tcp.get_extra_info("socket")
        while self._reader is not None and stream is not None and stream.fileno() >= 0:
            try:
                data = os.read(stream.fileno(), _READ_BYTES)
            except OSError:
                return
            if not data:
                return
            _input.buffer[: len(data)] = data
            self.buffer_updated(len(data))

    def _is_sent(self) -> bool:
        """Report whether all of the request has left this process."""
        return self._given and not (
            self._transport.get_write_buffer_size()
            or (self._tcp is not self._transport and self._tcp.get_write_buffer_size())
        )

    def _is_cut_off(self) -> bool:
        """Report whether TLS ended without its own notice of the end (RFC 9112, section 9.8)."""
        tls = self._transport.get_extra_info("ssl_object")
        if tls is None:
            return False
        try:
            return bool(tls.read(1))  # nothing, once the notice has come
        except OSError:
            return True

    def _go_on(self, reader: Reader, attempt: "Attempt") -> None:
        """Decide what follows from what has come of the response, once its head is there."""
        if reader.complete:
            self._end(reader)
        elif not self._given and reader.status >= 300:
            # The service does not want the rest of the request.
            if self._upload is not None:
                self._upload.cancel()
        elif attempt.stream and reader.status < 300 and self._given:
            if not self._outcome.done():
                self._outcome.set_result(reader)
            if reader.buffered > _MOST_BUFFERED_BYTES and not self._paused:
                self._paused = True
                self._transport.pause_reading()
            self._wake()

    def _feed(self, reader: Reader, data: bytes | memoryview) -> bool:
        try:
            reader.feed(data)
        except TooLargeError:
            self._end(too_large(self._service, reader.limit_bytes))
        except NotHTTPError as exc:
            self._end(not_http(self._service, str(exc), exc.hint))
        except WireError as exc:
            self._end(connection_lost(self._service, str(exc)))
        else:
            return True
        return False

    def _end(self, found: Reader | MeshError) -> None:
        self._reader = self._attempt = None
        if not self._outcome.done():  # the caller may have been cancelled, or reads a streamed body
            self._outcome.set_result(found)
        elif isinstance(found, MeshError):
            self._failed = found
        self._wake()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def _settle(self, reader: Reader) -> None:
        """Note that the response was read to its end, and whether both sides are done with the exchange."""
        self.reusable = reader.reusable and self._is_sent() and not self._transport.is_closing()
        self._used = (time.monotonic(), time.time())
