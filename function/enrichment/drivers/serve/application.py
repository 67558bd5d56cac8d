"""ASGI applications of the two entry points (https://asgi.readthedocs.io/en/latest/specs/www.html).

Each answers as the function does, byte for byte, and `GET /live` and `GET /ready` besides. Neither path can be that of
a lookup, `/lookup/{key}`; and a delivery is a POST. They do not end in `z`, as `/healthz` does: Cloud Run keeps some of
those for itself (https://cloud.google.com/run/docs/known-issues).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from enrichment.drivers.http_lookup import HttpLookup
from enrichment.drivers.push.endpoint import PushEndpoint, Reply

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HEALTH = frozenset({"/live", "/ready"})
_HEALTHY = Reply(200, "OK")
_STOPPING = Reply(503, "retry: the server stops")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class PushApplication:
    """Serves pushes.

    Args:
        endpoint: Answers them.
    """

    def __init__(self, endpoint: PushEndpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if _asks_for_health(scope):
            await _send_text(send, _HEALTHY)
            return
        try:
            reply = await self._endpoint.answer(scope["method"], scope["headers"], receive)
        except asyncio.CancelledError:  # the drain's time is up
            reply = _STOPPING
        await _send_text(send, reply)


class LookupApplication:
    """Serves lookups.

    Args:
        lookup: Answers them.
    """

    def __init__(self, lookup: HttpLookup) -> None:
        self._lookup = lookup

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if _asks_for_health(scope):
            await _send_text(send, _HEALTHY)
            return
        try:
            response = await self._lookup.answer(
                scope["method"], scope.get("raw_path"), scope["query_string"], scope["headers"]
            )
        except asyncio.CancelledError:  # the drain's time is up
            await _send_text(send, _STOPPING)
            return
        headers = [(name.encode(), value.encode("latin-1")) for name, value in response.headers.items()]
        await _send(send, response.status, headers, response.body)


def _asks_for_health(scope: Scope) -> bool:
    return scope["path"] in _HEALTH and scope["method"] in ("GET", "HEAD")


async def _send_text(send: Send, reply: Reply) -> None:
    body = reply.text.encode()
    own = [(name.encode(), value.encode("latin-1")) for name, value in reply.headers]
    await _send(send, reply.status, (*own, (b"content-length", b"%d" % len(body)), _TEXT), body)


async def _send(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
