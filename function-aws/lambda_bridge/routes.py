"""What is answered to which request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lambda_bridge.answer import Answer, json_answer
from lambda_bridge.page import hello_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from lambda_bridge.event import Request
    from lambda_bridge.lookup import Lookup

__all__ = ["Routes"]

_LOOKUP = "/lookup/"
_READING = ("GET", "HEAD")


@dataclass
class Routes:
    """The routes of the function.

    Attributes:
        target_group: The ARN of the only target group that is answered; empty for any.
        connect: Makes the lookup; `None` where none is configured.
    """

    target_group: str = ""
    connect: Callable[[], Lookup] | None = None
    _lookup: Lookup | None = None

    def answer(self, request: Request, remaining_s: float) -> Answer:
        """Return the answer to a request.

        Args:
            request: The request.
            remaining_s: How long Lambda lets the function go on, in seconds.
        """
        # The function's resource policy keeps others away. A caller that may invoke it can write any ARN here, so this
        # only finds a second load balancer that was wired up by mistake.
        if self.target_group and request.target_group != self.target_group:
            return json_answer(403, error="other_target_group")
        if request.is_health_check:
            return Answer(200, "ok", "text/plain; charset=utf-8")
        if request.method not in _READING:
            return json_answer(405, {"allow": (", ".join(_READING),)}, error="method_not_allowed")
        if request.path == "/":
            return hello_page()
        if request.path.startswith(_LOOKUP) and self.connect is not None:
            if request.query:
                return json_answer(400, error="query_unexpected", detail="a ? in a key is written %3F")
            if self._lookup is None:
                self._lookup = self.connect()
            return self._lookup.answer(request.path, remaining_s)
        return json_answer(404, error="not_found")
