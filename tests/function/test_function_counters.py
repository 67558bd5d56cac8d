"""Everything is counted once, for the log always and for OpenTelemetry where the program uses it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
from enrichment.telemetry.counters import DESCRIPTIONS, Count, Counters, uncounted
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum


def exported(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], int]]]:
    data = reader.get_metrics_data()
    if data is None:
        return {}
    found: dict[str, list[tuple[dict[str, Any], int]]] = {}
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        assert isinstance(metric.data, Sum)
        found[metric.name] = [
            (dict(point.attributes or {}), int(point.value)) for point in metric.data.data_points
        ]
    return found


def test_a_snapshot_holds_each_counter_under_its_name_and_label_values() -> None:
    counters = Counters()
    counters("lookups", cache="hit")
    counters("lookups", cache="hit")
    counters("lookups", cache="fetched")
    counters("insert_rows", 40)
    counters("events", outcome="retry", stage="lookup", reason="service_unavailable")
    counters("events", outcome="written", stage="", reason="")
    assert counters.snapshot() == {
        "events/retry/lookup/service_unavailable": 1,
        "events/written": 1,
        "insert_rows": 40,
        "lookups/fetched": 1,
        "lookups/hit": 2,
    }
    assert counters.total("lookups", cache="hit") == 2
    assert counters.total("lookups", cache="stale") == 0


def test_a_snapshot_stays_as_it_was_taken() -> None:
    counters = Counters()
    counters("insert_rows")
    taken = counters.snapshot()
    counters("insert_rows")
    assert taken == {"insert_rows": 1}


def test_nothing_is_lost_between_threads() -> None:
    counters = Counters()

    def count_many(_: int) -> None:
        for _ in range(500):
            counters("insert_rows")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(count_many, range(8)))
    finally:
        sys.setswitchinterval(interval)
    assert counters.total("insert_rows") == 4000


def test_both_ways_to_count_are_a_count() -> None:
    ways: list[Count] = [Counters(), uncounted]
    for way in ways:
        way("events", 2, outcome="written")


def test_where_the_program_has_a_meter_provider_each_counter_is_an_instrument(
    reader: InMemoryMetricReader,
) -> None:
    counters = Counters()
    counters("events", outcome="written", stage="", reason="")
    counters("events", outcome="retry", stage="lookup", reason="timeout")
    counters("insert_rows", 40)
    assert exported(reader) == {
        "meshpass.enrichment.events": [
            ({"outcome": "written"}, 1),
            ({"outcome": "retry", "stage": "lookup", "reason": "timeout"}, 1),
        ],
        "meshpass.enrichment.insert_rows": [({}, 40)],
    }
    assert counters.total("insert_rows") == 40


def test_an_instrument_is_described(reader: InMemoryMetricReader) -> None:
    Counters()("lookups", cache="hit")
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert metric.description == DESCRIPTIONS["lookups"]


def test_a_provider_set_up_later_is_counted_with_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    counters, first, second = Counters(), InMemoryMetricReader(), InMemoryMetricReader()
    counters("insert_rows")  # the API is loaded here, but no provider is set
    for reader, amount in ((first, 2), (second, 3)):
        provider = MeterProvider([reader])
        monkeypatch.setattr(metrics, "get_meter_provider", lambda provider=provider: provider)
        counters("insert_rows", amount)
        assert exported(reader) == {"meshpass.enrichment.insert_rows": [({}, amount)]}
        provider.shutdown()
    assert counters.total("insert_rows") == 6


def test_a_module_in_the_midst_of_its_import_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    half = ModuleType("opentelemetry.metrics")
    half.__spec__ = ModuleSpec("opentelemetry.metrics", None)
    half.__spec__._initializing = True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", half)
    counters = Counters()
    counters("insert_rows")
    assert counters.total("insert_rows") == 1


def test_watching_loads_nothing_that_the_program_does_not_use() -> None:
    code = (
        "import sys, time\n"
        "from enrichment import errors\nfrom enrichment.drivers import http_lookup\n"
        "from enrichment.telemetry import counters, delivery, log, spans, trace\n"
        "with spans.span('enrich', trace.find({}, {})) as span:\n"
        "    counters.Counters()('insert_rows')\n"
        "    written = errors.Outcome(errors.Disposition.WRITTEN)\n"
        "    log.Log('').delivery(written, delivery.Delivery(span.trace, time.monotonic()))\n"
        "print(*{name.partition('.')[0] for name in sys.modules} & "
        "{'opentelemetry', 'starlette', 'functions_framework', 'httpx'})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line, loaded = run.stdout.splitlines()
    assert '"message":"written"' in line
    assert loaded == ""
