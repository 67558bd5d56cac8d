"""What is an event, and what is not."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from enrichment import event
from enrichment.documents import strict_json
from enrichment.errors import BadEventError, Stage
from enrichment.event import Event
from enrichment.event.message import Message
from enrichment.expressions import compile_expression
from enrichment.settings.model import EventShape, Field, FieldType
from hypothesis import example, given
from hypothesis import strategies as st

ROOTS = ("event", "message")
SHAPE = EventShape(
    id=(compile_expression("event.event_id", ROOTS),),
    fields=(
        Field(("event_id",), FieldType.STRING, max_length=128),
        Field(("user_id",), FieldType.STRING),
        Field(("type",), FieldType.STRING),
        Field(("occurred_at",), FieldType.TIMESTAMP),
    ),
)
MESSAGE_ID = (compile_expression("message.id", ROOTS),)
MESSAGE = Message(b"", {}, "m-1", datetime(2026, 3, 1, 12, tzinfo=UTC))

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


def decode(data: bytes, shape: EventShape = SHAPE) -> Event:
    return decoded(replace(MESSAGE, data=data), shape)


def decoded(message: Message, shape: EventShape) -> Event:
    """The only event of a message."""
    (part,) = event.split(message, shape)
    return event.decode(part, shape)


def decode_with(field: Field, **values: object) -> object:
    """The value of one more declared field in a good event with these values added."""
    shape = replace(SHAPE, fields=(*SHAPE.fields, field))
    return decode(json.dumps({**GOOD, **values}).encode(), shape).values[field.name]


def refused(data: bytes, shape: EventShape = SHAPE) -> str:
    """The reason code and the detail of a refusal."""
    with pytest.raises(BadEventError) as caught:
        decode(data, shape)
    assert caught.value.stage is Stage.DECODE
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
    found = decode(json.dumps({**GOOD, "occurred_at": written}).encode()).values["occurred_at"]
    assert found == instant
    assert isinstance(found, datetime)
    assert found.tzinfo is UTC


@pytest.mark.parametrize("field", GOOD)
def test_a_field_that_is_missing_empty_or_of_another_type_is_named(field: str) -> None:
    for bad in (
        {name: value for name, value in GOOD.items() if name != field},
        {**GOOD, field: ""},
        {**GOOD, field: None},
        {**GOOD, field: 7},
        {**GOOD, field: ["a"]},
    ):
        refusal = refused(json.dumps(bad).encode())
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


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (FieldType.STRING, ["a", "é" * 256], ["", "a" * 257, "\t", 1, True, [], {}]),
        (FieldType.INTEGER, [0, -(2**63), 2**63 - 1], [2**63, 1.0, 1.5, True, "1", []]),
        (FieldType.NUMBER, [0, 1.5, -1e300, 2**64 - 1], [True, "1", [], {}]),
        (FieldType.BOOLEAN, [True, False], [0, 1, "true", []]),
        (FieldType.JSON, [0, "", [], {}, [{"a": None}], False], []),
    ],
    ids=str,
)
def test_a_declared_field_holds_what_its_type_says_and_nothing_else(
    kind: FieldType, good: list[object], bad: list[object]
) -> None:
    field = Field(("order", "value"), kind)
    for value in good:
        found = decode_with(field, order={"value": value})
        assert (type(found), found) == (type(value), value)
    for value in bad:
        with pytest.raises(BadEventError, match=r"order\.value must be"):
            decode_with(field, order={"value": value})


def test_a_missing_or_null_field_gets_its_default_and_only_a_required_one_is_missed() -> None:
    total = ("order", "total")
    without: list[dict[str, object]] = [{}, {"order": None}, {"order": {}}, {"order": {"total": None}}]
    for event_without in without:
        assert decode_with(Field(total, FieldType.NUMBER, required=False, default=0), **event_without) == 0
        assert decode_with(Field(total, FieldType.NUMBER, required=False), **event_without) is None
        with pytest.raises(BadEventError, match=r"order\.total is missing"):
            decode_with(Field(total, FieldType.NUMBER), **event_without)


@pytest.mark.parametrize("inside", ["a string", 7, [1], False])
def test_a_field_inside_of_what_is_no_object_is_not_taken_for_missing(inside: object) -> None:
    with pytest.raises(BadEventError, match=r"order\.total cannot be found"):
        decode_with(Field(("order", "total"), FieldType.NUMBER, required=False, default=0), order=inside)


def test_all_problems_of_an_event_are_named_at_once_up_to_a_limit() -> None:
    refusal = refused(json.dumps({"event_id": 1, "occurred_at": "yesterday", "user_id": "u"}).encode())
    assert [name in refusal for name in ("event_id must", "type is missing", "occurred_at must")] == [
        True
    ] * 3
    many = tuple(Field((f"f{number}",), FieldType.STRING) for number in range(100))
    refusal = refused(json.dumps(GOOD).encode(), replace(SHAPE, fields=(*SHAPE.fields, *many)))
    assert refusal.endswith("f4 is missing; and 95 more")


def test_the_message_may_name_the_event() -> None:
    found = decode(json.dumps({**GOOD, "event_id": "other"}).encode(), replace(SHAPE, id=MESSAGE_ID))
    assert found.event_id == "m-1"


@pytest.mark.parametrize("message_id", ["", "m\n"])
def test_a_message_id_that_is_no_insert_id_names_nothing(message_id: str) -> None:
    message = replace(MESSAGE, data=json.dumps(GOOD).encode(), message_id=message_id)
    with pytest.raises(BadEventError, match=r"message\.id"):
        decoded(message, replace(SHAPE, id=MESSAGE_ID))


# Texts on the edge between the quick proof and the second reader: twins, colons, escapes, blanks, long integers.
_PIECES = st.sampled_from(
    [
        '"a"',
        '"b"',
        '"\\u0061"',
        '"a:b"',
        '"a\\u003ab"',
        '"\\\\u003a"',
        '"\\":"',
        "1",
        str(2**64),
        str(-(2**63) - 1),
        "9" * 20,
    ]
)
_BLANK = st.sampled_from(["", " ", "\n"])
_KEYS = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"a:"', '"\\u0061\\u003a"', '"\\\\"'])


def _object(members: list[tuple[str, str, str]]) -> str:
    return "{" + ",".join(f"{key}{blank}:{blank}{value}" for key, blank, value in members) + "}"


_TEXTS = st.recursive(
    _PIECES,
    lambda inner: (
        st.lists(st.tuples(_KEYS, _BLANK, inner), max_size=3).map(_object)
        | st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
    ),
    max_leaves=8,
)


@example('{"a":1,"a":"\\u003a"}')
@example('{"a":1,"a":"\\u003A"}')
@example('{"a" :1,"a":"\\":"}')
@example(f'{{"a":{2**64}}}')
@given(_TEXTS)
def test_the_quick_proof_never_takes_what_the_second_reader_refuses(text: str) -> None:
    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(found)) != len(found):
            raise ValueError("twins")
        return dict(found)

    def bounded(digits: str) -> int:
        if not -(2**63) <= int(digits) <= 2**64 - 1:
            raise ValueError("too long")
        return int(digits)

    try:
        expected = json.loads(text, object_pairs_hook=pairs, parse_int=bounded)
    except ValueError:
        with pytest.raises(strict_json.NotValidError):
            strict_json.parse(text.encode())
    else:
        assert strict_json.parse(text.encode()) == expected


@given(_JSON)
def test_an_event_written_by_any_common_writer_is_read_once(document: object) -> None:
    for data in (json.dumps(document).encode(), msgspec.json.encode(document)):
        assert strict_json.parse(data) == document


PUSHED = {"data": "e30=", "messageId": "1", "publishTime": "2026-03-01T12:00:00Z"}
CLOUD_EVENT = {"id": "1", "source": "s", "specversion": "1.0", "type": "t", "data": GOOD}


@pytest.mark.parametrize("shape", [SHAPE, replace(SHAPE, fields=())], ids=["fields", "id-alone"])
@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"message": PUSHED}, "without its subscription"),
        ({"message": {"data": "e30="}}, "without its subscription"),
        ({"message": PUSHED, "subscription": "projects/p/subscriptions/s"}, "the body of a push"),
        ({"message": PUSHED, "subscription": "s"}, "projects/P/subscriptions/S"),
        (CLOUD_EVENT, 'format = "cloudevents"'),
    ],
)
def test_what_is_around_an_event_is_named_where_the_event_is_missing(
    document: dict[str, Any], says: str, shape: EventShape
) -> None:
    with pytest.raises(BadEventError) as caught:
        decoded_document(document, shape)
    assert caught.value.reason == "event_invalid"
    assert "event_id" in caught.value.detail
    assert says in caught.value.detail


@pytest.mark.parametrize("message", [{"text": "hello"}, "hello", None, {}])
def test_an_event_with_a_message_of_its_own_is_not_called_a_push(message: object) -> None:
    with pytest.raises(BadEventError) as caught:
        decoded_document({"message": message}, SHAPE)
    assert "push" not in caught.value.detail


def test_an_event_that_has_all_it_needs_may_look_like_a_push() -> None:
    assert decoded_document(GOOD | {"message": PUSHED}, SHAPE).event_id == "e-1"


def decoded_document(document: dict[str, Any], shape: EventShape) -> Event:
    message = replace(MESSAGE, data=json.dumps(document).encode())
    return event.decode(event.split(message, shape)[0], shape)
