"""HTTP/1.1 side of the echo server."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from meshlab.bench.echo.exchange import ReceivedRequest, Response
from meshlab.bench.wire.http1 import HEAD_BYTES, header_value, read_body, read_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.bench.echo.exchange import TlsFacts
    from meshlab.bench.wire.socket_reader import Stream

__all__ = ["looks_like_http1", "serve_http1"]

_METHOD_BYTES = 64
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def looks_like_http1(stream: Stream) -> bool:
    """Return whether the client's first line is a request line; waits for the line where its beginning could be one.

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
        if not plausible or len(data) < wanted or len(data) > HEAD_BYTES:
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
    while keep and (head := read_head(stream)):
        first, headers = head
        method, _, rest = first.partition(" ")
        target, _, version = rest.rpartition(" ")
        if header_value(headers, "expect").lower() == "100-continue":
            stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = read_body(stream, headers, until_closed=False)
        keep = version == "HTTP/1.1" and header_value(headers, "connection").lower() != "close"
        host = header_value(headers, "host")
        request = ReceivedRequest(version, peer, method, target, host, tuple(headers), body, tls)
        stream.send(_encode(answer(request), head_only=method == "HEAD", close=not keep))


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
