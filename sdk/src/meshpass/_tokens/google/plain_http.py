"""One exchange over plain HTTP, with the metadata server and other servers of this machine or its network.

It uses the standard library, which most programs have loaded already. So the first token of a program on Google Cloud
needs no other HTTP client, and no CAs.
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
    """Send a request, and yield the response: status, headers, and the body in parts.

    Args:
        url: The URL, `http://...`.
        method: The HTTP method.
        body: The request's body.
        headers: The request's headers.
        connect_timeout_s: How long connecting may take, in seconds.
        timeout_s: How long to wait for the next byte, in seconds.
        left: The time left for name lookup, connecting, sending, head and body together.

    Raises:
        OSError: there was no connection, it broke, or the response was late.
        HTTPException: the URL has no valid host and port, or the response is not HTTP.
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
        received = connection.getresponse()
        # Names are looked up in any case, as in `httpx.Headers`.
        fields = cast("Mapping[str, str]", received.headers)
        yield received.status, fields, iter(lambda: received.read1(_CHUNK_BYTES), b"")
    finally:
        connection.close()
