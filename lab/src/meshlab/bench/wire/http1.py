"""Messages of HTTP/1.1 (RFC 9112), read exactly as they were sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.wire.socket_reader import StreamError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.bench.wire.socket_reader import Stream

__all__ = ["HEAD_BYTES", "header_value", "read_body", "read_head"]

HEAD_BYTES = 262_144
"""The longest head of a message that is read."""

_BODY_BYTES = 16_777_216
_LINE_BYTES = 1_024

Headers = list[tuple[str, str]]


def read_head(stream: Stream) -> tuple[str, Headers] | None:
    """Read the first line and the headers in order; `None` where the peer finished before.

    Raises:
        StreamError: It is no head of a message.
    """
    head = stream.take_until(b"\r\n\r\n", HEAD_BYTES)
    if not head:
        return None
    first, *lines = head.decode(errors="replace").removesuffix("\r\n\r\n").split("\r\n")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name:
            raise StreamError("a header line has no colon")
        headers.append((name, value.strip(" \t")))
    return first, headers


def read_body(stream: Stream, headers: Iterable[tuple[str, str]], *, until_closed: bool) -> bytes:
    """Read the body that the headers announce.

    Args:
        stream: The connection.
        headers: The message's headers.
        until_closed: Whether a body of unknown length ends with the connection, as in a response.

    Raises:
        StreamError: It is shorter or longer than announced or allowed.
    """
    if header_value(headers, "transfer-encoding").lower() == "chunked":
        return _read_chunks(stream)
    length = header_value(headers, "content-length")
    if not length:
        return stream.take_rest(_BODY_BYTES) if until_closed else b""
    if not (length.isascii() and length.isdigit()) or int(length) > _BODY_BYTES:
        raise StreamError("the content length is no number or too large")
    return stream.take_exactly(int(length))


def header_value(headers: Iterable[tuple[str, str]], name: str) -> str:
    """Return the first value of a header, or nothing."""
    return next((value for key, value in headers if key.lower() == name), "")


def _read_chunks(stream: Stream) -> bytes:
    body = bytearray()
    while True:
        line = stream.take_until(b"\r\n", _LINE_BYTES).partition(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError:
            raise StreamError("the size of a chunk is no number") from None
        if not 0 <= size <= _BODY_BYTES - len(body):
            raise StreamError("the body is too large")
        if size == 0:
            while stream.take_until(b"\r\n", HEAD_BYTES) not in (b"\r\n", b""):
                pass  # trailers
            return bytes(body)
        body += stream.take_exactly(size)
        stream.take_exactly(2)
