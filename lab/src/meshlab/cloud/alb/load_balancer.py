"""The listener: one rule that forwards a host to the target group, and a 404 for every other.

=====================================  ======
when                                   status
=====================================  ======
the host is not that of the rule       404
an upgrade, such as a WebSocket        400
the request's body is over 1 MB        413
the function raised, or took too long  502
its answer is malformed or over 1 MB   502
otherwise                              as the function says
=====================================  ======

AWS's page names the limits and the 400. It lists the 502s among those of Lambda targets. That a request which is too
large gets a 413 is what HTTP suggests; the page does not say it.
"""

from __future__ import annotations

import secrets
import sys
import time
from typing import TYPE_CHECKING, Any

from meshlab.cloud.alb.http_response import MAX_BYTES, HttpResponse, MalformedAnswerError, response_of
from meshlab.cloud.alb.lambda_event import Connection, event_of, health_check_event
from meshlab.cloud.alb.lambda_function import FunctionError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from meshlab.cloud.alb.lambda_event import TargetGroup
    from meshlab.cloud.alb.lambda_function import Function

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

__all__ = ["LoadBalancerApp"]

_SERVER = ("server", "awselb/2.0")


@dataclass(frozen=True)
class LoadBalancerApp:
    """The load balancer as an ASGI application.

    Attributes:
        group: The target group.
        function: The function in it.
        host: The host of the listener's rule; empty for every host.
    """

    group: TargetGroup
    function: Function
    host: str = ""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        response = await self._respond(scope, receive)
        headers = [
            *response.headers,
            *([] if any(name.lower() == "server" for name, _ in response.headers) else [_SERVER]),
            ("content-length", str(len(response.body))),
        ]
        raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
        await send({"type": "http.response.start", "status": response.status, "headers": raw})
        body = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    async def is_healthy(self, path: str) -> bool:
        """Check the function's health once, as the target group does."""
        try:
            answer = await self.function.invoke(health_check_event(self.group, path), "health-check")
            return response_of(answer, multi_value=self.group.multi_value).status == 200
        except (FunctionError, MalformedAnswerError) as error:
            _log(str(error))
            return False

    async def _respond(self, scope: dict[str, Any], receive: Receive) -> HttpResponse:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        known = dict(headers)
        if self.host and known.get("host", "").lower() != self.host.lower():
            return _fixed(404, "no rule of the listener matches")
        if "upgrade" in known:
            return _fixed(400, "upgrades are not supported for functions")
        body = await _body(receive)
        if body is None:
            return _fixed(413, "the body of the request is too large for a function")
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        connection = Connection(scope["client"][0], scope["server"][1], scope["scheme"])
        trace_id = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
        event = event_of(self.group, scope["method"], target, headers, body, connection, trace_id)
        try:
            answer = await self.function.invoke(event, trace_id)
            return response_of(answer, multi_value=self.group.multi_value)
        except (FunctionError, MalformedAnswerError) as error:
            _log(str(error))
            return _fixed(502, "Bad Gateway")


async def _body(receive: Receive) -> bytes | None:
    """Return the body, or `None` for one that is too large, read to its end so that the client can read the answer."""
    body, size, more = b"", 0, True
    while more:
        message = await receive()
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        body = body + part if size <= MAX_BYTES else b""
    return body if size <= MAX_BYTES else None


def _fixed(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, (("content-type", "text/plain; charset=utf-8"),), f"{text}\n".encode())


def _log(problem: str) -> None:
    sys.stderr.write(f"load balancer: {problem}\n")
