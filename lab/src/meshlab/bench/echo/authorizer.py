"""Scripted external authorizer: the first rule that matches decides, and a request without a rule is denied.

Over HTTP it is what Envoy's ext_authz filter calls an `http_service`: status 200 allows. Over gRPC it is the service
`envoy.service.auth.v3.Authorization`, whose few fields are read and written here without protobuf's runtime.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.bench.echo.protobuf import (
    MalformedMessageError,
    bytes_field,
    message_fields,
    text_field,
    varint_field,
)
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.bench.case import AuthorizerRule

__all__ = ["CHECK_PATH", "Decision", "check", "decide"]

CHECK_PATH = "/envoy.service.auth.v3.Authorization/Check"

_ALLOWED, _PERMISSION_DENIED = 200, 7
_GRPC_HEADER_BYTES = 5


@dataclass(frozen=True)
class Decision:
    """An authorizer's decision.

    Attributes:
        allow: Whether the request passes.
        status: The HTTP status: 200 if it passes.
        body: The body of a denial.
        headers: Headers added to the request (allowed) or the response (denied).
    """

    allow: bool
    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def decide(
    rules: Iterable[AuthorizerRule], method: str, path: str, headers: Iterable[tuple[str, str]]
) -> Decision:
    """Apply a script to a request."""
    sent = {name.lower(): value for name, value in headers}
    for rule in rules:
        if (
            (rule.path is None or path.startswith(rule.path))
            and (rule.method is None or rule.method == method)
            and all(sent.get(name.lower()) == value for name, value in rule.headers.items())
        ):
            status = _ALLOWED if rule.allow else rule.status
            return Decision(rule.allow, status, "" if rule.allow else rule.body, rule.add_headers)
    return Decision(allow=False, status=403, body="no rule of the authorizer's script matches")


def check(rules: Iterable[AuthorizerRule], message: bytes) -> bytes:
    """Answer a gRPC Check call.

    Args:
        rules: The script.
        message: The length-prefixed CheckRequest (`envoy/service/auth/v3/external_auth.proto`).

    Returns:
        The length-prefixed CheckResponse.

    Raises:
        MalformedMessageError: The message is no CheckRequest.
    """
    if len(message) < _GRPC_HEADER_BYTES or message[0] != 0:
        raise MalformedMessageError("expected one uncompressed gRPC message")
    # attributes = 1, its request = 4, its http = 2
    http = message[_GRPC_HEADER_BYTES:]
    for number in (1, 4, 2):
        http = message_fields(http).get(number, [b""])[-1]
    fields = message_fields(http)
    method, path = (fields.get(number, [b""])[-1].decode() for number in (2, 4))
    pairs = [message_fields(entry) for entry in fields.get(3, [])]
    headers = [(pair.get(1, [b""])[0].decode(), pair.get(2, [b""])[0].decode()) for pair in pairs]
    response = _check_response(decide(rules, method, path, headers))
    return b"\0" + len(response).to_bytes(4, "big") + response


def _check_response(decision: Decision) -> bytes:
    options = b"".join(
        bytes_field(2, bytes_field(1, text_field(1, name) + text_field(2, value)))
        for name, value in decision.headers.items()
    )
    if decision.allow:
        return bytes_field(1, b"") + bytes_field(3, options)
    status = bytes_field(1, varint_field(1, decision.status))
    denied = status + options + text_field(3, decision.body)
    return bytes_field(1, varint_field(1, _PERMISSION_DENIED)) + bytes_field(2, denied)
