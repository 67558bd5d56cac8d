"""Encodings of a message's data, undone in the order in which `pipeline.toml` names them.

What comes out is bounded, so that a few kilobytes cannot fill the memory (a decompression bomb). What is left over
after the end of compressed data is refused: it would be lost.
"""

import base64
import binascii
import zlib
from collections.abc import Callable, Sequence

from enrichment.errors import failure

_GZIP_BITS = 16 + zlib.MAX_WBITS
# Programs that append to a file may begin a member for each event; every member costs some microseconds.
_MAX_GZIP_MEMBERS = 50_000
_SLICE_BYTES = 16 * 1024
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def undo(data: bytes, encodings: Sequence[str], max_bytes: int) -> bytes:
    """Return the data without its encodings.

    Args:
        data: As it was published.
        encodings: Names of `ENCODINGS`, the outermost first.
        max_bytes: Most bytes that one of them may hold.

    Raises:
        BadEventError: `data_undecodable`, the data is not in one of them, or holds more than `max_bytes`.
    """
    for name in encodings:
        try:
            data = _UNDO[name](data, max_bytes)
        except (ValueError, OSError, EOFError, zlib.error):
            raise failure(
                "data_undecodable", f"the data is not {name}, which [event] encoding in pipeline.toml says"
            ) from None
        if len(data) > max_bytes:
            raise failure(
                "data_undecodable",
                f"the data holds more than {max_bytes} bytes in {name}: publish less in one message, or raise "
                "max_unpacked_bytes in [event] of pipeline.toml",
            )
    return data


def redo(data: bytes, encodings: Sequence[str]) -> bytes:
    """Return data in the encodings that `undo` takes away.

    Args:
        data: Without them.
        encodings: Names of `ENCODINGS`, the outermost first.
    """
    for name in reversed(encodings):
        data = _REDO[name](data)
    return data


def _from_gzip(data: bytes, max_bytes: int) -> bytes:
    """Undo gzip: any number of members (RFC 1952, section 2.2) up to a bound, and zero bytes behind the last."""
    parts: list[bytes] = []
    left, at, members = max_bytes + 1, 0, 0
    reader = zlib.decompressobj(_GZIP_BITS)
    while left > 0:
        if reader.eof:
            members += 1
            if at == len(data) or (data[at] == 0 and not data[at:].strip(b"\0")):
                return b"".join(parts)
            if members == _MAX_GZIP_MEMBERS:
                raise ValueError
            reader = zlib.decompressobj(_GZIP_BITS)
        # In slices: what follows a member is copied, and members may be tiny.
        piece = data[at : at + _SLICE_BYTES]
        if not piece:
            raise EOFError
        part = reader.decompress(piece, left)
        at += len(piece) - len(reader.unused_data) - len(reader.unconsumed_tail)
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _to_gzip(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data, mtime=0)


def _from_zlib(data: bytes, max_bytes: int) -> bytes:
    reader = zlib.decompressobj()
    found = reader.decompress(data, max_bytes + 1)
    if len(found) <= max_bytes and (not reader.eof or reader.unused_data):
        raise EOFError
    return found


def _from_base64(data: bytes, _: int) -> bytes:
    # RFC 4648, sections 3.2 and 5: the padding may be left out, and two characters may be those of URLs.
    text = data.translate(_URL_SAFE, b"\r\n")
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)


def _from_utf_16(data: bytes, _: int) -> bytes:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16").encode()
    # Without a mark: JSON begins with an ASCII character, whose zero byte says which half comes first.
    return data.decode("utf-16-be" if data[:1] == b"\x00" else "utf-16-le").encode()


def _from_utf_8_bom(data: bytes, _: int) -> bytes:
    return data.removeprefix(b"\xef\xbb\xbf")


_UNDO: dict[str, Callable[[bytes, int], bytes]] = {
    "base64": _from_base64,
    "gzip": _from_gzip,
    "zlib": _from_zlib,
    "utf-8-bom": _from_utf_8_bom,
    "utf-16": _from_utf_16,
}
_REDO: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "gzip": _to_gzip,
    "zlib": zlib.compress,
    "utf-8-bom": lambda data: b"\xef\xbb\xbf" + data,
    "utf-16": lambda data: data.decode(errors="replace").encode("utf-16"),
}

ENCODINGS = tuple(_UNDO)
"""The names that `pipeline.toml` may use."""
