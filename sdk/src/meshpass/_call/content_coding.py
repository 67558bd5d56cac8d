"""An answer's body, decoded, and never larger than the caller allows: a small gzip can hold gigabytes."""

import zlib

# What this client accepts; the names of RFC 9110, section 8.4.1.
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class TooLargeError(Exception):
    """The body has more bytes than allowed."""


class NotDecodableError(Exception):
    """The body is not what its content-encoding says."""


def decode(body: bytes, content_encoding: str, limit_bytes: int) -> bytes:
    """Undo the content codings, last one first.

    Args:
        body: What came over the wire.
        content_encoding: The header's value, such as `gzip`.
        limit_bytes: The most that any step may produce.

    Raises:
        TooLargeError: the decoded body would be larger than the limit.
        NotDecodableError: it is damaged, cut short, or in a coding that was not asked for.
    """
    codings = [name.strip().lower() for name in content_encoding.split(",")]
    for name in reversed([name for name in codings if name not in ("", "identity")]):
        if name not in _WINDOW_BITS:
            raise NotDecodableError("it is in a coding that was not asked for")
        body = _inflate(body, _WINDOW_BITS[name], limit_bytes)
    return body


def _inflate(body: bytes, window_bits: int, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    # A gzip body may have several members, one after the other (RFC 1952, section 2.2).
    while body:
        if window_bits == zlib.MAX_WBITS and body[0] & 0x0F != 8:
            window_bits = -zlib.MAX_WBITS  # "deflate" without the zlib header, as old servers send it
        inflater = zlib.decompressobj(window_bits)
        try:
            part = inflater.decompress(body, limit_bytes - size + 1)
        except zlib.error:
            raise NotDecodableError("its compressed data is damaged") from None
        size += len(part)
        if size > limit_bytes:
            raise TooLargeError
        if not inflater.eof:
            raise NotDecodableError("its compressed data ends too early")
        parts.append(part)
        body = inflater.unused_data
    return b"".join(parts)
