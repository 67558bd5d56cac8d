"""One exchange over plain HTTP: with the metadata server and other places on this machine and its own network.

By the standard library, which most programs have loaded already: for its first token a program on Google Cloud needs no
HTTP client beside it, nor the CAs that come with one.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit

from meshpass._tokens.google.bounded import BoundedSocket, Left, connect

_CHUNK_BYTES = 65_536


@contextmanager
def response(
    url: str,
    method: str,
    body: bytes | None,
    headers: Mapping[str, str],
    connect_timeout_s: float,
    timeout_s: float,
    left: Left,
) -> Iterator[tuple[int, Mapping[str, str], Iterable[bytes]]]:
    """Send a request, and give the answer while the block runs: status, headers, and the body in parts.

    Args:
        url: Where to, `http://...`.
        method: The HTTP method.
        body: What to send.
        headers: The request's headers.
        connect_timeout_s: How long connecting may take, in seconds.
        timeout_s: How long to wait for the next byte, in seconds.
        left: The time left for all of it: looking the name up, connecting, sending, head and body.

    Raises:
        OSError: no connection, or it broke, or nothing came in time.
        HTTPException: the URL has no valid host and port, or what came is no HTTP.
    """
    from http.client import HTTPConnection, InvalidURL

    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise InvalidURL("The URL has no valid host and port.")
    connection = HTTPConnection(host, port or 80)
    try:
        connected = connect(host, port or 80, connect_timeout_s, left)
        connection.sock = BoundedSocket(connected, timeout_s, left)
        target = parts.path or "/"
        connection.request(method, f"{target}?{parts.query}" if parts.query else target, body, dict(headers))
        answer = connection.getresponse()
        # Names are looked up whatever their case, as in `httpx.Headers`.
        fields = cast("Mapping[str, str]", answer.headers)
        yield answer.status, fields, iter(lambda: answer.read1(_CHUNK_BYTES), b"")
    finally:
        connection.close()
