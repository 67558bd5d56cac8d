"""Spans by OpenTelemetry, where the program itself uses it.

Nothing here imports OpenTelemetry. A program that has set up a tracer provider has loaded its API already; in any
other, one look into `sys.modules` is all that a span costs.

Names follow the semantic conventions for messaging (https://opentelemetry.io/docs/specs/semconv/messaging/gcp-pubsub).
An attribute never holds an event's values, and an exception's text is never recorded: it may quote them.
"""

from collections.abc import Mapping
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Literal

from enrichment.errors import Disposition, EnrichmentError, Outcome
from enrichment.telemetry import loaded
from enrichment.telemetry.counters import SCOPE
from enrichment.telemetry.trace import Trace

if TYPE_CHECKING:
    from enrichment.event.message import Message

Kind = Literal["INTERNAL", "CONSUMER", "SERVER"]
Attribute = str | int | bool


class Span:
    """A part of an event's way; this one is recorded nowhere.

    Args:
        trace: Where in the trace it stands: what is called within it sends this on.
    """

    __slots__ = ("trace",)

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def set(self, name: str, value: Attribute) -> None:
        """Note an attribute."""

    def end(self, outcome: Outcome) -> None:
        """Note how an event ended."""

    def fail(self, reason: str) -> None:
        """Note that it failed, by a stable code."""

    def __enter__(self) -> "Span":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the span."""


def span(
    name: str,
    trace: Trace,
    kind: Kind = "INTERNAL",
    attributes: Mapping[str, Attribute] | None = None,
    *,
    message: "Message | None" = None,
) -> Span:
    """Begin a span, to be used as a context manager in the task that called.

    Its parent is the current span where that belongs to the same trace or the trace is new; else the span that the
    trace names, and the current one is linked.

    Args:
        name: What is done: `enrich`, `lookup`, `write`.
        trace: The trace it belongs to.
        kind: Its kind, by OpenTelemetry's name.
        attributes: What is known of it at the start, which is when samplers look.
        message: The message that a consumer's span is for: its attributes are made where a span is recorded.

    Returns:
        The span. Its `trace` is the one to send on and to write down.
    """
    api = loaded.module("opentelemetry.trace")
    tracer = None if api is None else _tracer(api)
    if api is None or tracer is None:
        return Span(trace)
    if message is not None:
        attributes = {**message_attributes(message), **(attributes or {})}
    parent, links = _parent(api, trace)
    begun = tracer.start_span(
        name,
        context=parent,
        kind=api.SpanKind[kind],
        attributes=attributes,
        links=links,
        record_exception=False,
        set_status_on_exception=False,
    )
    return _Recorded(api, begun, trace)


def message_attributes(message: "Message") -> dict[str, Attribute]:
    """Return what a consumer's span says of its message.

    Args:
        message: The message.
    """
    known: dict[str, Attribute] = {
        "messaging.system": "gcp_pubsub",
        "messaging.operation.type": "process",
        "messaging.operation.name": "enrich",
        "messaging.message.id": message.message_id,
    }
    if message.attempt:
        known["messaging.gcp_pubsub.message.delivery_attempt"] = message.attempt
    return known


class _Recorded(Span):
    __slots__ = ("_api", "_manager", "_span")

    def __init__(self, api: ModuleType, span: Any, trace: Trace) -> None:  # noqa: ANN401 - the API is not imported
        super().__init__(_position(span, trace))
        self._api = api
        self._span = span
        self._manager = api.use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        )

    def set(self, name: str, value: Attribute) -> None:
        self._span.set_attribute(name, value)

    def end(self, outcome: Outcome) -> None:
        self.set("meshpass.outcome", outcome.disposition.value)
        if outcome.stage:
            self.set("meshpass.stage", str(outcome.stage))
        self._end(outcome.disposition, outcome.reason)

    def fail(self, reason: str) -> None:
        self._end(Disposition.FAULT, reason)

    def __enter__(self) -> "Span":
        self._manager.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, EnrichmentError):
            self._end(error.disposition, error.reason)
        elif error is not None:
            self._end(Disposition.FAULT, type(error).__name__)
        self._manager.__exit__(kind, error, trace)

    def _end(self, disposition: Disposition, reason: str) -> None:
        if reason:
            self.set("error.type", reason)
        if disposition in (
            Disposition.RETRY,
            Disposition.FAULT,
        ):  # a bad event that is safe in its place is work done
            self._span.set_status(self._api.StatusCode.ERROR)


_made: tuple[object, Any] = (None, None)


def _tracer(api: ModuleType) -> Any:  # noqa: ANN401 - the API is not imported, and so has no types here
    global _made
    provider = api.get_tracer_provider()
    if isinstance(provider, api.ProxyTracerProvider):
        return None
    if _made[0] is not provider:
        _made = (provider, provider.get_tracer(SCOPE))
    return _made[1]


def _parent(api: ModuleType, trace: Trace) -> tuple[Any, list[Any]]:
    current = api.get_current_span().get_span_context()
    if trace.new or (current.is_valid and current.trace_id == int(trace.trace_id, 16)):
        return None, []
    named = api.SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(trace.flags),
    )
    links = [api.Link(current)] if current.is_valid else []
    return api.set_span_in_context(api.NonRecordingSpan(named)), links


def _position(span: Any, trace: Trace) -> Trace:  # noqa: ANN401
    context = span.get_span_context()
    if not context.is_valid:  # a provider that records nothing
        return trace
    trace_id = f"{context.trace_id:032x}"
    return Trace(trace_id, f"00-{trace_id}-{context.span_id:016x}-{context.trace_flags:02x}")
