"""Spans, metrics and `traceparent` by OpenTelemetry, where the program itself uses it.

Nothing here imports OpenTelemetry. A program that has set up a provider has loaded its API already; in any other,
one look into `sys.modules` is all that a call costs.

Names follow the semantic conventions for HTTP clients (opentelemetry.io/docs/specs/semconv/http). A path's values
name people and things, so `url.full` and `url.template` both hold the template, and no query.
"""

import logging
import sys
import time
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from meshpass._call.fields import is_field_name, is_field_value
from meshpass._call.request import Attempt
from meshpass._call.service import Service
from meshpass._errors import MeshError

if TYPE_CHECKING:
    import httpx

# The conventions' own advice for http.client.request.duration, in seconds.
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_SCOPE = "meshpass"

_log = logging.getLogger("meshpass")


class Recording:
    """One attempt under observation; this one observes nothing."""

    __slots__ = ()

    def end(self, result: "httpx.Response | MeshError") -> None:
        """Take note of what the attempt came to."""

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what was begun, also where the call was broken off."""


_NOTHING = Recording()


def observe(service: Service, attempt: Attempt, template: str, resent: int) -> Recording:
    """Begin to observe an attempt, and put the trace's headers into it.

    A `traceparent` that the caller gave is the parent of the span, or is sent on as it is when there is no span.

    Args:
        service: Whom the attempt is for.
        attempt: What is about to be sent.
        template: The path's template.
        resent: How often the call was sent before.
    """
    trace = _loaded("opentelemetry.trace")
    metrics = _loaded("opentelemetry.metrics")
    if trace is None and metrics is None:
        return _NOTHING
    return _observe(service, attempt, template, resent, trace, metrics)


def _loaded(name: str) -> ModuleType | None:
    """Return a module that is loaded, whole: another thread may be in the midst of importing it."""
    module = sys.modules.get(name)
    # The import system's own mark, which it takes away when the module's code has run.
    return None if module is None or getattr(module.__spec__, "_initializing", False) else module


def _observe(
    service: Service,
    attempt: Attempt,
    template: str,
    resent: int,
    trace: ModuleType | None,
    metrics: ModuleType | None,
) -> Recording:
    histogram = _histogram(metrics) if metrics is not None else None
    tracer = _tracer(trace) if trace is not None else None
    if trace is not None and tracer is None and "traceparent" not in attempt.headers:
        _inject(trace, attempt.headers, None)
    if tracer is None and histogram is None:
        return _NOTHING
    attributes: dict[str, str | int] = {
        "http.request.method": attempt.method,
        "server.address": service.origin.host,
        "server.port": service.origin.port,
        "url.template": template,
    }
    span = None
    if trace is not None and tracer is not None:
        span = tracer.start_span(
            f"{attempt.method} {template}",
            context=_parent(trace, attempt.headers),
            kind=trace.SpanKind.CLIENT,
            attributes={
                **attributes,
                "url.full": service.origin.url + template,
                "network.peer.address": service.address.host,
                "network.peer.port": service.address.port,
                **({"http.request.resend_count": resent} if resent else {}),
            },
        )
        _inject(trace, attempt.headers, span)
    return _Observed(trace, span, histogram, attributes)


class _Observed(Recording):
    __slots__ = ("_attributes", "_histogram", "_span", "_started", "_trace")

    def __init__(
        self,
        trace: ModuleType | None,
        span: Any,  # noqa: ANN401
        histogram: Any,  # noqa: ANN401
        attributes: dict[str, str | int],
    ) -> None:
        self._trace = trace
        self._span = span
        self._histogram = histogram
        self._attributes = attributes
        self._started = time.monotonic()

    def end(self, result: "httpx.Response | MeshError") -> None:
        if isinstance(result, MeshError):
            found = {"error.type": result.code}
            status = result.status
        else:
            status = result.status_code
            found = {"error.type": str(status)} if status >= 400 else {}
        self._attributes |= found
        if status is not None:
            self._attributes["http.response.status_code"] = status

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if exc is not None and "error.type" not in self._attributes:
            # A task that was cancelled, or Ctrl-C: the generator is closed where it stands.
            self._attributes["error.type"] = "cancelled"
        if self._histogram is not None:
            self._histogram.record(time.monotonic() - self._started, self._attributes)
        if self._span is not None and self._trace is not None:
            self._span.set_attributes(self._attributes)
            if "error.type" in self._attributes:
                self._span.set_status(self._trace.StatusCode.ERROR)
            self._span.end()


_made: dict[str, tuple[object, Any]] = {}


def _tracer(trace: ModuleType) -> Any:  # noqa: ANN401 - the API is not imported, and so has no types here
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        return None
    known = _made.get("tracer")
    if known is None or known[0] is not provider:
        known = _made["tracer"] = (provider, provider.get_tracer(_SCOPE))
    return known[1]


def _histogram(metrics: ModuleType) -> Any:  # noqa: ANN401
    provider = metrics.get_meter_provider()
    if type(provider).__module__.startswith("opentelemetry.metrics."):
        return None  # the API's own placeholder for a provider that is not set
    known = _made.get("histogram")
    if known is None or known[0] is not provider:
        made = provider.get_meter(_SCOPE).create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_BUCKETS_S,
        )
        known = _made["histogram"] = (provider, made)
    return known[1]


def _parent(trace: ModuleType, headers: dict[str, str]) -> Any:  # noqa: ANN401
    if "traceparent" not in headers:
        return None
    from opentelemetry.propagate import extract

    try:
        return extract(headers)
    except Exception as exc:  # noqa: BLE001 - no call fails for its trace
        _log.debug("propagator_failed %s", type(exc).__name__)
        return None


def _inject(trace: ModuleType, headers: dict[str, str], span: Any) -> None:  # noqa: ANN401
    if span is None and not trace.get_current_span().get_span_context().is_valid:
        return
    from opentelemetry.propagate import inject

    # Propagators are the program's own and may write anything; a line break would end the header.
    injected: dict[str, str] = {}
    try:
        inject(injected, context=None if span is None else trace.set_span_in_context(span))
    except Exception as exc:  # noqa: BLE001 - no call fails for its trace
        _log.debug("propagator_failed %s", type(exc).__name__)
    for name, value in injected.items():
        if is_field_name(name) and is_field_value(value):
            headers[name.lower()] = value
        else:
            _log.debug("propagated_header_dropped")
