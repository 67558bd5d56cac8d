"""HTTP/1.1 client that writes the request line and headers as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.wire.http1 import read_body, read_head
from meshlab.bench.wire.socket_reader import StreamError

if TYPE_CHECKING:
    from meshlab.bench.client.wire_request import WireRequest
    from meshlab.bench.wire.socket_reader import Stream

__all__ = ["exchange_http1"]

_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200
_WITHOUT_BODY = (204, 304)


def exchange_http1(stream: Stream, request: WireRequest) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """Send a request and return status, headers and body of its final response.

    Raises:
        StreamError: The other end finished before, or sent something else.
        OSError: The connection broke.
    """
    stream.send_as_far_as_taken(_encode(request))
    while head := read_head(stream):
        first, headers = head
        version, _, rest = first.partition(" ")
        code = rest[:3]
        if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit()):
            raise StreamError("the other end does not speak HTTP/1.1")
        status = int(code)
        if status < _FIRST_FINAL and status != _SWITCHING_PROTOCOLS:
            continue  # an interim response
        without_body = request.method == "HEAD" or status in _WITHOUT_BODY or status < _FIRST_FINAL
        body = b"" if without_body else read_body(stream, headers, until_closed=True)
        return status, tuple(headers), body
    raise StreamError("the connection was closed without an answer")


def _encode(request: WireRequest) -> bytes:
    headers = list(request.headers)
    if request.authority is not None:
        headers.insert(0, ("Host", request.authority))
    if request.body and not request.announces_body:
        headers.append(("Content-Length", str(len(request.body))))
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode(errors="surrogateescape") + request.body
