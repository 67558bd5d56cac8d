"""Spans where the program uses OpenTelemetry: one trace from the publisher through the function into the mesh."""

import asyncio
import sys
from datetime import UTC, datetime
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import meshpass
import pytest
from enrichment.errors import BadEventError, Disposition, FaultError, Outcome, Stage, TransientError
from enrichment.event.message import Message
from enrichment.telemetry import spans as telemetry
from enrichment.telemetry.trace import Trace, find
from opentelemetry import trace as api
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from .conftest import TRACE_ID, TRACEPARENT, Gateway

PUBLISHER_SPAN = "00f067aa0ba902b7"
GIVEN = find({"traceparent": TRACEPARENT}, {})


def named(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def ids(span: ReadableSpan) -> tuple[str, str]:
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def parent_of(span: ReadableSpan) -> str | None:
    return f"{span.parent.span_id:016x}" if span.parent else None


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_the_publishers_span_is_the_parent_and_the_consumer_says_what_it_takes(
    spans: InMemorySpanExporter,
) -> None:
    message = Message(b"", {}, "m-1", datetime(2026, 3, 1, tzinfo=UTC), attempt=2)
    with telemetry.span("enrich", GIVEN, "CONSUMER", message=message) as span:
        span.end(Outcome(Disposition.WRITTEN))
    enrich = named(spans)["enrich"]
    assert (ids(enrich)[0], parent_of(enrich), enrich.kind) == (TRACE_ID, PUBLISHER_SPAN, SpanKind.CONSUMER)
    assert enrich.parent is not None
    assert enrich.parent.is_remote
    assert enrich.status.status_code is StatusCode.UNSET
    assert attributes_of(enrich) == {
        "messaging.system": "gcp_pubsub",
        "messaging.operation.type": "process",
        "messaging.operation.name": "enrich",
        "messaging.message.id": "m-1",
        "messaging.gcp_pubsub.message.delivery_attempt": 2,
        "meshpass.outcome": "written",
    }


def test_what_is_sent_on_names_the_span_itself(spans: InMemorySpanExporter) -> None:
    with telemetry.span("enrich", GIVEN) as span:
        onward = span.trace
    trace_id, span_id = ids(named(spans)["enrich"])
    assert onward == Trace(TRACE_ID, f"00-{trace_id}-{span_id}-01")


def test_the_parts_of_an_event_are_children_of_the_whole(spans: InMemorySpanExporter) -> None:
    with telemetry.span("enrich", GIVEN) as whole:
        for part in ("lookup", "write"):
            with telemetry.span(part, whole.trace):
                pass
    found = named(spans)
    for part in ("lookup", "write"):
        assert (ids(found[part])[0], parent_of(found[part])) == (TRACE_ID, ids(found["enrich"])[1])
        assert found[part].kind is SpanKind.INTERNAL


def test_a_trace_that_began_here_has_a_recorded_root(spans: InMemorySpanExporter) -> None:
    with telemetry.span("enrich", find({}, {})) as span:
        onward = span.trace
    enrich = named(spans)["enrich"]
    assert parent_of(enrich) is None
    assert (onward.trace_id, onward.span_id) == ids(enrich)
    assert not onward.new


def test_a_trace_that_began_here_goes_on_with_the_servers_own_span(spans: InMemorySpanExporter) -> None:
    with telemetry.span("POST", GIVEN), telemetry.span("enrich", find({}, {})):
        pass
    found = named(spans)
    assert (ids(found["enrich"])[0], parent_of(found["enrich"])) == (TRACE_ID, ids(found["POST"])[1])


def test_the_servers_span_of_another_trace_is_linked(spans: InMemorySpanExporter) -> None:
    with telemetry.span("POST", find({}, {})), telemetry.span("enrich", GIVEN):
        pass
    found = named(spans)
    assert (ids(found["enrich"])[0], parent_of(found["enrich"])) == (TRACE_ID, PUBLISHER_SPAN)
    (link,) = found["enrich"].links
    assert link.context.span_id == found["POST"].context.span_id


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(Disposition.DEAD_LETTERED, Stage.DECODE, "json_invalid", "d"), StatusCode.UNSET),
        (Outcome(Disposition.RETRY, Stage.LOOKUP, "timeout", "d"), StatusCode.ERROR),
        (Outcome(Disposition.FAULT, Stage.WRITE, "bigquery_forbidden", "d"), StatusCode.ERROR),
    ],
    ids=lambda value: value.disposition.value if isinstance(value, Outcome) else value.name,
)
def test_a_span_says_what_the_event_came_to(
    spans: InMemorySpanExporter, outcome: Outcome, status: StatusCode
) -> None:
    with telemetry.span("enrich", GIVEN) as span:
        span.end(outcome)
    enrich = named(spans)["enrich"]
    assert enrich.status.status_code is status
    assert attributes_of(enrich) == {
        "meshpass.outcome": outcome.disposition.value,
        "meshpass.stage": str(outcome.stage),
        "error.type": outcome.reason,
    }


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (BadEventError(Stage.LOOKUP, "key_invalid", "s3cret"), "key_invalid", StatusCode.UNSET),
        (TransientError(Stage.LOOKUP, "timeout", "s3cret"), "timeout", StatusCode.ERROR),
        (FaultError(Stage.LOOKUP, "not_allowed", "s3cret"), "not_allowed", StatusCode.ERROR),
        (ValueError("s3cret"), "ValueError", StatusCode.ERROR),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_error_that_leaves_a_span_is_named_by_its_code_and_never_quoted(
    spans: InMemorySpanExporter, error: Exception, code: str, status: StatusCode
) -> None:
    with pytest.raises(type(error)), telemetry.span("lookup", GIVEN):
        raise error
    lookup = named(spans)["lookup"]
    assert attributes_of(lookup)["error.type"] == code
    assert lookup.status.status_code is status
    assert "s3cret" not in lookup.to_json()


def test_the_call_into_the_mesh_is_a_child_of_the_lookup_also_from_a_task_of_its_own(
    spans: InMemorySpanExporter,
    gateway: Gateway,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    gateway.seen.clear()

    async def look_up() -> None:
        async with meshpass.AsyncClient.from_env() as client:
            with telemetry.span("enrich", GIVEN) as whole, telemetry.span("lookup", whole.trace) as lookup:
                call = client.get(
                    "/profile/{key}", key="u-1", headers={"traceparent": lookup.trace.traceparent}
                )
                await asyncio.create_task(call)

    asyncio.run(look_up())
    found = named(spans)
    client_span = found["GET /profile/{key}"]
    assert (ids(client_span)[0], parent_of(client_span)) == (TRACE_ID, ids(found["lookup"])[1])
    ((_, headers),) = gateway.seen
    assert headers["traceparent"] == f"00-{TRACE_ID}-{ids(client_span)[1]}-01"


def test_the_spans_of_events_under_way_at_once_do_not_mix(spans: InMemorySpanExporter) -> None:
    async def both() -> None:
        both_inside = asyncio.Barrier(2)
        await asyncio.gather(enrich("a", GIVEN, both_inside), enrich("b", find({}, {}), both_inside))

    async def enrich(name: str, trace: Trace, both_inside: asyncio.Barrier) -> None:
        with telemetry.span(name, trace) as whole:
            await both_inside.wait()
            with telemetry.span(f"{name} lookup", whole.trace):
                await both_inside.wait()

    asyncio.run(both())
    found = named(spans)
    for name in ("a", "b"):
        part = found[f"{name} lookup"]
        assert (ids(part)[0], parent_of(part)) == ids(found[name])


def test_without_a_provider_the_trace_goes_on_as_it_is() -> None:
    with telemetry.span("enrich", GIVEN) as span:
        span.set("a", 1)
        span.end(Outcome(Disposition.FAULT, None, "r", "d"))
        assert span.trace is GIVEN


def test_with_a_provider_that_records_nothing_the_trace_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = api.NoOpTracerProvider()
    monkeypatch.setattr(api, "get_tracer_provider", lambda: provider)
    with telemetry.span("enrich", GIVEN) as span:
        assert span.trace == GIVEN
    with telemetry.span("enrich", fresh := find({}, {})) as span:
        assert span.trace == fresh


def test_a_module_in_the_midst_of_its_import_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    half = ModuleType("opentelemetry.trace")
    half.__spec__ = ModuleSpec("opentelemetry.trace", None)
    half.__spec__._initializing = True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", half)
    with telemetry.span("enrich", GIVEN) as span:
        assert span.trace is GIVEN
