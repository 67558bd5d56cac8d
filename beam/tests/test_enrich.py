"""The asynchronous DoFn: the function's rows, dead letters and identities, on Beam's own runner."""

import asyncio
import atexit
import base64
import itertools
import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, GlobalWindows, SlidingWindows, TimestampedValue
from conftest import PUBLISHED, Gateway, Table, TakeDeadLetters, event, pubsub
from enrichment import assembly
from enrichment.core.received import Received
from enrichment.dead_letter import DeadLetter
from enrichment.errors import Disposition, Outcome, Stage
from enrichment.event import message
from enrichment.row import Row
from enrichment_beam import engine as engines
from enrichment_beam import shared_engine
from enrichment_beam.counts import NAMESPACE, REPORT_AFTER, Counts
from enrichment_beam.engine import Bundle, Ended, Engine, EngineError, EngineOptions
from enrichment_beam.enrich import (
    DEAD_LETTERS,
    ENDED,
    RETRY,
    ROWS,
    Enrich,
    EnrichAndWrite,
    EnrichDoFn,
    EventEnded,
    OnRetry,
)
from enrichment_beam.messages import PubsubMessage
from enrichment_beam.settings import WorkerSettings
from enrichment_beam.tally import Tally

ONE = PipelineOptions(["--runner=FnApiRunner"])
THREADS = PipelineOptions(
    ["--runner=FnApiRunner", "--direct_running_mode=multi_threading", "--direct_num_workers=4"]
)


def run(
    messages: list[Any],
    transform: beam.PTransform,
    check: Callable[[Any], None],
    options: PipelineOptions = ONE,
) -> None:
    with beam.Pipeline(options=options) as pipeline:
        check(pipeline | beam.Create(messages) | beam.Reshuffle() | transform)


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Wait until something holds; whether it did in time."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)
    return holds()


def ignore(_: Any) -> None:
    pass


class _Kept:
    """Rows and dead letters as the function writes them."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.dead: list[DeadLetter] = []

    def warm_up(self) -> None: ...

    async def write(self, row: Row, deadline: object) -> None:
        self.rows.append(row)

    async def publish(self, dead_letter: DeadLetter, deadline: object) -> None:
        self.dead.append(dead_letter)


def of_function(settings: WorkerSettings, messages: list[PubsubMessage]) -> _Kept:
    """What the function makes of the same messages, each in the body of a push."""
    kept = _Kept()
    closing: assembly.Closing = []
    enricher = assembly.enricher(settings.put_in_place(), closing)
    enricher.sink, enricher.dead_letters, enricher.sinks = kept, kept, {}

    def pushed(one: PubsubMessage) -> bytes:
        found = {"data": base64.b64encode(one.data).decode(), "attributes": one.attributes,
                 "messageId": one.message_id, "publishTime": PUBLISHED.isoformat()}  # fmt: skip
        return json.dumps({"message": found, "subscription": "projects/p/subscriptions/s"}).encode()

    async def deliver() -> None:
        for one in messages:
            body = pushed(one)
            await enricher.handle(Received(body, message.read(body), {}))
        for close in closing:
            await close()

    asyncio.run(deliver())
    return kept


OF_THE_RUN = ("enriched_at", "trace_id")
"""Columns that differ from run to run."""


def test_rows_and_insert_ids_are_those_of_the_function(settings: WorkerSettings) -> None:
    redriven = pubsub(9)
    redriven.attributes |= {
        "redrive_message_id": "first", "redrive_publish_time": "2026-11-29T00:00:00Z", "redrive_count": "2"
    }  # fmt: skip
    messages = [*(pubsub(n) for n in range(5)), redriven]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.environment.items():
            patch.setenv(name, value)
        expected = sorted(
            (
                row.insert_id,
                json.dumps({k: v for k, v in row.columns.items() if k not in OF_THE_RUN}, sort_keys=True),
            )
            for row in of_function(settings, messages).rows
        )
    assert len(expected) == 6

    def check(out: Any) -> None:
        made = out[ROWS] | beam.Map(
            lambda row: (
                row.insert_id,
                json.dumps({k: v for k, v in row.columns.items() if k not in OF_THE_RUN}, sort_keys=True),
            )
        )
        assert_that(made, equal_to(expected))

    run(messages, Enrich(settings), check)


def test_dead_letters_are_those_of_the_function(settings: WorkerSettings) -> None:
    bad = [
        pubsub(1, b"{broken"),
        pubsub(2, event(2, user_id="unknown")),
        pubsub(3, event(3, occurred_at="never")),
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.environment.items():
            patch.setenv(name, value)
        expected = sorted(_without_trace(one.data, one.attributes) for one in of_function(settings, bad).dead)
    assert len(expected) == 3

    def check(out: Any) -> None:
        assert_that(
            out[DEAD_LETTERS] | beam.Map(lambda one: _without_trace(one.data, one.attributes)),
            equal_to(expected),
        )

    run(bad, Enrich(settings), check)


def _without_trace(data: bytes, attributes: dict[str, str]) -> tuple[bytes, str]:
    return data, json.dumps(
        {k: v for k, v in attributes.items() if k != "dead_letter_trace_id"}, sort_keys=True
    )


def test_rows_are_written_and_bad_events_published(
    settings: WorkerSettings, table: Table, dead_letters: TakeDeadLetters
) -> None:
    messages = [*(pubsub(n) for n in range(40)), pubsub(40, b"{broken")]

    def check(out: Any) -> None:
        assert_that(
            out[ENDED],
            equal_to(
                [EventEnded(f"m-{n}", "written", "", 1) for n in range(40)]
                + [EventEnded("m-40", "dead-lettered", "json_invalid", 0)]
            ),
        )

    run(messages, EnrichAndWrite(settings), check)
    assert table.event_ids() == [f"e-{n:05}" for n in range(40)]
    (dead,) = dead_letters()
    assert (dead.data, dead.attributes["dead_letter_function"]) == (b"{broken", "enrich")


class _Seen(beam.DoFn):
    def process(
        self,
        element: EventEnded,
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[tuple[str, int, int]]:
        yield element.message_id, int(timestamp), int(window.start)


def test_results_keep_the_timestamp_and_the_window_of_their_own_message(settings: WorkerSettings) -> None:
    def check(out: Any) -> None:
        assert_that(
            out[ENDED] | beam.ParDo(_Seen()), equal_to([(f"m-{n}", n, n // 10 * 10) for n in range(35)])
        )

    with beam.Pipeline(options=ONE) as pipeline:
        check(
            pipeline
            | beam.Create(range(35))
            | beam.Map(lambda n: TimestampedValue(pubsub(n), n))
            | beam.WindowInto(FixedWindows(10))
            | EnrichAndWrite(settings)
        )


def test_a_message_in_several_windows_is_enriched_once_and_its_result_is_once_in_each(
    settings: WorkerSettings, table: Table
) -> None:
    def check(out: Any) -> None:
        assert_that(
            out[ENDED] | beam.ParDo(_Seen()),
            equal_to([(f"m-{n}", n, n // 10 * 10 - late) for n in range(35) for late in (0, 10)]),
        )

    with beam.Pipeline(options=ONE) as pipeline:
        check(
            pipeline
            | beam.Create(range(35))
            | beam.Map(lambda n: TimestampedValue(pubsub(n), n))
            | beam.WindowInto(SlidingWindows(20, 10))
            | EnrichAndWrite(
                settings, EngineOptions(in_flight=4)
            )  # so that some end before the last one begins
        )
    assert table.event_ids() == [f"e-{n:05}" for n in range(35)]


@pytest.mark.parametrize("transform", [Enrich, EnrichAndWrite])
def test_messages_and_rows_are_counted_in_beams_metrics(
    settings: WorkerSettings, table: Table, transform: type[beam.PTransform]
) -> None:
    good = [pubsub(n) for n in range(2 * REPORT_AFTER + 5)]
    bad = [pubsub(1000, b"{broken"), pubsub(1001, event(1001, user_id="unknown"))]
    pipeline = beam.Pipeline(options=ONE)
    _ = pipeline | beam.Create(good + bad) | transform(settings)
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    assert {one.key.metric.name: one.committed for one in found} == {
        "events/written": len(good),
        "events/dead-lettered/json_invalid": 1,
        "events/dead-lettered/profile_not_found": 1,
        "rows": len(good),
    }


def test_the_counts_of_a_long_bundle_are_reported_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[tuple[str, int]] = []

    class Counter:
        def __init__(self, name: str) -> None:
            self.name = name

        def inc(self, amount: int) -> None:
            reported.append((self.name, amount))

    monkeypatch.setattr("enrichment_beam.counts._counter", Counter)
    counts = Counts()
    ended = Ended(None, MESSAGE, Outcome(Disposition.WRITTEN), Tally(rows=2))
    for _ in range(REPORT_AFTER + 1):
        counts.add(ended, collects_rows=False)
    assert reported == [("events/written", REPORT_AFTER), ("rows", 2 * REPORT_AFTER)]
    counts.report()
    assert reported[2:] == [("events/written", 1), ("rows", 2)]


def test_the_bound_in_flight_holds_across_the_bundles_of_a_process(
    settings: WorkerSettings, gateway: Gateway, table: Table
) -> None:
    gateway.delay_s = 0.02
    messages = [pubsub(n, event(n, user_id=f"own-{n}")) for n in range(60)]
    run(messages, EnrichAndWrite(settings, EngineOptions(in_flight=5)), ignore, THREADS)
    assert len(table.rows()) == 60
    assert 2 <= gateway.most_at_once <= 5


def test_bundles_share_lookups(settings: WorkerSettings, gateway: Gateway, table: Table) -> None:
    messages = [pubsub(n, event(n, user_id=f"u-{n % 3}")) for n in range(200)]
    run(messages, EnrichAndWrite(settings), ignore, THREADS)
    assert len(table.rows()) == 200
    assert sorted(gateway.seen) == ["u-0", "u-1", "u-2"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_transient_error_is_tried_again_in_the_worker(
    settings: WorkerSettings, gateway: Gateway, table: Table, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(engines, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr("enrichment_beam.admission.FIRST_PAUSE_S", 0.01)
    gateway.failures, gateway.status = 4, status
    run([pubsub(n) for n in range(3)], EnrichAndWrite(settings, EngineOptions(in_flight=1)), ignore)
    assert len(table.rows()) == 3


def test_one_that_does_not_pass_fails_its_bundle(
    settings: WorkerSettings, gateway: Gateway, table: Table
) -> None:
    gateway.failures = 1000
    with pytest.raises(Exception, match="did not pass in time"):
        run([pubsub(1)], EnrichAndWrite(settings, EngineOptions(patience_s=0)), ignore)
    assert table.rows() == []


def test_one_that_does_not_pass_goes_to_an_output_of_its_own(
    settings: WorkerSettings, gateway: Gateway
) -> None:
    gateway.failures = 1000

    def check(out: Any) -> None:
        assert_that(
            out[RETRY] | beam.Map(lambda one: (one.message_id, one.data)), equal_to([("m-1", event(1))])
        )
        assert_that(out[ROWS], equal_to([]), label="rows")

    run([pubsub(1)], Enrich(settings, EngineOptions(patience_s=0), OnRetry.OUTPUT), check)


@pytest.mark.parametrize("on_retry", OnRetry)
def test_a_fault_fails_the_bundle_and_is_never_dead_lettered(
    settings: WorkerSettings, dead_letters: TakeDeadLetters, on_retry: OnRetry
) -> None:
    with pytest.raises(Exception, match="is a fault of the configuration"):
        run([pubsub(1, event(1, user_id="denied"))], EnrichAndWrite(settings, on_retry=on_retry), ignore)
    assert dead_letters() == []


def test_a_bundle_that_comes_again_makes_the_same_rows(settings: WorkerSettings, table: Table) -> None:
    for _ in range(2):
        run([pubsub(n) for n in range(10)], EnrichAndWrite(settings), ignore)
    assert len(set(table.event_ids())) == len(table.rows()) == 10


# --- The engine ---


class _Slow:
    """A core that waits until it is let go."""

    def __init__(self) -> None:
        self.now = self.most = self.cancelled = 0
        self.go = threading.Event()

    async def handle(self, received: Received) -> Outcome:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            while not self.go.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        return Outcome(Disposition.WRITTEN)


@pytest.fixture
def slow() -> Iterator[tuple[_Slow, Engine]]:
    core = _Slow()
    engine = Engine(lambda: core, EngineOptions(in_flight=3))
    yield core, engine
    core.go.set()
    engine.close()


MESSAGE = Received(b"", message.unreadable(b""), {})


def test_one_bundle_waits_for_the_places_of_another(slow: tuple[_Slow, Engine]) -> None:
    core, engine = slow
    first, second = Bundle(engine), Bundle(engine)
    for number in range(3):
        first.add(number, MESSAGE)
    added = threading.Event()

    def add() -> None:
        second.add("late", MESSAGE)
        added.set()

    thread = threading.Thread(target=add)
    thread.start()
    assert not added.wait(0.1)
    core.go.set()
    assert added.wait(5)
    thread.join()
    assert sorted(one.ticket for one in first.drain()) == [0, 1, 2]
    assert [one.ticket for one in second.drain()] == ["late"]
    assert core.most == 3


def test_what_an_abandoned_bundle_has_under_way_is_cancelled_and_its_places_come_free(
    slow: tuple[_Slow, Engine],
) -> None:
    core, engine = slow
    bundle = Bundle(engine)
    for number in range(3):
        bundle.add(number, MESSAGE)
    assert within(5, lambda: core.now == 3)
    bundle.abandon()
    other = Bundle(engine)
    other.add("next", MESSAGE)
    core.go.set()
    assert [one.ticket for one in other.drain()] == ["next"]
    assert core.cancelled == 3
    assert within(5, lambda: engine.in_flight == 0)


def test_a_loop_that_cannot_start_says_why() -> None:
    def broken() -> Any:
        raise ValueError("no such setting")

    with pytest.raises(EngineError, match="no such setting"):
        Engine(broken, EngineOptions())


def test_a_bundle_learns_that_the_loop_is_gone(
    slow: tuple[_Slow, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_CHECK_S", 0.05)
    _, engine = slow
    bundle = Bundle(engine)
    bundle.add(1, MESSAGE)
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        list(bundle.drain())


def test_a_defect_of_the_core_is_a_fault_of_its_message() -> None:
    class Broken:
        async def handle(self, received: Received) -> Outcome:
            raise LookupError("a defect")

    engine = Engine(Broken, EngineOptions())
    bundle = Bundle(engine)
    bundle.add(1, MESSAGE)
    (ended,) = bundle.drain()
    assert (ended.outcome.disposition, ended.outcome.reason) == (Disposition.FAULT, "unexpected_error")
    engine.close()


def test_an_engine_ends_after_its_last_user_and_not_before(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "LINGER_S", 0.05)
    first, second = (shared_engine.lease(settings, EngineOptions()) for _ in range(2))
    engine = first._engine
    assert engine is not None
    assert engine is second._engine
    first.close()
    threading.Event().wait(0.2)
    assert engine.is_alive
    second.close()
    engine._thread.join(5)
    assert not engine.is_alive
    assert shared_engine.lease(settings, EngineOptions())._engine is not engine


def test_two_pipelines_with_other_settings_do_not_share_a_process(settings: WorkerSettings) -> None:
    from dataclasses import replace

    lease = shared_engine.lease(settings, EngineOptions())
    other = replace(settings, environment={**settings.environment, "JWT_SCOPE": "other"})
    with pytest.raises(EngineError, match="other settings"):
        shared_engine.lease(other, EngineOptions())
    lease.close()


def test_retries_give_way_to_live_traffic() -> None:
    answers = itertools.chain([True] * 5, itertools.repeat(False))

    class Overloaded:
        async def handle(self, received: Received) -> Outcome:
            if next(answers):
                return Outcome(Disposition.RETRY, Stage.LOOKUP, "service_unavailable")
            return Outcome(Disposition.WRITTEN)

    engine = Engine(Overloaded, EngineOptions(in_flight=64))
    bundle = Bundle(engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "FIRST_DELAY_S", 0.01)
        patch.setattr("enrichment_beam.admission.FIRST_PAUSE_S", 0.01)
        bundle.add(1, MESSAGE)
        (ended,) = bundle.drain()
    assert ended.tally.tries == 6
    assert engine._admission.width < 64
    engine.close()


def test_a_do_fn_that_is_torn_down_amid_a_bundle_leaves_nothing_under_way(
    settings: WorkerSettings, gateway: Gateway
) -> None:
    gateway.delay_s = 5
    do_fn = EnrichDoFn(settings, EngineOptions())
    do_fn.setup()
    do_fn.start_bundle()
    list(do_fn.process(pubsub(1), GlobalWindows.windowed_value(pubsub(1))))
    assert do_fn._lease is not None
    engine = do_fn._lease._engine
    assert engine is not None
    do_fn.teardown()
    assert within(5, lambda: engine.in_flight == 0)
    with pytest.raises(RuntimeError):
        list(do_fn.process(pubsub(1), GlobalWindows.windowed_value(pubsub(1))))


def test_an_engine_that_ends_closes_the_connections_that_its_parts_made() -> None:
    closed: list[str] = []

    async def broken() -> None:
        raise OSError("the peer is gone")

    async def close() -> None:
        closed.append(threading.current_thread().name)

    engine = Engine(_Slow, EngineOptions(), closing=[broken, close])
    bundle = Bundle(engine)
    bundle.add(1, MESSAGE)
    engine.close()
    assert closed == ["enrichment-loop"]
    assert engine.in_flight == 0


def test_an_engine_that_has_ended_is_not_held() -> None:
    engine = Engine(_Slow, EngineOptions())
    assert engine.hold()
    engine.release()
    engine.close()
    assert not engine.hold()


def test_a_fork_begins_with_engines_of_its_own(settings: WorkerSettings) -> None:
    lease = shared_engine.lease(settings, EngineOptions())
    (placed,) = {Path(one).parents[1] for one in (os.environ["PIPELINE_FILE"],)}
    with shared_engine._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads, from Python 3.12 on
        pid = os.fork()
        if not pid:
            try:
                shared_engine.lease(settings, EngineOptions()).close()
                atexit._run_exitfuncs()
            except BaseException:  # noqa: BLE001 - the parent sees the code
                os._exit(1)
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert placed.is_dir(), "the child leaves the files of its parent"
    lease.close()
