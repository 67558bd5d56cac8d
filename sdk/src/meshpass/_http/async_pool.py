"""The asyncio transport: the connections to one service, each used by one call at a time."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from meshpass._call.service import MAX_CONNECTIONS, Service
from meshpass._errors import MeshError
from meshpass._http.async_connection import AsyncConnection, connect

if TYPE_CHECKING:
    import ssl

    from meshpass._call.request import Attempt
    from meshpass._call.response import RawResponse


class AsyncConnectionPool:
    """Sends attempts to a service's address and reads whole answers.

    Belongs to the event loop it is created in.

    Args:
        service: Whom to call and where to dial.
        context: Whom to trust; what the service says when None.
    """

    def __init__(self, service: Service, context: "ssl.SSLContext | None" = None) -> None:
        self._service = service
        self._context = context or service.ssl_context()
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._connections: set[AsyncConnection] = set()
        # The last one used comes first, so that those that are not needed grow old.
        self._idle: deque[AsyncConnection] = deque()
        self._closed = False

    async def send(self, attempt: "Attempt") -> "RawResponse | MeshError":
        """Send one attempt and read its answer to the end; whoever calls bounds its time.

        Returns:
            The answer, or why there is none; see `_failures`.
        """
        async with self._slots:
            connection = self._take(attempt) or await connect(self._service, self._context)
            if isinstance(connection, MeshError):
                return connection
            self._connections.add(connection)
            try:
                return await connection.exchange(attempt)
            finally:
                if connection.reusable and not self._closed:
                    self._idle.append(connection)
                else:
                    self._drop(connection)

    async def open(self) -> None:
        """Open a connection for the next attempt. A failure is left for that attempt to meet again."""
        async with self._slots:
            connection = await connect(self._service, self._context)
        if isinstance(connection, MeshError):
            return
        if self._closed:
            connection.close()
            return
        self._connections.add(connection)
        self._idle.append(connection)

    async def aclose(self) -> None:
        """Close all connections; calls under way fail."""
        self._closed = True
        self._idle.clear()
        connections, self._connections = self._connections, set()
        if self._loop.is_closed():  # its connections ended with it
            return
        for connection in connections:
            connection.close()
        for connection in connections:
            await connection.wait_closed()

    def _take(self, attempt: "Attempt") -> AsyncConnection | None:
        # One connection was found closed: the others, idle for longer, most likely are as well.
        while self._idle and (attempt.fresh or not self._idle[0].is_usable()):
            self._drop(self._idle.popleft())
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                attempt.reused = True
                return connection
            self._drop(connection)
        return None

    def _drop(self, connection: AsyncConnection) -> None:
        self._connections.discard(connection)
        connection.close()
