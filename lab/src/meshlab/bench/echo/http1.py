"""HTTP/1.1 side of the echo server."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from meshlab.bench.echo.exchange import ReceivedRequest, Response
from meshlab.bench.echo.stream import StreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.bench.echo.exchange import TlsFacts
    from meshlab.bench.echo.stream import Stream

__all__ = ["looks_like_http1", "serve_http1"]

_HEAD_BYTES = 262_144
_BODY_BYTES = 16_777_216
_LINE_BYTES = 1_024
_METHOD_BYTES = 64
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def looks_like_http1(stream: Stream) -> bool:
    """Whether the client's first line is a request line; waits for the line where its beginning could be one.

    Raises:
        TimeoutError: The line did not end in time.
    """
    wanted = 1
    while True:
        data = stream.peek_at_least(wanted)
        line, end, _ = data.partition(b"\n")
        if end:
            return line.rstrip(b"\r").rpartition(b" ")[2] in (b"HTTP/1.1", b"HTTP/1.0")
        method, space, _ = line.partition(b" ")
        # A client of another protocol may wait for the answer: do not wait for the end of a line then.
        plausible = (
            set(method) <= _TOKEN and len(method) <= _METHOD_BYTES and (space or method.upper() == method)
        )
        if not plausible or len(data) < wanted or len(data) > _HEAD_BYTES:
            return False
        wanted = len(data) + 1


def serve_http1(
    stream: Stream, peer: str, tls: TlsFacts | None, answer: Callable[[ReceivedRequest], Response]
) -> None:
    """Serve requests until the client closes the connection or asks to.

    Raises:
        StreamError: What the client sent is not HTTP/1.1.
        OSError: The connection broke.
    """
    keep = True
    while keep and (head := stream.take_until(b"\r\n\r\n", _HEAD_BYTES)):
        method, target, version, headers = _parse(head)
        fields = {name.lower(): value for name, value in headers}
        if fields.get("expect", "").lower() == "100-continue":
            stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = _body(stream, fields)
        keep = version == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
        host = fields.get("host", "")
        request = ReceivedRequest(version, peer, method, target, host, tuple(headers), body, tls)
        stream.send(_encode(answer(request), head_only=method == "HEAD", close=not keep))


def _parse(head: bytes) -> tuple[str, str, str, list[tuple[str, str]]]:
    first, *lines = head.decode(errors="replace").removesuffix("\r\n\r\n").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.rpartition(" ")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name:
            raise StreamError("a header line has no colon")
        headers.append((name, value.strip(" \t")))
    return method, target, version, headers


def _body(stream: Stream, fields: dict[str, str]) -> bytes:
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(stream)
    length = fields.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > _BODY_BYTES:
        raise StreamError("the content length is no number or too large")
    return stream.take_exactly(int(length))


def _chunks(stream: Stream) -> bytes:
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
            while stream.take_until(b"\r\n", _HEAD_BYTES) not in (b"\r\n", b""):
                pass  # trailers
            return bytes(body)
        body += stream.take_exactly(size)
        stream.take_exactly(2)


def _encode(response: Response, *, head_only: bool, close: bool) -> bytes:
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [
        f"HTTP/1.1 {response.status} {phrase}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    sized = {"content-length", "transfer-encoding"} & {name.lower() for name, _ in response.headers}
    if response.has_body and not sized:
        lines.append(f"content-length: {len(response.body)}")
    if close:
        lines.append("connection: close")
    head = "\r\n".join([*lines, "", ""]).encode()
    return head if head_only or not response.has_body else head + response.body
