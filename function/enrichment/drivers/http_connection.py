"""uvicorn's HTTP/1.1 connection, with the limits that it leaves to a proxy.

Cloud Run has a front end that holds requests to limits. On GKE or on a machine of one's own there may be none.
"""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from enrichment.drivers.http_exchange import Exchange

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

MAX_HEAD_BYTES = 64 * 1024
"""Most bytes that may arrive without progress, beyond the piece in which the last progress was made: progress is the
begin of a request, the end of its head, or a part of its body. So it bounds heads, trailers and the lines between
chunks. Pub/Sub writes attributes as headers of an unwrapped push: at most 100, with 256 bytes for a name and 1,024 for
a value (https://cloud.google.com/pubsub/quotas#resource_limits)."""

MAX_PIPELINED = 100
"""Most requests that wait on one connection for the answer to the one before. uvicorn reads on whenever it has answered
one, and each piece may hold thousands."""

_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class _BodyAfterUpgradeError(Exception):
    """A request asks for another protocol and has a body."""


class HttpConnection(HttpToolsProtocol):
    """A connection that bounds heads and trailers, and knows how long its client is awaited."""

    _incomplete_since: float | None = None  # the request that arrives
    _unread_since: float | None = None  # responses that the client does not take
    _running: RequestResponseCycle | None = None
    _in_head = False
    _progress = False
    _idle_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to await a request."""
        super().connection_made(transport)
        self._incomplete_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request."""
        self._progress = False
        super().data_received(data)
        if len(self.pipeline) > MAX_PIPELINED:
            self.abort()
        if self._progress or self._incomplete_since is None:
            self._idle_bytes = 0
            return
        self._idle_bytes += len(data)
        if self._idle_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._progress = self._in_head = True
        if self._incomplete_since is None:
            self._incomplete_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Drop a trailer: a proxy that checks headers has not seen it (RFC 9110, section 6.5.1)."""
        if not self._in_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin the request's task.

        Raises:
            _BodyAfterUpgradeError: uvicorn answers it 400 and closes. The parser takes what follows such a head for
                another protocol, and so would read the body as the next request.
        """
        self._in_head = False
        self._progress = True
        upgrade = self.parser.should_upgrade()
        if upgrade and any(_announces_body(name, value) for name, value in self.headers):
            raise _BodyAfterUpgradeError
        self._begin_exchange(keep_alive=not upgrade and self.parser.should_keep_alive())

    def _begin_exchange(self, *, keep_alive: bool) -> None:
        """Begin the task of a request, as uvicorn does, with a cycle of our own; or let it wait for the one before."""
        version = self.parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + url.path
        scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive and version != "1.0",
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._incomplete_since = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for the client to take what was sent."""
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on sending."""
        self._unread_since = None
        super().resume_writing()

    def close_if_slow(self, now: float, most_s: float) -> None:
        """Close the connection if its client has been awaited for too long: to send a request, or to take responses.

        Args:
            now: The time of the loop, in seconds.
            most_s: How long a client may take, in seconds.
        """
        if self._incomplete_since is not None and self.flow.read_paused:
            # A pipelined request waits for the one before it, and not for the client.
            self._incomplete_since = now
        since = self._incomplete_since if self._unread_since is None else self._unread_since
        if since is not None and now - since > most_s:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once, whatever waits to be sent."""
        self._note_disconnected()
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        self._note_disconnected()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _note_disconnected(self) -> None:
        """Let no response be written, which would raise: uvicorn notes it of the request that came last alone."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()


def _announces_body(name: bytes, value: bytes) -> bool:
    return name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
