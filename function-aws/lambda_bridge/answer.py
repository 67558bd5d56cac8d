"""Answers as an Application Load Balancer takes them; everything else it turns into a 502 without a word.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html#respond-to-load-balancer
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_ANSWER_BYTES", "Answer", "LoadBalancerAnswer", "as_load_balancer", "json_answer"]

MAX_ANSWER_BYTES = 1_000_000
"""The largest answer as JSON, in bytes. AWS says 1 MB and not which one, so this is the smaller."""

_COMMON = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True)
class Answer:
    """An HTTP response.

    Attributes:
        status: The status.
        body: The body: text, or bytes.
        content_type: Its media type.
        headers: Further headers by lower-case name, each with all its values.
    """

    status: int
    body: str | bytes
    content_type: str
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class _Answer(TypedDict):
    statusCode: int
    statusDescription: str
    isBase64Encoded: bool
    body: str


class LoadBalancerAnswer(_Answer, total=False):
    """An answer in the load balancer's words: `headers`, or `multiValueHeaders` where the event has those."""

    headers: dict[str, str]
    multiValueHeaders: dict[str, list[str]]


def json_answer(status: int, headers: Mapping[str, tuple[str, ...]] | None = None, **members: str) -> Answer:
    """Return an answer with a JSON object."""
    return Answer(status, json.dumps(members), "application/json", headers or {})


def as_load_balancer(answer: Answer, *, multi_value: bool, without_body: bool = False) -> LoadBalancerAnswer:
    """Return an answer in the load balancer's words.

    One that the load balancer would not pass on for its size becomes a 500 that says so.

    Args:
        answer: The answer.
        multi_value: Whether the target group has multi-value headers enabled.
        without_body: Whether to leave the body out, as for HEAD.
    """
    written = _write(answer, multi_value=multi_value, without_body=without_body)
    # Lambda's runtime escapes less than this, so what fits here fits there.
    size = len(json.dumps(written))
    if size <= MAX_ANSWER_BYTES:
        return written
    detail = f"the answer has {size} bytes as JSON; a load balancer passes on {MAX_ANSWER_BYTES}"
    return _write(json_answer(500, error="answer_too_large", detail=detail), multi_value=multi_value)


def _write(answer: Answer, *, multi_value: bool, without_body: bool = False) -> LoadBalancerAnswer:
    encoded = isinstance(answer.body, bytes)
    body = base64.b64encode(answer.body).decode() if isinstance(answer.body, bytes) else answer.body
    written: LoadBalancerAnswer = {
        "statusCode": answer.status,
        "statusDescription": f"{answer.status} {HTTPStatus(answer.status).phrase}",
        "isBase64Encoded": encoded and not without_body,
        "body": "" if without_body else body,
    }
    headers = {
        **{name: (value,) for name, value in _COMMON.items()},
        "content-type": (answer.content_type,),
        **answer.headers,
    }
    if multi_value:
        written["multiValueHeaders"] = {name: list(values) for name, values in headers.items()}
    else:
        # One value is all that this mode can carry.
        written["headers"] = {name: values[-1] for name, values in headers.items()}
    return written
