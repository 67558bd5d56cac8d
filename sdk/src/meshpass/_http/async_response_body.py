"""Body of a response that asyncio code reads while it comes in."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from meshpass._call.failures import timed_out

if TYPE_CHECKING:
    from meshpass._call.request import Attempt
    from meshpass._call.service import Service
    from meshpass._errors import MeshError
    from meshpass._http.async_connection import AsyncConnection
    from meshpass._http.wire import Reader


class StreamedBody:
    """An `AsyncResponseBody` over a connection.

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
        connection: "AsyncConnection",
        attempt: "Attempt",
        reader: "Reader",
        release: "Callable[[AsyncConnection], None]",
    ) -> None:
        self._service = service
        self._connection = connection
        self._attempt = attempt
        self._reader = reader
        self._release = release
        self._released = False

    async def parts(self) -> AsyncIterator[bytes]:
        """Return the bytes as they come; see `_call.body.ResponseBody.parts`."""
        while not self._released:
            part = await self._next()
            if not part:
                return
            yield part

    async def aclose(self) -> None:
        """Close the body; a connection that still has parts of it is closed as well."""
        self._close()

    def _close(self) -> None:
        if not self._released:
            self._released = True
            self._release(self._connection)

    async def _next(self) -> bytes:
        failed: MeshError | None = None
        try:
            async with asyncio.timeout(self._attempt.left_s()):
                found = await self._connection.next_part(self._reader)
            if isinstance(found, bytes):
                if not found:
                    self._close()
                return found
            failed = found
        except TimeoutError:
            failed = timed_out(self._service, self._attempt.limit_s, "body")
        except BaseException:
            self._close()
            raise
        self._close()
        try:
            raise failed
        finally:
            del failed  # its traceback holds this frame: only the garbage collector would free both
