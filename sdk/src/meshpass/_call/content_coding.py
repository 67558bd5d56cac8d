"""Content codings of a response's body, undone in slices of bounded work and never beyond the size allowed.

A small gzip body can hold gigabytes, and a body of empty gzip members costs time without giving a byte. So the work
is cut into slices, between which a caller looks at its deadline or lets other tasks run.
"""

import zlib
from collections.abc import Iterator

MAX_CODINGS = 5
"""Codings that one body may have, one in the other. A real one has one or two; urllib3 allows as many."""

MAX_MEMBERS = 10_000
"""Members that one gzip body may have. Tools that write many put 64 KiB into each."""

# Bounds the work of one slice: input copied and output produced, in bytes.
_SLICE_INPUT_BYTES = 16 * 1024
_SLICE_OUTPUT_BYTES = 64 * 1024

_GZIP_BITS = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = frozenset({"gzip", "x-gzip"})
# Registered codings (iana.org/assignments/http-parameters) that are not asked for and cannot be undone here. Names
# that are not registered, such as "none" or "utf-8", are no codings: httpx and requests give such a body as it is.
_REFUSED = frozenset(
    {"aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd"}
)


class TooLargeError(Exception):
    """The body has more bytes than allowed."""


class NotDecodableError(Exception):
    """The body is not what its content-encoding says; the message completes "because ..."."""


class Decoder:
    """Content codings of one body, undone part by part.

    Args:
        content_encoding: The header's value, such as `gzip`.
        limit_bytes: The most bytes that undoing any one coding may produce.

    Raises:
        NotDecodableError: there are too many codings, or one that was not asked for.
    """

    __slots__ = ("_layers",)

    def __init__(self, content_encoding: str, limit_bytes: int) -> None:
        if content_encoding.count(",") > 10 * MAX_CODINGS:  # before the list is made
            raise NotDecodableError(f"it has more than {MAX_CODINGS} content codings")
        names = [name.strip().lower() for name in content_encoding.split(",")]
        if any(name in _REFUSED for name in names):
            raise NotDecodableError("it is in a coding that was not asked for")
        known = [name for name in names if name in _GZIP or name == "deflate"]
        if len(known) > MAX_CODINGS:
            raise NotDecodableError(f"it has more than {MAX_CODINGS} content codings")
        # The last coding was applied last, and is undone first (RFC 9110, section 8.4).
        self._layers: list[_Layer] = [
            _Gzip(limit_bytes) if name in _GZIP else _Deflate(limit_bytes) for name in reversed(known)
        ]

    @property
    def is_identity(self) -> bool:
        """Whether there is nothing to undo."""
        return not self._layers

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode a part; every item is one slice of bounded work, and may be empty.

        Raises:
            TooLargeError: the decoded body would be larger than the limit.
            NotDecodableError: the body is damaged, or has too many members.
        """
        return self._through(0, data)

    def finish(self) -> Iterator[bytes]:
        """Decode what is left when the body has ended; otherwise as `feed`.

        Raises:
            NotDecodableError: the body ended too early.
        """
        for index, layer in enumerate(self._layers):
            for part in layer.finish():
                yield from self._through(index + 1, part)

    def _through(self, index: int, data: bytes) -> Iterator[bytes]:
        if index == len(self._layers):
            yield data
            return
        layer = self._layers[index]
        for start in range(0, len(data), _SLICE_INPUT_BYTES):
            for part in layer.feed(data[start : start + _SLICE_INPUT_BYTES]):
                if part:
                    yield from self._through(index + 1, part)
                else:
                    yield b""


def decode_slices(body: bytes, content_encoding: str, limit_bytes: int) -> Iterator[bytes]:
    """Decode a whole body; every item is one slice of bounded work, and may be empty.

    Args:
        body: What came over the wire.
        content_encoding: The header's value, such as `gzip`.
        limit_bytes: The most bytes that undoing any one coding may produce.

    Raises:
        TooLargeError: the decoded body would be larger than the limit.
        NotDecodableError: it is damaged, cut short, or in a coding that was not asked for.
    """
    decoder = Decoder(content_encoding, limit_bytes)
    if decoder.is_identity:
        yield body
        return
    yield from decoder.feed(body)
    yield from decoder.finish()


class _Layer:
    """One coding: its state, and how much it has produced."""

    __slots__ = ("_head", "_inflate", "_limit", "_size")

    def __init__(self, limit_bytes: int, window_bits: int) -> None:
        self._limit = limit_bytes
        self._size = 0
        # The first bytes of what begins here, while they are too few to say what it is.
        self._head = b""
        self._inflate = zlib.decompressobj(window_bits)

    def feed(self, data: bytes) -> Iterator[bytes]:
        raise NotImplementedError

    def finish(self) -> Iterator[bytes]:
        while not self._inflate.eof:
            part = self._take(b"")
            if not part:
                raise NotDecodableError("its compressed data ends too early")
            yield part

    def _take(self, data: bytes) -> bytes:
        room = self._limit - self._size
        try:
            part = self._inflate.decompress(data, min(_SLICE_OUTPUT_BYTES, room + 1))
        except zlib.error:
            raise NotDecodableError("its compressed data is damaged") from None
        if len(part) > room:
            raise TooLargeError
        self._size += len(part)
        return part


class _Gzip(_Layer):
    """One gzip coding: any number of members (RFC 1952, section 2.2), and padding behind the last."""

    __slots__ = ("_members", "_padding")

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes, _GZIP_BITS)
        self._members = 0
        self._padding = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self._padding:
            if self._inflate.eof:
                data, self._head = self._head + data, b""
                if len(data) < len(_GZIP_MAGIC):
                    self._head = data
                    return
                if not data.startswith(_GZIP_MAGIC):
                    self._padding = True  # httpx reads no further than the first member either
                    return
                self._inflate = zlib.decompressobj(_GZIP_BITS)
            part = self._take(data)
            data = self._inflate.unconsumed_tail
            if self._inflate.eof:
                data = self._inflate.unused_data
                self._members += 1
                if self._members > MAX_MEMBERS:
                    raise NotDecodableError(f"it has more than {MAX_MEMBERS} gzip members")
            yield part


class _Deflate(_Layer):
    """One deflate coding: a zlib stream (RFC 9110, section 8.4.1.2), or a bare one, as old servers send it."""

    __slots__ = ("_opened",)

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes, zlib.MAX_WBITS)
        self._opened = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        if not self._opened:
            data = self._head = self._head + data
            if len(data) < 2:
                return
            self._open(data)
        # What follows the end is padding, as for httpx.
        while data and not self._inflate.eof:
            part = self._take(data)
            data = self._inflate.unconsumed_tail
            yield part

    def finish(self) -> Iterator[bytes]:
        if not self._opened:
            raise NotDecodableError("its compressed data ends too early")
        yield from super().finish()

    def _open(self, data: bytes) -> None:
        self._opened = True
        # RFC 1950, section 2.2: the method is 8, and the two bytes are a multiple of 31.
        if data[0] & 0x0F != 8 or int.from_bytes(data[:2]) % 31:
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
