"""HTTP/1.1 as it goes over a connection: a request as bytes, and a reader of its one response.

Pure: bytes in, bytes out. The reader takes what RFC 9112 allows a server to send and nothing else: no bare line
feeds, no folded fields, no two lengths, no transfer coding but `chunked`. What is ambiguous is an error, because
two readers that disagree about where a response ends are how one caller gets another's.
"""

import re
from typing import TYPE_CHECKING

from meshpass._call.content_coding import TooLargeError
from meshpass._errors import InvalidRequest

if TYPE_CHECKING:
    from meshpass._call.request import Attempt

MAX_HEAD_BYTES = 100 * 1024
"""The size of a response's head that is still read; Envoy's own limit is 60 KiB."""

LAST_CHUNK = b"0\r\n\r\n"
"""What ends a body in chunks (RFC 9112, section 7.1)."""

MAX_FIELDS = 256
"""Fields that one head or trailer may have; Envoy's own limit is 100. Each costs time, however short it is."""

MAX_INTERIM = 100
"""Interim responses before the final one (RFC 9110, section 15.2). A server may send any number of them."""

_MAX_CHUNK_LINE_BYTES = 4096
# Framing that is more than this share of what came means small chunks: they cost more time than all other bytes.
_SMALL_CHUNKS_SHARE = 16

_CRLF = b"\r\n"
_START = b"HTTP/1."
# RFC 9110, section 15: a status above 599 is invalid, and to be treated as 5xx.
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
# RFC 9112, section 7.1; fifteen hexadecimal digits are more than any length.
_CHUNK = re.compile(
    rb"([0-9A-Fa-f]{1,15})[ \t]{0,64}(?:;[\t\x20-\x7e\x80-\xff]{0,%d})?\r\n" % _MAX_CHUNK_LINE_BYTES
)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_NO_BODY = frozenset({204, 304})
_as_line = "%s: %s\r\n".__mod__

Fields = list[tuple[bytes, bytes]]


class WireError(Exception):
    """The peer sent something that is not an HTTP/1.1 response; the message completes "because ..."."""


class NotHTTPError(WireError):
    """The peer speaks another protocol than HTTP/1.1.

    Args:
        why: Completes "because ...".
        hint: What to do about it.
    """

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


def request_bytes(attempt: "Attempt", host: str) -> memoryview:
    """Return a request as it is sent; only the head where the body is produced while it is sent.

    No variable of this function, nor of what is called with the result, shows the secret headers: they may be read
    by an error tracker when an exception passes. The `repr` of a `memoryview` holds no content. The attempt has its
    secrets no more afterwards: it is a variable of what reads the response.

    Args:
        attempt: What to send. Every part has been checked: nothing here can end a line early.
        host: The value of the Host header.

    Raises:
        InvalidRequest: there are characters in the head that HTTP cannot carry.
    """
    try:
        return memoryview(
            (
                f"{attempt.method} {attempt.target} HTTP/1.1\r\nhost: {host}\r\n"
                f"{''.join(map(_as_line, attempt.headers.items()))}"
                f"{''.join(map(_as_line, attempt.secrets.items()))}\r\n"
            ).encode("ascii")
            + (attempt.content if isinstance(attempt.content, bytes) else b"")
        )
    except UnicodeEncodeError:
        pass
    finally:
        attempt.secrets = {}
    # Raised out of the `except` block: the codec's error holds the whole head.
    raise InvalidRequest("The request has a header with characters outside ASCII.")


def chunk(part: bytes) -> bytes:
    """Return a part of a body as one chunk (RFC 9112, section 7.1); nothing for an empty one, which would end it."""
    return b"%x\r\n%b\r\n" % (len(part), part) if part else b""


class Reader:
    """Reads the response to one request.

    Args:
        method: The request's: a response to HEAD has no body.
        limit_bytes: The largest body.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_chunk_left",
        "_chunked",
        "_interim",
        "_keep_alive",
        "_length",
        "_method",
        "_scanned",
        "_size",
        "_small_chunks",
        "_trailer",
        "complete",
        "fields",
        "limit_bytes",
        "status",
    )

    def __init__(self, method: str, limit_bytes: int) -> None:
        self.status = 0
        self.fields: Fields = []
        self.complete = False
        self._method = method
        self.limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer that are known to hold no end of a head
        self._body = bytearray()
        self._size = 0
        self._interim = 0  # how many there were
        self._length: int | None = None
        # Bytes left of a chunk and the line break after it; 0 where a chunk's size comes next.
        self._chunk_left = 0
        self._chunked = self._trailer = self._keep_alive = False
        self._small_chunks = True  # until there is a chunk that says otherwise

    @property
    def body(self) -> bytes:
        """The body without what was taken; whole when `complete`."""
        return bytes(self._body)

    @property
    def buffered(self) -> int:
        """How many bytes `take` would return."""
        return len(self._body)

    @property
    def started(self) -> bool:
        """Whether a first part of the final response's head is there."""
        return bool(self.status or self._buffer)

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another exchange: the response has ended by itself, and nothing follows."""
        return self.complete and self._keep_alive and not self._buffer

    @property
    def is_costly(self) -> bool:
        """Whether the next bytes may take long to read: a head, or small chunks. A plain body is only copied."""
        return not self.status or (self._chunked and self._small_chunks)

    def take(self) -> bytes:
        """Return what has come of the body since the last time, and keep it no longer."""
        part = bytes(self._body)
        self._body.clear()
        return part

    def feed(self, data: bytes | memoryview) -> None:
        """Take what came; empty bytes mean that the peer has closed the connection.

        Raises:
            NotHTTPError: it is another protocol.
            WireError: it is no valid response, or it ended before the response did.
            TooLargeError: the body is larger than the limit.
        """
        if not data:
            self._end()
            return
        self._buffer += data
        while not self.status:
            end = self._buffer.find(b"\r\n\r\n", self._scanned)
            if end < 0:
                self._check_start()
                self._check_head_size(len(self._buffer))
                return
            self._check_head_size(end)
            self._read_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            self._scanned = 0
        if self._chunked:
            self._read_chunks()
        else:
            self._read_plain()

    def _end(self) -> None:
        if not self.status:
            raise WireError("the peer closed it before the response's head was complete")
        if self._chunked or self._length is not None:
            raise WireError("the peer closed it before the response's body was complete")
        self.complete = True

    def _check_start(self) -> None:
        """Refuse another protocol by its first bytes: its end of a head would never come."""
        start = bytes(self._buffer[: len(_START)])
        if not _START.startswith(start):
            raise _other_protocol(bytes(self._buffer[:16]))
        if _BARE_LF.search(self._buffer, self._scanned):
            raise NotHTTPError("it ends a line with a bare line feed, which HTTP/1.1 does not allow")
        self._scanned = max(0, len(self._buffer) - 3)

    def _read_head(self, head: bytes) -> None:
        status_line, *lines = head.split(_CRLF)
        found = _STATUS_LINE.fullmatch(status_line)
        if found is None:
            raise _other_protocol(status_line)
        fields = _fields(lines)
        status = int(found[2])
        if status == 101:
            raise WireError("the peer switched to another protocol unasked")
        if status >= 200:  # an interim response says nothing that is asked here
            self.status, self.fields = status, fields
            self._find_end(fields, http_1_1=found[1] == b"1")
            return
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise WireError(f"the peer sent more than {MAX_INTERIM} interim responses")

    def _find_end(self, fields: Fields, *, http_1_1: bool) -> None:
        """Decide where the body ends, as RFC 9112, section 6.3 says."""
        codings: list[bytes] = []
        lengths: set[bytes] = set()
        options: list[bytes] = []
        for name, value in fields:
            if name == b"content-length":
                lengths.update(part.strip() for part in value.split(b","))
            elif name == b"transfer-encoding":
                codings.append(value.lower())
            elif name == b"connection":
                options += [option.strip() for option in value.lower().split(b",")]
        self._keep_alive = http_1_1 and b"close" not in options
        if codings and (codings != [b"chunked"] or lengths or not http_1_1):
            raise WireError("the response's length is ambiguous")
        if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
            raise WireError("the response's length is ambiguous")
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
        buffer = self._buffer
        left = len(buffer) if self._length is None else self._length - self._size
        if left and buffer:
            if left >= len(buffer):
                left = len(buffer)
                self._body += buffer
                buffer.clear()
            else:
                self._body += memoryview(buffer)[:left]
                del buffer[:left]
            self._size += left
            self._check_size(self._size)
        self.complete = self._size == self._length

    def _read_chunks(self) -> None:
        # The loop is short and its names are local: a body may come in millions of chunks.
        buffer, body, at, left = self._buffer, self._body, 0, self._chunk_left
        filled, match, before = len(buffer), _CHUNK.match, len(body)
        while not self._trailer:
            if not left:
                found = match(buffer, at)
                if found is None:
                    self._check_chunk_line(at)
                    break
                size = int(found[1], 16)
                if not size:
                    self._trailer, at = True, found.end() - 2  # the empty line may be this line's own end
                    break
                self._size += size
                if self._size > self.limit_bytes:
                    raise TooLargeError
                left, at = size + 2, found.end()
            if filled - at >= left:
                at += left
                if buffer[at - 2 : at] != _CRLF:
                    raise WireError("a chunk is longer than it says")
                if left > 2:
                    body += buffer[at - left : at - 2]
                left = 0
                continue
            # Only what is the chunk's own: its line break is read together.
            piece = min(left - 2, filled - at)
            if piece > 0:
                body += buffer[at : at + piece]
                at, left = at + piece, left - piece
            break
        self._chunk_left = left
        framing = at - (len(body) - before)
        self._small_chunks = framing * _SMALL_CHUNKS_SHARE > at
        del buffer[:at]
        if self._trailer:
            self._read_trailer()

    def _check_chunk_line(self, at: int) -> None:
        """Refuse a line that cannot become a chunk's size any more; otherwise there is more to come."""
        end = self._buffer.find(_CRLF, at)
        if (len(self._buffer) if end < 0 else end) - at > _MAX_CHUNK_LINE_BYTES:
            raise WireError("the line with a chunk's size is too large")
        if end >= 0:
            raise WireError("a chunk has no size")

    def _read_trailer(self) -> None:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", self._scanned)
        self._check_head_size(len(buffer) if end < 0 else end)
        self._scanned = max(0, len(buffer) - 3)
        if end >= 0:
            _fields(bytes(buffer[2:end]).split(_CRLF) if end > 0 else [])
            del buffer[: end + 4]
            self.complete = True

    def _check_size(self, size: int) -> None:
        if size > self.limit_bytes:
            raise TooLargeError

    def _check_head_size(self, size: int) -> None:
        if size > MAX_HEAD_BYTES:
            raise WireError("the response's head is too large")


def _other_protocol(start: bytes) -> NotHTTPError:
    """Name the protocol by its first bytes, where it is one that is often met."""
    # RFC 9113, section 3.4: a server's first frame is SETTINGS, of type 4, on stream 0.
    if start[3:4] == b"\x04" and start[5:9] == bytes(4)[: len(start[5:9])] and start[:1] == b"\0":
        return NotHTTPError(
            "it sent a frame of HTTP/2", "This port takes HTTP/2 alone: call one that takes HTTP/1.1."
        )
    if start[:1] in (b"\x15", b"\x16") and start[1:2] == b"\x03":  # RFC 8446, section 5.1: alert or handshake
        return NotHTTPError("it sent a TLS record", "This port speaks TLS: the URL must begin with https://.")
    return NotHTTPError("it does not speak HTTP/1.1", "Check its address and port.")


def _fields(lines: list[bytes]) -> Fields:
    if len(lines) > MAX_FIELDS:
        raise WireError(f"the response has more than {MAX_FIELDS} fields")
    fields = []
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise WireError("the response's head has a line that is no field")
        fields.append((found[1].lower(), found[2].strip(b" \t")))
    return fields
