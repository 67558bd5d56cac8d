"""A service with a query, a search by POST and a batch, which says what it was asked: the workload of test_lookups.

Keys are known unless they begin with `nobody`. What is not a route of its own is answered as a plain framework would.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from meshlab.cloud import serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer one request."""
    body = b""
    while (part := await receive())["type"] == "http.request":
        body += part.get("body", b"")
        if not part.get("more_body"):
            break
    status, answer, kind = _answer(
        scope["method"], scope["raw_path"].decode(), scope["query_string"].decode(), body
    )
    headers = [(b"content-type", kind), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def _answer(method: str, path: str, query: str, body: bytes) -> tuple[int, bytes, bytes]:
    asked: Any = json.loads(body) if body else None
    parameters = parse_qsl(query, keep_blank_values=True)
    if (method, path) == ("GET", "/profiles"):
        return _json(200, {"found": not parameters[0][1].startswith("nobody"), "query": parameters})
    if (method, path) == ("POST", "/profiles/search"):
        return _json(200, {"body": asked})
    if (method, path) == ("POST", "/profiles/batch-get"):
        known = [key for key in asked["ids"] if not key.startswith("nobody")]
        return _json(200, {"profiles": [{"id": key, "asked": len(asked["ids"])} for key in known]})
    if method == "GET" and path.startswith("/profile/"):
        key = unquote(path.removeprefix("/profile/"))
        if not key.startswith("nobody"):
            return _json(200, {"key": key, "query": parameters})
    return 404, b"Not Found", b"text/plain; charset=utf-8"


def _json(status: int, answer: object) -> tuple[int, bytes, bytes]:
    return status, json.dumps(answer).encode(), b"application/json"


if __name__ == "__main__":
    serving.serve(
        app, serving.argument_parser("lookup_service", "Lookups of several kinds").parse_args().port
    )
