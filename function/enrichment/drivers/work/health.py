"""Health over HTTP: `/live` for a liveness probe, `/ready` for a startup or readiness probe.

Names that end in `z` are avoided, because Cloud Run keeps some of them for itself.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

STUCK_AFTER_S = 300.0
"""How long a stream may neither send a heartbeat nor be opened again before the worker counts as stuck, in seconds."""

_MAX_HEAD_BYTES = 8192
_HEAD_S = 5.0
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class Health(msgspec.Struct, frozen=True):
    """State of the worker, as the endpoints say it.

    Args:
        live: Whether the worker receives, or tries to. If not, only a restart helps.
        ready: Whether a stream is open, and the worker is not ending.
        streams: How many streams are open.
        in_process: How many messages are in the process.
        window: How many messages may be under way; less than the limit where no event gets through.
    """

    live: bool
    ready: bool
    streams: int
    in_process: int
    window: int


class StreamState(Protocol):
    """What health depends on of a stream."""

    is_open: bool
    tried_at_s: float


def health_of(
    streams: Sequence[StreamState], *, in_process: int, window: int, ending: bool, now_s: float
) -> Health:
    """Return the state of a worker: the rule of both probes.

    Args:
        streams: Its streams; none before it knows its subscription.
        in_process: As in `Health`.
        window: As in `Health`.
        ending: Whether it was asked to end.
        now_s: The time of the event loop, in seconds.
    """
    is_open = sum(stream.is_open for stream in streams)
    return Health(
        live=all(now_s - stream.tried_at_s < STUCK_AFTER_S for stream in streams),
        ready=is_open > 0 and not ending,
        streams=is_open,
        in_process=in_process,
        window=window,
    )


class HealthEndpoint:
    """A small server of HTTP/1.1, one request a connection.

    Args:
        health: Gives the state.
    """

    def __init__(self, health: Callable[[], Health]) -> None:
        self._health = health
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port.

        Raises:
            OSError: The port is taken.
        """
        self._server = await asyncio.start_server(self._serve, host, port, limit=_MAX_HEAD_BYTES)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_HEAD_S):
                writer.write(self._answer(await _head(reader)))
                await writer.drain()
        writer.close()

    def _answer(self, head: bytes | None) -> bytes:
        if head is None:
            return _response(400, b"")
        method, _, rest = head.partition(b" ")
        if method not in (b"GET", b"HEAD"):
            return _response(405, b"", further="allow: GET, HEAD\r\n")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        health = self._health()
        passes = {b"/live": health.live, b"/ready": health.ready}.get(path)
        if passes is None:
            return _response(404, b"")
        return _response(200 if passes else 503, msgspec.json.encode(health), has_body=method == b"GET")


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None


def _response(status: int, body: bytes, *, has_body: bool = True, further: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n{further}content-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + (body if has_body else b"")
