"""The blocking transport: the connections to one service, each used by one thread at a time."""

import threading
from collections import deque

from meshpass._call.request import Attempt
from meshpass._call.response import RawResponse
from meshpass._call.service import MAX_CONNECTIONS, Service
from meshpass._errors import MeshError
from meshpass._http.connection import Connection, connect


class ConnectionPool:
    """Sends attempts to a service's address and reads whole answers. Safe for threads; not to be used after a fork.

    Args:
        service: Whom to call and where to dial.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._context = service.ssl_context()
        # The last one used comes first, so that those that are not needed grow old.
        self._idle: deque[Connection] = deque()
        self._slots = threading.Semaphore(MAX_CONNECTIONS)
        self._closed = False

    def send(self, attempt: Attempt) -> RawResponse | MeshError:
        """Send one attempt and read its answer to the end.

        Returns:
            The answer, or why there is none; see `_failures`.

        Raises:
            TimeoutError: the attempt's time was up; its `phase` says where.
        """
        if not self._slots.acquire(timeout=attempt.left_s()):
            raise TimeoutError
        connection = None
        try:
            connection = self._take(attempt) or connect(self._service, self._context, attempt)
            if isinstance(connection, MeshError):
                failed, connection = connection, None
                return failed
            outcome = connection.exchange(attempt)
            if connection.reusable and not self._closed:
                self._idle.append(connection)
                connection = None
            return outcome
        finally:
            if isinstance(connection, Connection):
                connection.close()
            self._slots.release()

    def close(self) -> None:
        """Close all idle connections now, and each of the others after its exchange."""
        self._closed = True
        self._drop_idle()

    def _take(self, attempt: Attempt) -> Connection | None:
        if attempt.fresh:
            # One connection was found closed: the others, idle for longer, most likely are as well.
            self._drop_idle()
            return None
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if connection.is_usable():
                attempt.reused = True
                return connection
            connection.close()
        return None

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                self._idle.popleft().close()
            except IndexError:
                break
