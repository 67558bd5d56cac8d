"""Retries of a route (`pilot/pkg/networking/core/route/retry/retry.go#ConvertPolicy`)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from meshlab.istio.envoy.connection_manager import duration

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.virtual_service import Retries

__all__ = ["retry_policy"]

_STATUS_CODES = "retriable-status-codes"
_RETRY_ON = f"connect-failure,refused-stream,unavailable,cancelled,{_STATUS_CODES}"
"""Istio's default. It names no status code, so a plain 503 is not repeated."""
_RETRY = "type.googleapis.com/envoy.extensions.retry"
_OTHER_HOSTS: Json = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typedConfig": {"@type": f"{_RETRY}.host.previous_hosts.v3.PreviousHostsPredicate"},
}
_OTHER_PRIORITIES: Json = {
    "name": "envoy.retry_priorities.previous_priorities",
    "typedConfig": {
        "@type": f"{_RETRY}.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        "updateFrequency": 2,
    },
}


def retry_policy(retries: Retries | None, *, consistent_hash: bool = False) -> Json | None:
    """Return the retry policy of a route, `None` where it has none.

    Args:
        retries: What the rule or else the mesh asks for; `None` for Istio's default of two retries.
        consistent_hash: Whether the destination is chosen by a hash, which a retry must not leave.
    """
    policy: Json = {"retryOn": _RETRY_ON, "numRetries": 2, "hostSelectionRetryMaxAttempts": "5"}
    other_hosts = not consistent_hash
    if retries is not None:
        if retries.attempts <= 0:
            return None
        policy["numRetries"] = retries.attempts
        if retries.retry_on:
            policy.update(_conditions(retries.retry_on))
        if retries.per_try_timeout_s is not None:
            policy["perTryTimeout"] = duration(retries.per_try_timeout_s)
        if retries.ignore_previous_hosts is not None:
            other_hosts = retries.ignore_previous_hosts
        if retries.remote_localities:
            policy["retryPriority"] = _OTHER_PRIORITIES
        if retries.backoff_s is not None:
            policy["retryBackOff"] = {"baseInterval": duration(retries.backoff_s)}
    return policy | ({"retryHostPredicate": [_OTHER_HOSTS]} if other_hosts else {})


def _conditions(written: str) -> Json:
    # Istio takes status codes among the conditions and hands them to Envoy as such.
    parts = [part.strip() for part in written.split(",") if part.strip()]
    known = {status.value for status in HTTPStatus}
    codes = [int(part) for part in parts if part.isdigit() and int(part) in known]
    conditions = [part for part in parts if not (part.isdigit() and int(part) in known)]
    if not codes:
        return {"retryOn": ",".join(conditions)}
    if _STATUS_CODES not in conditions:
        conditions.append(_STATUS_CODES)
    return {"retryOn": ",".join(conditions), "retriableStatusCodes": codes}
