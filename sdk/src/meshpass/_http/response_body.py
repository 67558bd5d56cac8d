"""Body of a response that blocking code reads while it comes in."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from meshpass._call.failures import timed_out

if TYPE_CHECKING:
    from meshpass._call.request import Attempt
    from meshpass._call.service import Service
    from meshpass._errors import MeshError
    from meshpass._http.connection import Connection
    from meshpass._http.wire import Reader


class SyncResponseBody:
    """A `ResponseBody` over a connection.

    Args:
        service: What was called.
        connection: Where the body comes from.
        attempt: Says until when to wait.
        reader: Has read the head.
        release: Gives the connection back to its pool; called once.
    """

    def __init__(
        self,
        service: "Service",
        connection: "Connection",
        attempt: "Attempt",
        reader: "Reader",
        release: "Callable[[Connection], None]",
    ) -> None:
        self._service = service
        self._connection = connection
        self._attempt = attempt
        self._reader = reader
        self._release = release
        self._released = False

    def parts(self) -> Iterator[bytes]:
        """Return the bytes as they come; see `_call.body.ResponseBody.parts`."""
        reader = self._reader
        while True:
            if reader.complete:
                self._connection.settle(reader)
                self.close()
            if reader.buffered:
                yield reader.take()
            if self._released:
                return
            self._receive()

    def close(self) -> None:
        """Close the body; a connection that still has parts of it is closed as well."""
        if not self._released:
            self._released = True
            self._release(self._connection)

    def _receive(self) -> None:
        failed: MeshError | None = None
        try:
            failed = self._connection.receive(self._attempt, self._reader)
        except TimeoutError:
            failed = timed_out(self._service, self._attempt.limit_s, "body")
        except BaseException:
            self.close()
            raise
        if failed is not None:
            self.close()
            try:
                raise failed
            finally:
                del failed  # its traceback holds this frame: only the garbage collector would free both
