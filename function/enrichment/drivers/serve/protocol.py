"""uvicorn's HTTP/1.1 connection, with the limits that it leaves to a proxy.

Cloud Run has a front end that holds requests to limits. On GKE or on a machine of one's own there may be none.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Most bytes of a request's line and headers that are kept while the rest is awaited. Pub/Sub writes attributes as
headers of an unwrapped push: at most 100, with 256 bytes for a name and 1,024 for a value
(https://cloud.google.com/pubsub/quotas#resource_limits)."""

_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class Protocol(HttpToolsProtocol):
    """A connection that bounds the head of a request, and knows since when one is incomplete."""

    _incomplete_since: float | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to await a request."""
        super().connection_made(transport)
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

    def close_if_slow(self, now: float, most_s: float) -> None:
        """Close the connection if a request on it has been incomplete for too long.

        Args:
            now: The time of the loop, in seconds.
            most_s: How long a request may take to arrive, in seconds.
        """
        if self._incomplete_since is not None and now - self._incomplete_since > most_s:
            self.transport.close()
