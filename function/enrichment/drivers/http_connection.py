"""uvicorn's HTTP/1.1 connection, with one write for a response, and with the limits that it leaves to a proxy.

Cloud Run has a front end that holds requests to limits. On GKE or on a machine of one's own there may be none.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Most bytes of a request's line and headers that are kept while the rest is awaited. Pub/Sub writes attributes as
headers of an unwrapped push: at most 100, with 256 bytes for a name and 1,024 for a value
(https://cloud.google.com/pubsub/quotas#resource_limits)."""

_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class HttpConnection(HttpToolsProtocol):
    """A connection that sends a small response in one write, bounds heads, and knows how long one is awaited."""

    _incomplete_since: float | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to await a request."""
        self._joined = _JoinedWrites(transport)
        super().connection_made(self._joined)
        self._incomplete_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request."""
        super().data_received(data)
        cycle = self.cycle
        has_head = cycle is not None and cycle.scope is self.scope
        if has_head and not cycle.more_body:
            self._incomplete_since = None
            self._head_bytes = 0
            return
        if self._incomplete_since is None:
            self._incomplete_since = self.loop.time()
        if has_head:
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.close()

    def on_response_complete(self) -> None:
        """Send a response that has no body, and go on to the next request."""
        self._joined.flush()
        super().on_response_complete()

    def close_if_slow(self, now: float, most_s: float) -> None:
        """Close the connection if a request on it has been incomplete for too long.

        Args:
            now: The time of the loop, in seconds.
            most_s: How long a request may take to arrive, in seconds.
        """
        if self._incomplete_since is not None and now - self._incomplete_since > most_s:
            self.transport.close()


class _JoinedWrites(asyncio.Transport):
    """A transport that keeps the head of a response back until its body comes, and writes both at once.

    uvicorn writes them one after the other. Each write is a system call and a packet, and wakes the peer.

    Args:
        transport: The transport proper.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        # What is only passed on costs no call of ours.
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]

    def write(self, data: Any) -> None:  # noqa: ANN401 - bytes of any kind, as asyncio has it
        """Write, or keep what is the head of a final response."""
        if self._head:
            data, self._head = self._head + data, b""
        elif (
            data.startswith(b"HTTP/1.1 ")
            and data.endswith(b"\r\n\r\n")
            and not data.startswith(b"HTTP/1.1 1")
        ):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Write what is kept."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Write what is kept, and close."""
        self.flush()
        self._transport.close()
