"""HTTP/1.1 as it goes over a connection: a request as bytes, and a reader of its one answer.

Pure: bytes in, bytes out. The reader takes what RFC 9112 allows a server to send and nothing else: no bare line
feeds, no folded fields, no two lengths, no transfer coding but `chunked`. What is ambiguous is an error, because
two readers that disagree about where an answer ends are how one caller gets another's.
"""

import re
from collections.abc import Iterable

from meshpass._call.content_coding import TooLargeError

MAX_HEAD_BYTES = 100 * 1024
"""The size of an answer's head that is still read; Envoy's own limit is 60 KiB."""

_CRLF = b"\r\n"
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
# RFC 9112, section 7.1; fifteen hexadecimal digits are more than any length.
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_NO_BODY = frozenset({204, 304})

Fields = list[tuple[bytes, bytes]]


class WireError(Exception):
    """The peer sent something that is not an HTTP/1.1 answer; the message completes "because ..."."""


def request_bytes(
    method: str, target: str, host: str, headers: Iterable[tuple[str, str]], content: bytes | None
) -> bytes:
    """Return a request as it is sent. Every part has been checked: nothing here can end a line early."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
    head = f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n".encode("ascii")
    return head + content if content else head


class Reader:
    """Reads the answer to one request.

    Args:
        method: The request's: an answer to HEAD has no body.
        limit_bytes: The largest body.
    """

    __slots__ = (
        "_buffer",
        "_chunked",
        "_keep_alive",
        "_length",
        "_limit",
        "_method",
        "_parts",
        "_size",
        "_trailer",
        "complete",
        "fields",
        "status",
    )

    def __init__(self, method: str, limit_bytes: int) -> None:
        self.status = 0
        self.fields: Fields = []
        self.complete = False
        self._method = method
        self._limit = limit_bytes
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._size = 0
        self._length: int | None = None
        self._chunked = self._trailer = self._keep_alive = False

    @property
    def body(self) -> bytes:
        """The body; whole when `complete`."""
        return b"".join(self._parts)

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another exchange: the answer has ended, by itself, and nothing follows."""
        return self.complete and self._keep_alive and not self._buffer

    def feed(self, data: bytes) -> None:
        """Take what came; empty bytes mean that the peer has closed the connection.

        Raises:
            WireError: it is no HTTP, or it ended before the answer did.
            TooLargeError: the body is larger than the limit.
        """
        if not data:
            self._end()
            return
        self._buffer += data
        while not self.status:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                self._check_head_size(len(self._buffer))
                return
            self._check_head_size(end)
            self._read_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
        if self._chunked:
            self._read_chunks()
        else:
            self._read_plain()

    def _end(self) -> None:
        if not self.status:
            raise WireError("the peer closed it before the answer's head was complete")
        if self._chunked or self._length is not None:
            raise WireError("the peer closed it before the answer's body was complete")
        self.complete = True

    def _read_head(self, head: bytes) -> None:
        status_line, *lines = head.split(_CRLF)
        found = _STATUS_LINE.fullmatch(status_line)
        if found is None:
            raise WireError("the peer does not speak HTTP/1.1")
        fields = _fields(lines)
        status = int(found[2])
        if status == 101:
            raise WireError("the peer switched to another protocol unasked")
        if status >= 200:  # an interim answer says nothing that is asked here
            self.status, self.fields = status, fields
            self._find_end(fields, http_1_1=found[1] == b"1")

    def _find_end(self, fields: Fields, *, http_1_1: bool) -> None:
        """Decide where the body ends, as RFC 9112, section 6.3 says."""
        codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        lengths = {
            part.strip() for name, value in fields if name == b"content-length" for part in value.split(b",")
        }
        options = b",".join(value.lower() for name, value in fields if name == b"connection")
        self._keep_alive = http_1_1 and b"close" not in [option.strip() for option in options.split(b",")]
        if codings and (codings != [b"chunked"] or lengths or not http_1_1):
            raise WireError("the answer's length is ambiguous")
        if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
            raise WireError("the answer's length is ambiguous")
        if self._method == "HEAD" or self.status in _NO_BODY:
            self._length = 0
        elif codings:
            self._chunked = True
        elif lengths:
            self._length = int(lengths.pop())
            self._check_size(self._length)
        else:
            self._keep_alive = False

    def _read_plain(self) -> None:
        left = len(self._buffer) if self._length is None else self._length - self._size
        if left:
            part = bytes(self._buffer[:left])
            del self._buffer[:left]
            self._add(part)
        self.complete = self._size == self._length

    def _read_chunks(self) -> None:
        buffer, at = self._buffer, 0
        while not self._trailer:
            end = buffer.find(_CRLF, at)
            if end < 0:
                self._check_head_size(len(buffer) - at)
                break
            found = _CHUNK.fullmatch(buffer, at, end)
            if found is None:
                raise WireError("a chunk has no size")
            size = int(found[1], 16)
            self._check_size(self._size + size)
            if size == 0:
                self._trailer, at = True, end  # the empty line that ends it may be this line's own end
                break
            start, stop = end + 2, end + 2 + size
            if len(buffer) < stop + 2:
                break  # the chunk is read when all of it is there; the limit bounds it
            if buffer[stop : stop + 2] != _CRLF:
                raise WireError("a chunk is longer than it says")
            self._add(bytes(buffer[start:stop]))
            at = stop + 2
        del buffer[:at]
        if self._trailer:
            end = buffer.find(b"\r\n\r\n")
            self._check_head_size(len(buffer) if end < 0 else end)
            if end >= 0:
                _fields(bytes(buffer[2:end]).split(_CRLF) if end > 0 else [])
                del buffer[: end + 4]
                self.complete = True

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        self._check_size(self._size)
        self._parts.append(part)

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise TooLargeError

    def _check_head_size(self, size: int) -> None:
        if size > MAX_HEAD_BYTES:
            raise WireError("the answer's head is too large")


def _fields(lines: list[bytes]) -> Fields:
    fields = []
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise WireError("the answer's head has a line that is no field")
        fields.append((found[1].lower(), found[2].strip(b" \t")))
    return fields
