"""Connection pool of the blocking client: the connections to one service, each used by one thread at a time."""

import threading
from collections import deque

from meshpass._call.request import Attempt
from meshpass._call.response import RawResponse
from meshpass._call.service import MAX_CONNECTIONS, Service
from meshpass._errors import MeshError
from meshpass._http.connection import Connection, connect
from meshpass._http.tls import TLSContext, find_refusal, may_hide_refusal


class ConnectionPool:
    """Sends attempts to a service's address and reads the responses. Safe for threads; not to be used after a fork.

    Args:
        service: What to call and where to dial.

    Raises:
        ConfigurationError: the files of CAs or of our certificate cannot be used.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tls = TLSContext(service)
        # The last one used comes first, so that those that are not needed grow old.
        self._idle: deque[Connection] = deque()
        self._slots = threading.Semaphore(MAX_CONNECTIONS)
        self._closed = False

    def send(self, attempt: Attempt) -> RawResponse | MeshError:
        """Send one attempt and read its response.

        Returns:
            The response, read to its end unless it is streamed; or why there is none, see `failures`.

        Raises:
            TimeoutError: the attempt's time was up; its `phase` says where.
            Exception: what the caller's own body raised.
        """
        connection, context, placed, streamed = None, None, False, False
        try:
            placed = self._slots.acquire(timeout=attempt.left_s())
            if not placed:
                raise TimeoutError
            connection = self._take(attempt)
            if connection is None:
                context = self._tls.current()
                found = connect(self._service, context, attempt)
                if isinstance(found, MeshError):
                    return found
                connection = found
            outcome = connection.exchange(attempt, self._release)
            if context is not None and may_hide_refusal(attempt, outcome):
                return find_refusal(self._service, context, attempt.until) or outcome
            streamed = (
                attempt.stream and not isinstance(outcome, MeshError) and not isinstance(outcome.body, bytes)
            )
            return outcome
        finally:
            if placed and not streamed:
                self._release(connection)

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

    def _release(self, connection: Connection | None) -> None:
        """Keep a connection for the next attempt, or close it; its place is free."""
        try:
            if connection is not None:
                if connection.reusable and not self._closed:
                    self._idle.append(connection)
                else:
                    connection.close()
        finally:
            self._slots.release()  # whatever interrupts this

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                self._idle.popleft().close()
            except IndexError:
                break
