"""Retry policies."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from meshlab.istio.read.virtual_service.protobuf_values import boolean, duration_s, integer
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields

__all__ = ["Retries", "read_retries"]

_RETRY_ON = frozenset(
    {
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    }
)


@dataclass(frozen=True)
class Retries:
    """A retry policy as written; `attempts` 0 turns retries off, an empty `retry_on` leaves Istio's conditions."""

    attempts: int
    per_try_timeout_s: float | None = None
    retry_on: str = ""
    backoff_s: float | None = None
    ignore_previous_hosts: bool | None = None
    remote_localities: bool = False


def read_retries(rule: Fields) -> Retries | None:
    """Read `retries`, `None` where it is absent (`validation/agent/validation.go#ValidateHTTPRetry`).

    Raises:
        ManifestError: Conditions without attempts, or one that Envoy does not have.
    """
    if rule.raw("retries") is None:
        return None
    known = (
        "attempts",
        "perTryTimeout",
        "retryOn",
        "backoff",
        "retryIgnorePreviousHosts",
        "retryRemoteLocalities",
    )
    retries = rule.mapping("retries", known)
    attempts = integer(retries, "attempts", signed=True) or 0
    retry_on = retries.string("retryOn")
    if attempts < 0:
        raise retries.where.key("attempts").error("cannot be negative; 0 turns retries off.")
    needs_attempts = ("perTryTimeout", "retryRemoteLocalities")
    if not attempts and (retry_on or any(retries.raw(name) is not None for name in needs_attempts)):
        problem = "0 or missing turns retries off, but the policy says how to retry; Istio refuses it."
        raise retries.where.key("attempts").error(problem)
    for condition in retry_on.split(",") if retry_on else ():
        if condition not in _RETRY_ON and not _is_status(condition):
            problem = f"{condition!r} is no condition for a retry; write them with commas and no blanks."
            raise retries.where.key("retryOn").error(problem)
    return Retries(
        attempts=attempts,
        per_try_timeout_s=duration_s(retries, "perTryTimeout"),
        retry_on=retry_on,
        backoff_s=duration_s(retries, "backoff"),
        ignore_previous_hosts=boolean(retries, "retryIgnorePreviousHosts"),
        remote_localities=bool(boolean(retries, "retryRemoteLocalities")),
    )


def _is_status(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) in {status.value for status in HTTPStatus}
