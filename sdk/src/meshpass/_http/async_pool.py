"""Connection pool of the asyncio client: the connections to one service, each used by one call at a time."""

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from meshpass._call.service import MAX_CONNECTIONS, Service
from meshpass._errors import MeshError
from meshpass._http.async_connection import AsyncConnection
from meshpass._http.async_dialing import connect
from meshpass._http.tls import find_refusal, may_hide_refusal

if TYPE_CHECKING:
    import ssl

    from meshpass._call.request import Attempt
    from meshpass._call.response import RawResponse
    from meshpass._http.tls import TLSContext


class AsyncConnectionPool:
    """Sends attempts to a service's address and reads the responses.

    Belongs to the event loop that it is created in; only `close_from_outside` may be called from another.

    Args:
        service: What to call and where to dial.
        tls: Which peers to trust.
    """

    def __init__(self, service: Service, tls: "TLSContext") -> None:
        self._service = service
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._connections: set[AsyncConnection] = set()
        # The last one used comes first, so that those that are not needed grow old.
        self._idle: deque[AsyncConnection] = deque()
        self._closed = False

    async def send(self, attempt: "Attempt") -> "RawResponse | MeshError":
        """Send one attempt and read its response; the caller bounds its time.

        Returns:
            The response, read to its end unless it is streamed; or why there is none, see `failures`.

        Raises:
            Exception: what the caller's own body raised.
        """
        await self._slots.acquire()
        connection, context, streamed = None, None, False
        try:
            connection = self._take(attempt)
            if connection is None:
                context = await self._context()
                found = await connect(self._service, context, attempt.connect_timeout_s)
                if isinstance(found, MeshError):
                    return found
                connection = found
                self._connections.add(connection)
            outcome = await connection.exchange(attempt, self._release)
            if context is not None and may_hide_refusal(attempt, outcome):
                return (
                    await self._loop.run_in_executor(
                        None, find_refusal, self._service, context, attempt.until
                    )
                    or outcome
                )
            streamed = (
                attempt.stream and not isinstance(outcome, MeshError) and not isinstance(outcome.body, bytes)
            )
            return outcome
        finally:
            if not streamed:
                self._release(connection)

    async def open(self) -> None:
        """Open a connection for the next attempt. A failure is left for that attempt to meet again."""
        async with self._slots:
            connection = await connect(self._service, await self._context(), self._service.connect_timeout_s)
        if isinstance(connection, MeshError):
            return
        if self._closed:
            connection.close()
            return
        self._connections.add(connection)
        self._idle.append(connection)

    async def aclose(self) -> None:
        """Close all connections; calls under way fail."""
        for connection in self._close():
            await connection.wait_closed()

    def close_from_outside(self) -> None:
        """Close all connections from another event loop or thread, soon."""
        self._closed = True
        try:
            self._loop.call_soon_threadsafe(self._close)
        except RuntimeError:  # the loop was closed, and takes no more calls
            self.leave(only_asyncio=True)

    def leave(self, *, only_asyncio: bool = False) -> None:
        """Close the sockets in this process and leave their event loop alone; see `AsyncConnection.drop_socket`.

        Args:
            only_asyncio: Whether to spare the sockets of other event loops, which close them by themselves.
        """
        self._closed = True
        for connection in list(self._connections):
            if not only_asyncio or connection.is_of_asyncio():
                connection.drop_socket()

    def _close(self) -> set[AsyncConnection]:
        self._closed = True
        self._idle.clear()
        connections, self._connections = self._connections, set()
        for connection in connections:
            connection.close()
        return connections

    async def _context(self) -> "ssl.SSLContext | None":
        if self._tls.may_block:
            return await self._loop.run_in_executor(None, self._tls.current)
        return self._tls.current()

    def _take(self, attempt: "Attempt") -> AsyncConnection | None:
        # For `fresh`, one connection was found closed: the others, idle for longer, most likely are as well.
        now = (time.monotonic(), time.time())
        while self._idle and (attempt.fresh or not self._idle[0].is_young(now)):
            self._drop(self._idle.popleft())
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable(now):
                attempt.reused = True
                return connection
            self._drop(connection)
        return None

    def _release(self, connection: AsyncConnection | None) -> None:
        """Keep a connection for the next attempt, or close it; its place is free."""
        if connection is not None:
            if connection.reusable and not self._closed:
                self._idle.append(connection)
            else:
                self._drop(connection)
        self._slots.release()

    def _drop(self, connection: AsyncConnection) -> None:
        self._connections.discard(connection)
        connection.close()
