"""One HTTP/1.1 connection for asyncio code: a protocol that carries one exchange after another."""

import asyncio
import time
from socket import SOCK_STREAM
from typing import TYPE_CHECKING, cast

from meshpass._address import is_ip
from meshpass._call.content_coding import TooLargeError
from meshpass._call.failures import connection_lost, from_connect, from_exchange, too_large, unreachable
from meshpass._call.response import RawResponse
from meshpass._call.service import KEEPALIVE_S, Service
from meshpass._errors import MeshError
from meshpass._http.wire import Reader, WireError, request_bytes

if TYPE_CHECKING:
    import ssl

    from meshpass._call.request import Attempt


class AsyncConnection(asyncio.Protocol):
    """A connection that carries one exchange after another.

    Args:
        service: Whom it leads to.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._host = service.origin.url.partition("://")[2]
        self._transport: asyncio.Transport
        self._closed = asyncio.get_running_loop().create_future()
        # What is under way: who asked, what reads the answer, and who waits for it.
        self._attempt: Attempt | None = None
        self._reader: Reader | None = None
        self._outcome: asyncio.Future[Reader | MeshError]
        self._used = (time.monotonic(), time.time())
        self.reusable = False

    def is_usable(self) -> bool:
        """Whether the connection, idle since its last exchange, is open and young enough for another.

        The time is taken on both clocks: the monotonic one stands still while a machine is suspended.
        """
        monotonic, wall = self._used
        idle_s = max(time.monotonic() - monotonic, time.time() - wall)
        return idle_s < KEEPALIVE_S and not self._transport.is_closing()

    async def exchange(self, attempt: "Attempt") -> "RawResponse | MeshError":
        """Send a request and read the whole answer; `reusable` then tells whether another may follow.

        Whoever calls bounds its time, and closes the connection if it is cancelled.
        """
        self.reusable = False
        started = time.monotonic()
        self._outcome = asyncio.get_running_loop().create_future()
        self._attempt = attempt
        self._reader = Reader(attempt.method, self._service.max_response_bytes)
        attempt.phase = "read"
        fields = {**attempt.headers, **attempt.secrets}.items()
        if self._transport.is_closing():  # the peer hung up between the choice of this connection and now
            self._end(from_exchange(self._service, ConnectionResetError()))
        else:
            self._transport.write(
                request_bytes(attempt.method, attempt.target, self._host, fields, attempt.content)
            )
        found = await self._outcome
        if isinstance(found, MeshError):
            return found
        self.reusable = found.reusable and not self._transport.is_closing()
        self._used = (time.monotonic(), time.time())
        return RawResponse(found.status, found.fields, found.body, self._used[0] - started)

    def close(self) -> None:
        """Close the connection at once; an exchange under way fails."""
        self.reusable = False
        self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, by this side or the other."""
        await self._closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's inherit from no class of asyncio's

    def data_received(self, data: bytes) -> None:
        """Read on. A connection that says what nobody asked carries no further exchange."""
        reader, attempt = self._reader, self._attempt
        if reader is None or attempt is None:
            self.close()
            return
        attempt.phase = "head"
        if not self._feed(reader, data):
            return
        if reader.status:
            attempt.phase = "body"
        if reader.complete:
            self._end(reader)

    def eof_received(self) -> None:
        """The peer has closed it: the end of an answer that has no other, or the loss of one."""
        reader, attempt = self._reader, self._attempt
        if reader is None or attempt is None:
            return
        if attempt.phase == "read":
            self._end(from_exchange(self._service, ConnectionResetError()))
        elif self._feed(reader, b""):
            self._end(reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by this side or the other."""
        if self._reader is not None:
            self._end(from_exchange(self._service, exc or ConnectionResetError()))
        if not self._closed.done():
            self._closed.set_result(None)

    def _feed(self, reader: Reader, data: bytes) -> bool:
        try:
            reader.feed(data)
        except TooLargeError:
            self._end(too_large(self._service))
        except WireError as exc:
            self._end(connection_lost(self._service, str(exc)))
        else:
            return True
        return False

    def _end(self, found: Reader | MeshError) -> None:
        self._reader = self._attempt = None
        if not self._outcome.done():  # the caller may have been cancelled
            self._outcome.set_result(found)


async def connect(service: Service, context: "ssl.SSLContext | None") -> "AsyncConnection | MeshError":
    """Open a connection to the service's address, under the service's name."""
    try:
        async with asyncio.timeout(service.connect_timeout_s) as limit:
            return await _dial(service, context)
    except OSError as exc:  # TimeoutError is one: ours, or the kernel's
        if limit.expired():
            return unreachable(service, f"no connection within {service.connect_timeout_s:g} s")
        return from_connect(service, exc)


async def _dial(service: Service, context: "ssl.SSLContext | None") -> AsyncConnection:
    loop = asyncio.get_running_loop()
    host, port = service.address.host, service.address.port
    hosts = [host]
    if not is_ip(host):
        found = await loop.getaddrinfo(host, port, type=SOCK_STREAM)
        hosts = [str(address[0]) for *_, address in found]
    failure = OSError()
    name = service.origin.host if context is not None else None
    for ip in hosts:
        try:
            _, connection = await loop.create_connection(
                lambda: AsyncConnection(service), ip, port, ssl=context, server_hostname=name
            )
        except OSError as exc:
            failure = exc
        else:
            return connection
    try:
        raise failure
    finally:
        del failure  # its traceback holds this frame: only the garbage collector would free both
