"""What is an event, and what is not."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from enrichment.event import decode
from enrichment.outcome import BadEventError
from hypothesis import given
from hypothesis import strategies as st

GOOD: dict[str, Any] = {
    "event_id": "e-1",
    "user_id": "u-1",
    "type": "order.placed",
    "occurred_at": "2026-03-01T12:00:00Z",
}

_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=10,
)


def refused(data: bytes) -> str:
    """The reason code and the detail of a refusal."""
    with pytest.raises(BadEventError) as caught:
        decode(data)
    return f"{caught.value.reason}: {caught.value.detail}"


def with_extra(text: str) -> bytes:
    """A good event with one more field, whose JSON is given."""
    return f'{json.dumps(GOOD)[:-1]}, "extra": {text}}}'.encode()


@given(_JSON)
def test_whatever_else_an_event_holds_is_kept_as_it_came(extra: object) -> None:
    data = json.dumps({**GOOD, "extra": extra}).encode()
    assert decode(data).text.encode() == data


@given(st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused_with_a_reason_and_never_crashes(data: bytes) -> None:
    assert refused(data).split(":")[0] in ("json_invalid", "event_invalid")


@given(st.timedeltas(timedelta(days=-730_000), timedelta(days=2_900_000)), st.integers(-23 * 60, 23 * 60))
def test_the_time_of_an_event_is_the_same_instant_in_utc(since_2000: timedelta, offset_min: int) -> None:
    instant = datetime(2000, 1, 1, tzinfo=UTC) + since_2000
    written = instant.astimezone(timezone(timedelta(minutes=offset_min))).isoformat()
    event = decode(json.dumps({**GOOD, "occurred_at": written}).encode())
    assert event.occurred_at == instant
    assert event.occurred_at.tzinfo is UTC


@pytest.mark.parametrize("field", GOOD)
def test_a_field_that_is_missing_empty_or_of_another_type_is_named(field: str) -> None:
    for event in (
        {name: value for name, value in GOOD.items() if name != field},
        {**GOOD, field: ""},
        {**GOOD, field: None},
        {**GOOD, field: 7},
        {**GOOD, field: ["a"]},
    ):
        refusal = refused(json.dumps(event).encode())
        assert refusal.startswith("event_invalid")
        assert field in refusal


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": "e" * 129},
        {"user_id": "u" * 257},
        {"event_id": "e\n"},
        {"user_id": "u\x00"},
        {"occurred_at": "2026-03-01T12:00:00"},
        {"occurred_at": "2026-03-01"},
        {"occurred_at": "yesterday"},
        {"occurred_at": "2026-12-31T23:59:60Z"},
        {"occurred_at": "0001-01-01T00:00:00+14:00"},
        {"occurred_at": "9999-12-31T23:59:59-05:00"},
    ],
)
def test_a_field_outside_its_bounds_is_refused_and_not_quoted(change: dict[str, str]) -> None:
    refusal = refused(json.dumps({**GOOD, **change}).encode())
    assert refusal.startswith("event_invalid")
    assert not any(value in refusal for value in change.values())


def test_an_event_id_may_be_as_long_as_an_insert_id() -> None:
    assert decode(json.dumps({**GOOD, "event_id": "é" * 128}).encode()).event_id == "é" * 128


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "json_invalid"),
        (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), "json_invalid"),
        (with_extra("NaN"), "json_invalid"),
        (with_extra("-Infinity"), "json_invalid"),
        (with_extra("01"), "json_invalid"),
        (with_extra("1") + b" {}", "json_invalid"),
        (with_extra('"\\ud800"'), "json_invalid"),
        (with_extra('"\\ud800 and on"'), "json_invalid"),
        (with_extra('{"deep": "\\udc00"}'), "json_invalid"),
        (with_extra('"?"').replace(b"?", b"\xff"), "json_invalid"),
        (with_extra('"?"').replace(b"?", b"\xed\xa0\x80"), "json_invalid"),
        (with_extra("1e400"), "event_invalid"),
        (with_extra(str(2**64)), "event_invalid"),
        (with_extra(str(-(2**63) - 1)), "event_invalid"),
        (with_extra("9" * 5000), "event_invalid"),
        (with_extra('1, "event_id": "e-2"'), "event_invalid"),
        (with_extra('{"a": [{"b": 1, "\\u0062": 2}]}'), "event_invalid"),
        (with_extra("[" * 500 + "]" * 500), "event_invalid"),
        (with_extra('{"a":' * 500 + "1" + "}" * 500), "event_invalid"),
        (with_extra("[" * 100_000 + "]" * 100_000), "event_invalid"),
        (b"[" * 100_000, "event_invalid"),
    ],
)
def test_json_that_readers_could_understand_differently_is_refused(data: bytes, reason: str) -> None:
    assert refused(data).startswith(reason)


@pytest.mark.parametrize(
    "text",
    [str(2**64 - 1), str(-(2**63)), "[" * 499 + "]" * 499, '["' + "[" * 600 + '"]', "[" + "{}," * 600 + "1]"],
)
def test_json_at_its_limits_is_taken(text: str) -> None:
    assert decode(with_extra(text)).event_id == "e-1"
