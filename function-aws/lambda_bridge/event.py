"""Events of an Application Load Balancer, read with suspicion.

The load balancer sends one of two shapes, as its target group says: `headers` and `queryStringParameters` with one
value for each name, or `multiValueHeaders` and `multiValueQueryStringParameters` with lists. Everyone who may invoke
the function can send anything, so nothing of an event is believed before it is checked.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EventError", "Request", "is_multi_value", "read_event"]

_HEALTH_CHECKER = "ELB-HealthChecker/"
_METHOD_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ-_")
_LONGEST_METHOD = 32


class EventError(ValueError):
    """An event that no Application Load Balancer sends; the message names the member and never its value."""


@dataclass(frozen=True)
class Request:
    """An HTTP request as the load balancer passed it on.

    Attributes:
        method: The method, upper case.
        path: The path as the client sent it, still percent-encoded, without the query.
        query: Query parameters, still percent-encoded, with all their values.
        headers: Headers by lower-case name, with all their values.
        body: The body.
        target_group: The ARN of the target group that the event says it comes from.
        multi_value: Whether the answer must have `multiValueHeaders`.
    """

    method: str
    path: str
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: bytes = b""
    target_group: str = ""
    multi_value: bool = False

    def header(self, name: str) -> str:
        """Return the last value of a header, as a load balancer without multi-value headers does; empty for none."""
        values = self.headers.get(name.lower(), ())
        return values[-1] if values else ""

    @property
    def is_health_check(self) -> bool:
        """Whether the target group asks for the function's health.

        A client's request always has `x-forwarded-for`, which the load balancer adds. So a client that takes the health
        checker's name gets an ordinary answer.
        """
        return self.header("user-agent").startswith(_HEALTH_CHECKER) and "x-forwarded-for" not in self.headers


def is_multi_value(event: object) -> bool:
    """Return whether an event, readable or not, asks for an answer with `multiValueHeaders`."""
    return isinstance(event, dict) and "multiValueHeaders" in event


def read_event(event: object) -> Request:
    """Read an event.

    Args:
        event: What Lambda called the function with.

    Raises:
        EventError: No Application Load Balancer sends this.
    """
    if not isinstance(event, dict):
        raise EventError("the event is no JSON object")
    multi_value = is_multi_value(event)
    if multi_value and "headers" in event:
        raise EventError("the event has both headers and multiValueHeaders")
    names = ("multiValueHeaders", "multiValueQueryStringParameters") if multi_value else (
        "headers", "queryStringParameters",
    )  # fmt: skip
    headers, query = (_pairs(event, name, multi_value=multi_value) for name in names)
    if names[0] not in event:
        raise EventError("the event has neither headers nor multiValueHeaders")
    return Request(
        method=_method(event),
        path=_path(event),
        query=query,
        headers=_lower_case(headers),
        body=_body(event),
        target_group=_target_group(event),
        multi_value=multi_value,
    )


def _method(event: Mapping[str, object]) -> str:
    method = _text(event, "httpMethod")
    if not method or len(method) > _LONGEST_METHOD or not _METHOD_CHARACTERS.issuperset(method):
        raise EventError("httpMethod is no HTTP method")
    return method


def _path(event: Mapping[str, object]) -> str:
    path = _text(event, "path")
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or "?" in path:
        raise EventError("path is no path of an HTTP request")
    return path


def _body(event: Mapping[str, object]) -> bytes:
    body, encoded = event.get("body"), event.get("isBase64Encoded")
    if not isinstance(encoded, bool):
        raise EventError("isBase64Encoded is neither true nor false")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise EventError("body is no string")
    try:
        return base64.b64decode(body, validate=True) if encoded else body.encode()
    except (binascii.Error, ValueError):
        raise EventError("body is not what isBase64Encoded says") from None


def _target_group(event: Mapping[str, object]) -> str:
    context = event.get("requestContext")
    elb = context.get("elb") if isinstance(context, dict) else None
    found = elb.get("targetGroupArn") if isinstance(elb, dict) else None
    if not isinstance(found, str) or not found:
        raise EventError("requestContext.elb.targetGroupArn is missing: the event is of another source")
    return found


def _text(event: Mapping[str, object], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str):
        raise EventError(f"{name} is no string")
    return value


def _pairs(event: Mapping[str, object], name: str, *, multi_value: bool) -> dict[str, tuple[str, ...]]:
    found = event.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise EventError(f"{name} is no JSON object")
    pairs: dict[str, tuple[str, ...]] = {}
    for key, value in found.items():
        values = value if multi_value else [value]
        if (
            not isinstance(key, str)
            or not isinstance(values, list)
            or not all(isinstance(each, str) for each in values)
        ):
            raise EventError(f"{name} holds something else than {'lists of ' if multi_value else ''}strings")
        pairs[key] = tuple(values)
    return pairs


def _lower_case(headers: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, values in headers.items():
        found[name.lower()] = found.get(name.lower(), ()) + values
    return found
