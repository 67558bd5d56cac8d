"""Answers of a function as HTTP responses, or the reason why the load balancer answers 502 in their place."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from meshlab.quick_dataclass import dataclass

__all__ = ["MAX_BYTES", "HttpResponse", "MalformedAnswerError", "response_of"]

MAX_BYTES = 1_000_000
"""The largest body of a request, and the largest answer as JSON, in bytes. AWS says 1 MB; this is the smaller one."""

# Connections are the load balancer's business, and so is the length of what it sends.
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_LOWEST_STATUS, _HIGHEST_STATUS = 200, 599


class MalformedAnswerError(Exception):
    """The load balancer does not pass this answer on; the message says why."""


@dataclass(frozen=True)
class HttpResponse:
    """A response.

    Attributes:
        status: The status.
        headers: The headers in order, without a length.
        body: The body.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def response_of(answer: object, *, multi_value: bool) -> HttpResponse:
    """Return the response for what a function returned.

    Args:
        answer: What it returned.
        multi_value: Whether the target group has multi-value headers enabled. The other form is not read then.

    Raises:
        MalformedAnswerError: The load balancer does not pass it on.
    """
    try:
        size = len(json.dumps(answer, ensure_ascii=False).encode())
    except (TypeError, ValueError) as error:
        raise MalformedAnswerError(f"the function's answer is no JSON: {error}") from None
    if size > MAX_BYTES:
        raise MalformedAnswerError(f"the function's answer has {size} bytes as JSON, more than {MAX_BYTES}")
    if not isinstance(answer, dict):
        raise MalformedAnswerError("the function's answer is no JSON object")
    headers = _multiple(answer) if multi_value else _single(answer)
    kept = tuple((name, value) for name, value in headers if name.lower() not in _OWN_HEADERS)
    return HttpResponse(_status(answer), kept, _body(answer))


def _status(answer: dict[str, Any]) -> int:
    status = answer.get("statusCode")
    if isinstance(status, str) and status.isascii() and status.isdigit():
        status = int(status)
    if not isinstance(status, int) or isinstance(status, bool):
        raise MalformedAnswerError("statusCode is missing or no number")
    if not _LOWEST_STATUS <= status <= _HIGHEST_STATUS:
        raise MalformedAnswerError(f"statusCode {status} is no final HTTP status")
    return status


def _body(answer: dict[str, Any]) -> bytes:
    body, encoded = answer.get("body") or "", answer.get("isBase64Encoded", False)
    if not isinstance(encoded, bool):
        raise MalformedAnswerError("isBase64Encoded is neither true nor false")
    if not isinstance(body, str):
        raise MalformedAnswerError("body is no string")
    if not encoded:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedAnswerError("body is not base64 although isBase64Encoded is true") from None


def _single(answer: dict[str, Any]) -> list[tuple[str, str]]:
    headers = answer.get("headers") or {}
    if not isinstance(headers, dict) or not all(_is_header(*pair) for pair in headers.items()):
        raise MalformedAnswerError("headers does not map names to strings")
    return list(headers.items())


def _multiple(answer: dict[str, Any]) -> list[tuple[str, str]]:
    headers = answer.get("multiValueHeaders") or {}
    if not isinstance(headers, dict) or not all(isinstance(values, list) for values in headers.values()):
        raise MalformedAnswerError("multiValueHeaders does not map names to lists")
    pairs = [(name, value) for name, values in headers.items() for value in values]
    if not all(_is_header(*pair) for pair in pairs):
        raise MalformedAnswerError("multiValueHeaders does not hold lists of strings")
    return pairs


def _is_header(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, str) and not {"\r", "\n", "\0"} & {*name, *value}
