"""Framing of a request body that is produced while it is sent: by its length, or in chunks."""

from meshpass._errors import InvalidRequest
from meshpass._http.wire import LAST_CHUNK, chunk


class Framing:
    """Turns the parts of one body into what goes over the connection.

    Args:
        length: The size that the head declares, in bytes; None means chunked transfer coding.
    """

    __slots__ = ("_left", "_length")

    def __init__(self, length: int | None) -> None:
        self._length = length
        self._left = length or 0

    def part(self, part: bytes) -> bytes:
        """Return a part as it is sent.

        Raises:
            InvalidRequest: the body is longer than its declared length.
        """
        if self._length is None:
            return chunk(part)
        self._left -= len(part)
        if self._left < 0:
            raise InvalidRequest(f"The body has more than the {self._length} bytes of its declared length.")
        return part

    def end(self) -> bytes:
        """Return what is sent after the last part.

        Raises:
            InvalidRequest: the body is shorter than its declared length.
        """
        if self._left:
            sent = (self._length or 0) - self._left
            raise InvalidRequest(f"The body has {sent} bytes, and its declared length is {self._length}.")
        return LAST_CHUNK if self._length is None else b""
