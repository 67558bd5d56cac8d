"""Injected faults: delays and failures of a share of the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.virtual_service.protobuf_values import duration_s, http_status, integer, percentage
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields

__all__ = ["Abort", "Delay", "Fault", "read_fault"]

_GRPC_STATUSES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
_LEAST_PERCENTAGE = 0.0001


@dataclass(frozen=True)
class Delay:
    """A delay of a share of the requests; `fixed_s` is `None` where no time is written, which delays none."""

    percentage: float
    fixed_s: float | None


@dataclass(frozen=True)
class Abort:
    """A failure of a share of the requests: an HTTP status, or a gRPC status by number; neither fails none."""

    percentage: float
    http_status: int | None
    grpc_status: int | None


@dataclass(frozen=True)
class Fault:
    """An injected fault."""

    delay: Delay | None
    abort: Abort | None


def read_fault(rule: Fields) -> Fault | None:
    """Read `fault`, `None` where it is absent.

    Raises:
        ManifestError: Neither delay nor abort, or one that Istio refuses.
    """
    if rule.raw("fault") is None:
        return None
    fault = rule.mapping("fault", ("delay", "abort"))
    found = Fault(
        _delay(fault) if fault.raw("delay") is not None else None,
        _abort(fault) if fault.raw("abort") is not None else None,
    )
    if found.delay is None and found.abort is None:
        raise fault.where.error("injects nothing; write delay or abort.")
    return found


def _delay(fault: Fields) -> Delay:
    refused = {"exponentialDelay": "is refused by Istio; write fixedDelay."}
    delay = fault.mapping("delay", ("percentage", "percent", "fixedDelay"), refused)
    share = percentage(delay, "percentage", _LEAST_PERCENTAGE)
    if share is None:
        share = integer(delay, "percent", signed=True) or 0
        if not 0 <= share <= 100:
            raise delay.where.key("percent").error(f"expected a whole number from 0 to 100, found {share}.")
    return Delay(share, duration_s(delay, "fixedDelay"))


def _abort(fault: Fields) -> Abort:
    refused = {"http2Error": "is refused by Istio; write httpStatus or grpcStatus."}
    abort = fault.mapping("abort", ("percentage", "httpStatus", "grpcStatus"), refused)
    by_http, by_grpc = abort.raw("httpStatus") is not None, abort.raw("grpcStatus") is not None
    if by_http and by_grpc:
        raise abort.where.error("has httpStatus and grpcStatus; only one of them can count.")
    return Abort(
        percentage(abort, "percentage", _LEAST_PERCENTAGE) or 0.0,
        http_status(abort, "httpStatus") if by_http else None,
        _GRPC_STATUSES.index(abort.choice("grpcStatus", _GRPC_STATUSES, "")) if by_grpc else None,
    )
