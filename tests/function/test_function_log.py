"""One line for every delivery, as Cloud Logging reads it, and one alert a minute."""

import http.client
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from enrichment.errors import Disposition, Outcome, Stage
from enrichment.event import Event
from enrichment.event.message import Message
from enrichment.telemetry.counters import Counters
from enrichment.telemetry.delivery import Delivery
from enrichment.telemetry.log import MAX_TEXT, Ending, Log, Severity, to_stdout
from enrichment.telemetry.trace import find
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.clock import Clock

from .conftest import TRACE_ID, TRACEPARENT
from .framework import serving

TRACE = find({"traceparent": TRACEPARENT}, {})
MESSAGE = Message(b"s3cret", {"s3cret": "s3cret"}, "m-1", datetime(2026, 3, 1, tzinfo=UTC), delivery_id="m-1")
EVENT = Event("e-1", {"user_id": "s3cret"}, {"user_id": "s3cret"}, "s3cret")
WRITTEN = Outcome(Disposition.WRITTEN)
DEAD_LETTERED = Outcome(Disposition.DEAD_LETTERED, Stage.DECODE, "json_invalid", "the message is not JSON")
RETRY = Outcome(Disposition.RETRY, Stage.LOOKUP, "service_unavailable", "the service answered 503")
DROPPED = Outcome(Disposition.DROPPED)
REFUSED = Ending("refused", Severity.WARNING, "", "request_invalid", "no delivery", "push-refused")
FAULT = Outcome(Disposition.FAULT, Stage.WRITE, "bigquery_forbidden", "grant access")
PROBE = Path(__file__).parent / "functions" / "log_probe" / "main.py"


class Lines:
    """What was written, one line a call, as JSON."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def __call__(self, line: bytes) -> None:
        self.written.append(line)

    def new(self) -> list[dict[str, Any]]:
        lines, self.written = self.written, []
        for line in lines:
            assert line.endswith(b"\n")
            assert line.count(b"\n") == 1
        return [json.loads(line) for line in lines]


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def log(clock: Clock, lines: Lines) -> Log:
    return Log("p", clock=clock, write=lines)


def delivery(**known: Any) -> Delivery:  # noqa: ANN401 - what a Delivery takes
    return Delivery(TRACE, started_at=999.95, **known)


def test_a_written_event_is_one_line_with_all_that_an_operator_asks_for(log: Log, lines: Lines) -> None:
    log.delivery(
        WRITTEN,
        delivery(
            message=replace(MESSAGE, attempt=2),
            event=EVENT,
            cache="fetched",
            lookup_s=0.0123,
            write_s=0.03,
        ),
    )
    assert lines.new() == [
        {
            "severity": "INFO",
            "message": "written",
            "event_id": "e-1",
            "message_id": "m-1",
            "attempt": 2,
            "cache": "fetched",
            "lookup_ms": 12.3,
            "write_ms": 30.0,
            "total_ms": 50.0,
            "logging.googleapis.com/trace": f"projects/p/traces/{TRACE_ID}",
            "logging.googleapis.com/spanId": "00f067aa0ba902b7",
            "logging.googleapis.com/trace_sampled": True,
            "logging.googleapis.com/labels": {"outcome": "written"},
        }
    ]


def test_what_is_not_known_is_not_said(log: Log, lines: Lines) -> None:
    log.delivery(DEAD_LETTERED, delivery())
    (line,) = lines.new()
    assert line.keys() == {
        "severity", "message", "total_ms", "logging.googleapis.com/trace", "logging.googleapis.com/spanId",
        "logging.googleapis.com/trace_sampled", "logging.googleapis.com/labels",
    }  # fmt: skip


def test_a_redriven_event_is_named_by_its_first_message_and_by_its_last(log: Log, lines: Lines) -> None:
    log.delivery(WRITTEN, delivery(message=replace(MESSAGE, delivery_id="m-9", redriven=1)))
    (line,) = lines.new()
    assert (line["message_id"], line["delivery_id"], line["redriven"]) == ("m-1", "m-9", 1)


@pytest.mark.parametrize(
    ("outcome", "severity"),
    [(WRITTEN, "INFO"), (DEAD_LETTERED, "WARNING"), (RETRY, "WARNING"), (FAULT, "CRITICAL")],
    ids=["written", "dead-lettered", "retry", "fault"],
)
def test_each_end_has_its_severity_and_its_labels(
    log: Log, lines: Lines, outcome: Outcome, severity: str
) -> None:
    log.delivery(outcome, delivery())
    (line,) = lines.new()
    assert line["severity"] == severity
    labels = {
        "outcome": outcome.disposition.value,
        "stage": str(outcome.stage or ""),
        "reason": outcome.reason,
    }
    assert line["logging.googleapis.com/labels"] == {name: value for name, value in labels.items() if value}
    assert line["message"] == (
        f"{outcome.disposition.value}: {outcome.detail}" if outcome.detail else outcome.disposition.value
    )


def test_faults_alert_once_a_minute_and_the_alert_says_how_many_it_stands_for(
    log: Log, lines: Lines, clock: Clock
) -> None:
    severities = []
    for _ in range(300):
        log.delivery(FAULT, delivery())
        severities.append([(line["severity"], line.get("held_back")) for line in lines.new()])
        clock.now_s += 0.5
    expected: list[list[tuple[str, int | None]]] = [[("ERROR", None)]] * 300
    expected[0], expected[120], expected[240] = [("CRITICAL", 0)], [("CRITICAL", 119)], [("CRITICAL", 119)]
    assert severities == expected


def test_other_ends_that_are_few_do_not_alert_and_hold_back_no_alert(log: Log, lines: Lines) -> None:
    for outcome in (RETRY, DEAD_LETTERED, WRITTEN, FAULT):
        log.delivery(outcome, delivery())
    assert [line["severity"] for line in lines.new()] == ["WARNING", "WARNING", "INFO", "CRITICAL"]


def test_the_alert_of_a_fault_says_whether_other_events_get_through(
    log: Log, lines: Lines, clock: Clock
) -> None:
    log.delivery(WRITTEN, delivery())
    clock.now_s += 59
    log.delivery(FAULT, delivery())
    clock.now_s += 60
    log.delivery(FAULT, delivery())
    held_up = "Events with this fault are held up until it is corrected."
    assert [line["alert"] for line in lines.new() if "alert" in line] == [
        f"{held_up} Other events have got through in the last minute.",
        held_up,
    ]


def alerts(
    log: Log, lines: Lines, clock: Clock, *outcomes: Outcome, every_s: float
) -> list[tuple[float, str]]:
    """When an alert was written, in seconds from the first delivery, and what it says."""
    began = clock.now_s
    found = []
    for outcome in outcomes:
        log.delivery(outcome, delivery())
        found += [
            (clock.now_s - began, line["alert"]) for line in lines.new() if line["severity"] == "CRITICAL"
        ]
        clock.now_s += every_s
    return found


def test_a_gateway_that_is_down_for_minutes_alerts_once_a_minute(
    log: Log, lines: Lines, clock: Clock
) -> None:
    found = alerts(log, lines, clock, *[RETRY] * 300, every_s=1)
    assert [at for at, _ in found] == [120, 180, 240]
    assert found[0][1] == "No event has got through for 120 s: 121 were nacked."


def test_dead_lettering_every_event_alerts_once_a_minute(log: Log, lines: Lines, clock: Clock) -> None:
    found = alerts(log, lines, clock, *[DEAD_LETTERED] * 150, every_s=1)
    assert [at for at, _ in found] == [60, 120]
    assert found[0][1] == "No event has got through for 60 s: 61 were dead-lettered."


def test_each_state_alerts_for_itself(log: Log, lines: Lines, clock: Clock) -> None:
    found = alerts(log, lines, clock, *[RETRY, DEAD_LETTERED, FAULT] * 60, every_s=1)
    assert [(at, text.rpartition(" ")[2]) for at, text in found] == [
        (2, "corrected."), (61, "dead-lettered."), (62, "corrected."), (120, "nacked."), (121, "dead-lettered."),
        (122, "corrected."),
    ]  # fmt: skip


def test_one_event_that_gets_through_ends_the_state(log: Log, lines: Lines, clock: Clock) -> None:
    assert alerts(log, lines, clock, *[*[RETRY] * 100, WRITTEN] * 5, every_s=1) == []
    assert alerts(log, lines, clock, *[*[DEAD_LETTERED] * 50, WRITTEN] * 5, every_s=1) == []


def test_dropped_events_do_not_hide_that_no_other_gets_through(log: Log, lines: Lines, clock: Clock) -> None:
    """They were neither looked up nor written."""
    found = alerts(log, lines, clock, *[RETRY, DROPPED] * 100, every_s=1)
    assert [at for at, _ in found] == [120, 180]


def test_pushes_that_are_all_refused_alert_once_a_minute(log: Log, lines: Lines, clock: Clock) -> None:
    found = []
    for number in range(130):
        log.request(REFUSED, TRACE, clock.now_s, 400, None)
        (line,) = lines.new()
        assert line["logging.googleapis.com/labels"]["outcome"] == "refused"
        if line["severity"] == "CRITICAL":
            found.append((number, line["state"], line["alert"].partition(".")[0]))
        clock.now_s += 1
    said = "No event has got through for {} s: {} requests were refused because they are no deliveries of Pub/Sub"
    assert found == [(60, "push-refused", said.format(60, 61)), (120, "push-refused", said.format(120, 121))]


def test_pushes_refused_among_good_events_are_no_state(log: Log, lines: Lines, clock: Clock) -> None:
    for _ in range(10):
        for _ in range(30):
            log.request(REFUSED, TRACE, clock.now_s, 400, None)
            clock.now_s += 1
        log.delivery(WRITTEN, delivery())
    assert "CRITICAL" not in {line["severity"] for line in lines.new()}


def test_dropping_every_event_is_a_warning_once_an_hour(log: Log, lines: Lines, clock: Clock) -> None:
    found = []
    for number in range(500):
        log.delivery(DROPPED, delivery())
        found += [(number * 10, line["severity"], line["alert"]) for line in lines.new()]
        clock.now_s += 10
    assert [(at, severity) for at, severity, _ in found] == [(600, "WARNING"), (4200, "WARNING")]
    assert found[0][2].startswith("No event has been written for 600 s: all 61 were dropped.")


@pytest.mark.parametrize(("outcome", "fewer"), [(RETRY, 2), (DEAD_LETTERED, 9)])
def test_a_few_events_far_apart_are_no_state(
    log: Log, lines: Lines, clock: Clock, outcome: Outcome, fewer: int
) -> None:
    assert alerts(log, lines, clock, *[outcome] * fewer, every_s=3600) == []


@pytest.mark.parametrize(("sample", "written"), [(1, 20), (10, 2), (1000, 1)])
def test_one_success_in_so_many_has_a_line_and_the_totals_stay_exact(
    lines: Lines, clock: Clock, sample: int, written: int
) -> None:
    counters = Counters()
    log = Log("p", counters=counters, clock=clock, write=lines, success_sample=sample)
    for number in range(20):
        counters("events", outcome="written")
        clock.now_s += 61 * (number == 19)
        log.delivery(WRITTEN, delivery())
    *successes, totals = lines.new()
    assert [line.get("sample", 1) for line in successes] == [sample] * written
    assert totals["counters"] == {"events/written": 20}
    for outcome in (RETRY, DEAD_LETTERED, FAULT):
        log.delivery(outcome, delivery())
    assert [line["message"].partition(":")[0] for line in lines.new()] == ["retry", "dead-lettered", "fault"]


def test_a_request_alerts_as_an_event_does(log: Log, lines: Lines) -> None:
    log.request(Ending("fault", Severity.ERROR, "lookup", "not_allowed", "d"), TRACE, 999.0, 500, None)
    log.delivery(FAULT, delivery())
    first, second = lines.new()
    assert (first["severity"], first["status"], second["severity"]) == ("CRITICAL", 500, "ERROR")


@pytest.mark.parametrize(
    ("severity", "written"),
    [
        (Severity.DEBUG, ["INFO", "WARNING", "CRITICAL", "ERROR"]),
        (Severity.INFO, ["INFO", "WARNING", "CRITICAL", "ERROR"]),
        (Severity.WARNING, ["WARNING", "CRITICAL", "ERROR"]),
        (Severity.ERROR, ["CRITICAL", "ERROR"]),
        (Severity.CRITICAL, ["CRITICAL"]),
    ],
    ids=lambda value: value.name if isinstance(value, Severity) else "",
)
def test_nothing_below_the_severity_asked_for_is_written(
    lines: Lines, severity: Severity, written: list[str]
) -> None:
    log = Log("p", severity, write=lines)
    for outcome in (WRITTEN, RETRY, FAULT, FAULT):
        log.delivery(outcome, delivery())
    assert [line["severity"] for line in lines.new()] == written


def test_without_a_project_the_trace_stands_alone(lines: Lines) -> None:
    Log("", write=lines).delivery(WRITTEN, delivery())
    (line,) = lines.new()
    assert line["logging.googleapis.com/trace"] == TRACE_ID


def test_nothing_of_the_payload_is_logged(log: Log, lines: Lines) -> None:
    for outcome in (WRITTEN, DEAD_LETTERED, RETRY, FAULT):
        log.delivery(outcome, delivery(message=MESSAGE, event=EVENT))
    assert b"s3cret" not in b"".join(lines.written)


@given(st.text(st.characters(exclude_categories=())))
def test_a_strangers_text_is_cut_and_stays_one_line_of_json(text: str) -> None:
    lines = Lines()
    Log("p", write=lines).delivery(
        WRITTEN,
        delivery(message=replace(MESSAGE, message_id=text), event=structs.replace(EVENT, event_id=text)),
    )
    (line,) = lines.new()
    assert line["event_id"] == line["message_id"] == text[:MAX_TEXT]


@pytest.mark.parametrize(
    "character", ["\x1b", "\x85", "\x9b", "\u200f", "\u2028", "\u202e", "\u2066", "\u061c"], ids=ascii
)
def test_what_a_terminal_or_a_page_would_obey_is_escaped(character: str) -> None:
    """An id such as U+009B 2J would clear the operator's screen, and U+202E would turn the rest of the line around."""
    lines = Lines()
    text = f"é{character}2J"
    Log("p", write=lines).delivery(
        Outcome(Disposition.RETRY, Stage.LOOKUP, "r", text),
        delivery(event=structs.replace(EVENT, event_id=text)),
    )
    assert character.encode() not in lines.written[0]
    assert "é".encode() in lines.written[0]
    (line,) = lines.new()
    assert line["event_id"] == text


def test_an_event_does_not_fail_for_want_of_its_line(clock: Clock) -> None:
    def full(_: bytes) -> None:
        raise BrokenPipeError

    Log("p", clock=clock, write=full).delivery(WRITTEN, delivery())


def test_counters_are_one_line_a_minute_when_an_event_ends(lines: Lines, clock: Clock) -> None:
    counters = Counters()
    log = Log("p", counters=counters, clock=clock, write=lines)
    reported = []
    for _ in range(5):
        clock.now_s += 29
        counters("lookups", cache="hit")
        if clock.now_s > 1100:
            counters("insert_rows", 7)
        log.delivery(WRITTEN, delivery())
        reported.append(lines.new()[1:])
    line = {"severity": "INFO", "message": "counters", "added_in_s": 87.0}
    assert reported == [
        [],
        [],
        [line | {"counters": {"lookups/hit": 3}, "added": {"lookups/hit": 3}}],
        [],
        [],
    ]
    clock.now_s += 29
    log.delivery(WRITTEN, delivery())
    (_, second) = lines.new()
    assert second == line | {
        "counters": {"insert_rows": 14, "lookups/hit": 5},
        "added": {"insert_rows": 14, "lookups/hit": 2},
    }


def test_counters_are_logged_also_where_each_events_own_line_is_an_alert(lines: Lines, clock: Clock) -> None:
    log = Log("p", counters=Counters(), clock=clock, write=lines)
    clock.now_s += 60
    log.delivery(FAULT, delivery())
    assert [line["message"] for line in lines.new()] == ["fault: grant access", "counters"]


def test_no_counters_for_who_asked_for_warnings_alone(lines: Lines, clock: Clock) -> None:
    log = Log("p", Severity.WARNING, Counters(), clock=clock, write=lines)
    clock.now_s += 60
    log.delivery(WRITTEN, delivery())
    assert lines.new() == []


def test_lines_of_several_threads_do_not_mix_also_where_the_reader_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr("enrichment.telemetry.log._STDOUT", writer)
    # Each line is larger than the pipe, so that writing it takes many turns.
    texts = [bytes([65 + number]) * 200_000 for number in range(4)]
    threads = [threading.Thread(target=to_stdout, args=(text + b"\n",)) for text in texts]
    for thread in threads:
        thread.start()
    with os.fdopen(reader, "rb") as stream:
        read = [stream.readline().rstrip(b"\n") for _ in texts]
    for thread in threads:
        thread.join()
    os.close(writer)
    assert sorted(read) == texts


@pytest.mark.parametrize("framework_logs_ids", ["true", "false"])
def test_under_the_framework_each_execution_has_one_whole_line_with_its_id(
    framework_logs_ids: str, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    ids = [f"execution-{number}" for number in range(60)]
    with (
        serving(PROBE, "probe", output, LOG_EXECUTION_ID=framework_logs_ids) as address,
        ThreadPoolExecutor(8) as pool,
    ):
        assert set(pool.map(lambda execution_id: ask(address, execution_id), ids)) == {200}
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted(line["logging.googleapis.com/labels"]["execution_id"] for line in lines) == sorted(ids)
    assert {line["logging.googleapis.com/trace"] for line in lines} == {f"projects/project/traces/{TRACE_ID}"}
    assert output.read_text().count("execution_id") == len(ids)


def test_under_the_framework_an_unnamed_execution_has_an_id_as_well(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with serving(PROBE, "probe", output) as address:
        assert ask(address, "") == 200
    (line,) = output.read_text().splitlines()
    assert json.loads(line)["logging.googleapis.com/labels"]["execution_id"]


def ask(address: str, execution_id: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=30)
    in_thread = execution_id.endswith(("1", "3", "5", "7", "9"))
    headers = {"traceparent": TRACEPARENT} | ({"Function-Execution-Id": execution_id} if execution_id else {})
    connection.request("GET", "/?thread=1" if in_thread else "/", headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status
