"""Every event ends in exactly one of the ways of the policy, seen from outside: HTTP in, rows and dead letters out."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from .conftest import TRACE_ID, TRACEPARENT, Function, Gateway, Tables, Topic, running

Event = dict[str, Any]


def test_a_good_event_becomes_one_row_and_is_acknowledged(
    function: Function, tables: Tables, topic: Topic, gateway: Gateway, event: Event
) -> None:
    gateway.seen.clear()
    assert function.deliver(event, traceparent=TRACEPARENT) == 200
    (row,) = tables.rows(event["event_id"])
    assert row.pop("enriched_at") > datetime(2026, 1, 1, tzinfo=UTC)
    assert row == {
        "event_id": event["event_id"],
        "user_id": event["user_id"],
        "type": "order.placed",
        "occurred_at": datetime(2026, 3, 1, 11, 0, tzinfo=UTC),
        "event": event,
        "profile": {"user_id": event["user_id"], "plan": "pro"},
        "message_id": "m-1",
        "publish_time": datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC),
        "trace_id": TRACE_ID,
    }
    ((path, headers),) = gateway.seen
    assert path == f"/profile/{event['user_id']}"
    assert headers["host"].partition(":")[0] == "user-profile.internal"
    assert headers["traceparent"] == TRACEPARENT
    assert topic.dead_letters() == []


def test_a_redelivered_event_makes_no_second_row(function: Function, tables: Tables, event: Event) -> None:
    assert [function.deliver(event), function.deliver(event)] == [200, 200]
    assert len(tables.rows(event["event_id"])) == 1


def test_events_delivered_at_once_become_a_row_each(function: Function, tables: Tables, event: Event) -> None:
    events = [{**event, "event_id": f"{event['event_id']}-{number}"} for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(function.deliver, events)) == {200}
    assert [len(tables.rows(one["event_id"])) for one in events] == [1] * 20


def test_a_written_event_leaves_one_quiet_line_in_the_log(function: Function, event: Event) -> None:
    function.new_lines()
    assert function.deliver(event, traceparent=TRACEPARENT) == 200
    (line,) = function.new_log()
    assert line["severity"] == "INFO"
    assert line["event_id"] == event["event_id"]
    assert line["cache"] == "fetched"
    assert line["total_ms"] >= line["lookup_ms"] > 0
    assert line["logging.googleapis.com/labels"]["outcome"] == "written"


def test_a_malformed_event_is_dead_lettered_as_it_came(function: Function, topic: Topic) -> None:
    data, attributes = b'{"event_id": "\xff', {"kind": "order", "timeout": "3", "topic": "t"}
    assert function.deliver(data, attributes, traceparent=TRACEPARENT) == 200
    (dead_letter,) = topic.dead_letters()
    assert dead_letter.data == data
    found = dict(dead_letter.attributes)
    assert found.pop("dead_letter_detail").startswith("the message is not JSON")
    assert found == {
        **attributes,
        "dead_letter_reason": "json_invalid",
        "dead_letter_stage": "decode",
        "dead_letter_message_id": "m-1",
        "dead_letter_publish_time": "2026-03-01T12:00:00.123000Z",
        "dead_letter_trace_id": TRACE_ID,
        "dead_letter_version": "0.1.0",
        "dead_letter_attempt": "",
        "dead_letter_redrive_count": "0",
        "dead_letter_function": "enrich-user-events",
    }


@pytest.mark.parametrize(
    "body", [b"{not json", b"", b"[]", b"7", b'{"message": {"data": "%%"}}', b'{"a": 1}']
)
def test_a_delivery_that_is_no_message_is_dead_lettered_with_its_bytes(
    function: Function, topic: Topic, body: bytes
) -> None:
    assert function.deliver_raw(body) == 200
    (dead_letter,) = topic.dead_letters()
    assert dead_letter.data == body
    assert dead_letter.attributes["dead_letter_reason"] == "envelope_invalid"


@pytest.mark.parametrize(
    ("user_id", "reason"),
    [("nobody", "profile_not_found"), (".", "key_invalid"), ("..", "key_invalid")],
)
def test_an_event_about_an_unknown_user_is_dead_lettered_with_the_reason(
    function: Function, topic: Topic, tables: Tables, event: Event, user_id: str, reason: str
) -> None:
    assert function.deliver({**event, "user_id": user_id}) == 200
    (dead_letter,) = topic.dead_letters()
    assert json.loads(dead_letter.data)["event_id"] == event["event_id"]
    assert dead_letter.attributes["dead_letter_reason"] == reason
    assert dead_letter.attributes["dead_letter_stage"] == "lookup"
    assert tables.rows(event["event_id"]) == []


def test_a_user_id_with_a_slash_stays_one_segment_of_the_path(
    function: Function, gateway: Gateway, event: Event
) -> None:
    gateway.seen.clear()
    assert function.deliver({**event, "user_id": "../admin"}) == 200
    assert [path for path, _ in gateway.seen] == ["/profile/..%2Fadmin"]


@pytest.mark.parametrize("user_id", ["no-upstream", "broken"])
def test_a_transient_error_is_nacked_and_nothing_is_dead_lettered(
    function: Function, topic: Topic, tables: Tables, event: Event, user_id: str
) -> None:
    assert function.deliver({**event, "user_id": user_id}) == 503
    assert topic.dead_letters() == []
    assert tables.rows(event["event_id"]) == []


@pytest.mark.parametrize("user_id", ["denied", "refused", "no-route", "swapped", "garbage", "odd"])
def test_a_fault_of_ours_is_handed_back_with_one_loud_line_and_nothing_is_dead_lettered(
    function: Function, topic: Topic, tables: Tables, event: Event, user_id: str
) -> None:
    function.new_lines()
    assert function.deliver({**event, "user_id": user_id}, traceparent=TRACEPARENT) == 500
    (line,) = function.new_log()
    assert line["severity"] in ("ERROR", "CRITICAL")  # one in a minute is the louder
    assert line["event_id"] == event["event_id"]
    assert line["message_id"] == "m-1"
    assert line["logging.googleapis.com/trace"] == f"projects/meshpass-lab/traces/{TRACE_ID}"
    assert line["logging.googleapis.com/labels"]["outcome"] == "fault"
    assert topic.dead_letters() == []
    assert tables.rows(event["event_id"]) == []


def test_a_missing_table_is_a_fault_and_the_event_is_written_once_the_table_is_there(
    function: Function, topic: Topic, tables: Tables, event: Event
) -> None:
    tables.drop()
    try:
        function.new_lines()
        assert function.deliver(event) == 500
        (line,) = function.new_log()
        assert line["logging.googleapis.com/labels"]["reason"] == "bigquery_not_found"
        assert topic.dead_letters() == []
    finally:
        tables.create()
    assert function.deliver(event) == 200
    assert len(tables.rows(event["event_id"])) == 1


def test_a_bad_event_is_handed_back_while_its_dead_letter_cannot_be_kept(
    function: Function, topic: Topic
) -> None:
    topic.drop()
    try:
        assert function.deliver(b"not json") == 500
    finally:
        topic.create()
    assert function.deliver(b"not json") == 200
    assert [dead_letter.data for dead_letter in topic.dead_letters()] == [b"not json"]


def test_hostile_text_reaches_the_log_as_one_short_json_line_and_the_payload_never(
    function: Function, topic: Topic, event: Event
) -> None:
    function.new_lines()
    hostile = {**event, "event_id": '"}\u2028{"severity":"INFO', "user_id": "nobody", "card": "4111-1111"}
    assert function.deliver(hostile) == 200
    (text,) = [line for line in function.new_lines() if "total_ms" in line]
    line = json.loads(text)
    assert line["severity"] == "WARNING"
    assert line["event_id"] == hostile["event_id"]
    assert "4111" not in text
    assert "nobody" not in text
    assert len(topic.dead_letters()) == 1


def test_the_loud_line_survives_the_frameworks_own_logging_of_execution_ids(
    environment: dict[str, str], tmp_path: Path, event: Event
) -> None:
    with running(environment | {"LOG_EXECUTION_ID": "true"}, tmp_path / "output") as function:
        assert function.deliver({**event, "user_id": "denied"}) == 500
        (line,) = function.new_log()
    assert line["severity"] == "CRITICAL"
    labels = line["logging.googleapis.com/labels"]
    assert labels["reason"] == "not_allowed"
    assert labels["execution_id"]
