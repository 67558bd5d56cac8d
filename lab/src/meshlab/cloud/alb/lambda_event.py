"""HTTP requests as the events that a function gets."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Connection", "TargetGroup", "event_of", "health_check_event"]

_TEXT_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})


@dataclass(frozen=True)
class TargetGroup:
    """A target group with a function in it.

    Attributes:
        arn: Its ARN.
        multi_value: Whether the attribute `lambda.multi_value_headers.enabled` is set.
    """

    arn: str
    multi_value: bool = False


@dataclass(frozen=True)
class Connection:
    """The client's connection, as the forwarding headers describe it.

    Attributes:
        client: The client's IP address.
        port: The listener's port.
        scheme: `http` or `https`.
    """

    client: str
    port: int
    scheme: str


def event_of(
    group: TargetGroup,
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    connection: Connection,
    trace_id: str,
) -> dict[str, Any]:
    """Return the event for a request.

    Args:
        group: The target group.
        method: The method.
        target: Path and query as the client sent them; neither is decoded.
        headers: The headers in order.
        body: The body.
        connection: The client's connection.
        trace_id: The value of `x-amzn-trace-id`.
    """
    path, _, query = target.partition("?")
    names = [(name.lower(), value) for name, value in headers]
    forwarded = [value for name, value in names if name == "x-forwarded-for"]
    names = [(name, value) for name, value in names if not name.startswith("x-forwarded-")]
    names += [
        ("x-forwarded-for", ", ".join((*forwarded, connection.client))),
        ("x-forwarded-port", str(connection.port)),
        ("x-forwarded-proto", connection.scheme),
    ]
    if all(name != "x-amzn-trace-id" for name, _ in names):
        names.append(("x-amzn-trace-id", trace_id))
    encoded = _is_base64(names)
    text = base64.b64encode(body).decode() if encoded else body.decode(errors="replace")
    return {
        **_frame(group),
        "httpMethod": method,
        "path": path,
        **_pairs(group, "queryStringParameters", "multiValueQueryStringParameters", _parameters(query)),
        **_pairs(group, "headers", "multiValueHeaders", names),
        "body": text,
        "isBase64Encoded": encoded,
    }


def health_check_event(group: TargetGroup, path: str) -> dict[str, Any]:
    """Return the event of a health check, which no client sent.

    Args:
        group: The target group.
        path: The health check's path.
    """
    return {
        **_frame(group),
        "httpMethod": "GET",
        "path": path,
        **_pairs(group, "queryStringParameters", "multiValueQueryStringParameters", []),
        **_pairs(group, "headers", "multiValueHeaders", [("user-agent", "ELB-HealthChecker/2.0")]),
        "body": "",
        "isBase64Encoded": False,
    }


def _frame(group: TargetGroup) -> dict[str, Any]:
    return {"requestContext": {"elb": {"targetGroupArn": group.arn}}}


def _pairs(
    group: TargetGroup, single: str, multiple: str, pairs: Iterable[tuple[str, str]]
) -> Mapping[str, object]:
    if not group.multi_value:
        return {single: dict(pairs)}  # of several values the last one counts
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {multiple: found}


def _parameters(query: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(name, value) for name, _, value in parts]


def _is_base64(headers: Sequence[tuple[str, str]]) -> bool:
    """Return whether the body is sent in base64: it is encoded, or its type is none of the known text types."""
    known = dict(headers)
    if known.get("content-encoding"):
        return True
    media = known.get("content-type", "").partition(";")[0].strip().lower()
    return bool(media) and not media.startswith("text/") and media not in _TEXT_TYPES
