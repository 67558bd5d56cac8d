"""The entry point: set the function's handler to `lambda_function.lambda_handler`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol

from lambda_bridge.answer import as_load_balancer, json_answer
from lambda_bridge.event import EventError, is_multi_value, read_event
from lambda_bridge.lookup import lookup_of
from lambda_bridge.routes import Routes

if TYPE_CHECKING:
    from lambda_bridge.answer import LoadBalancerAnswer

_routes = Routes(os.environ.get("TARGET_GROUP_ARN", ""), lookup_of(os.environ))


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may go on, in milliseconds."""
        ...


def lambda_handler(event: object, context: Context) -> LoadBalancerAnswer:
    """Answer one event of the load balancer.

    Args:
        event: The event.
        context: Lambda's context.
    """
    try:
        request = read_event(event)
    except EventError as error:
        answer = json_answer(400, error="event_invalid", detail=str(error))
        return as_load_balancer(answer, multi_value=is_multi_value(event))
    try:
        answer = _routes.answer(request, context.get_remaining_time_in_millis() / 1000)
    except Exception as error:  # noqa: BLE001 - an exception would be the load balancer's 502, which says nothing
        # The type alone: a message may hold what a client sent.
        sys.stderr.write(f"the request failed: {type(error).__name__}\n")
        answer = json_answer(500, error="fault")
    return as_load_balancer(answer, multi_value=request.multi_value, without_body=request.method == "HEAD")
