"""The events in a message: encodings undone, formats read."""

import base64
import contextlib
import gzip
import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from enrichment import event
from enrichment.errors import BadEventError
from enrichment.event import Event, encoding
from enrichment.event.message import Message
from enrichment.expressions import compile_expression
from enrichment.settings.model import EventShape, Field, FieldType, Format
from hypothesis import given
from hypothesis import strategies as st

ROOTS = ("event", "message", "cloudevent")
MESSAGE = Message(b"", {"kind": "x"}, "m-1", datetime(2026, 3, 1, 12, tzinfo=UTC), delivery_id="m-1")
SHAPE = EventShape((compile_expression("event.id", ROOTS),), (Field(("user",), FieldType.STRING),))
EVENT: dict[str, Any] = {"id": "e-1", "user": "u"}
TEXT = json.dumps(EVENT).encode()
CLOUD_EVENT = {"specversion": "1.0", "id": "1", "source": "//s", "type": "t", "dataschema": "x"}


def shaped(**changes: Any) -> EventShape:  # noqa: ANN401 - EventShape's own
    return replace(SHAPE, **changes)


def decoded(data: bytes, shape: EventShape, **attributes: str) -> list[Event]:
    message = replace(MESSAGE, data=data, attributes=attributes)
    return [event.decode(part, shape) for part in event.split(message, shape)]


def refused(data: bytes, shape: EventShape, **attributes: str) -> str:
    with pytest.raises(BadEventError) as caught:
        decoded(data, shape, **attributes)
    return f"{caught.value.reason}: {caught.value.detail}"


@pytest.mark.parametrize(
    ("data", "encodings"),
    [
        (gzip.compress(TEXT, mtime=0), ("gzip",)),
        (gzip.compress(TEXT[:9], mtime=0) + gzip.compress(TEXT[9:], mtime=0), ("gzip",)),
        (zlib.compress(TEXT), ("zlib",)),
        (base64.b64encode(TEXT), ("base64",)),
        (base64.encodebytes(TEXT), ("base64",)),
        (base64.b64encode(TEXT).rstrip(b"="), ("base64",)),
        (base64.urlsafe_b64encode(gzip.compress(TEXT, mtime=0)).rstrip(b"="), ("base64", "gzip")),
        (base64.b64encode(gzip.compress(TEXT, mtime=0)), ("base64", "gzip")),
        (gzip.compress(base64.b64encode(TEXT), mtime=0), ("gzip", "base64")),
        (base64.b64encode(base64.b64encode(TEXT)), ("base64", "base64")),
        (b"\xef\xbb\xbf" + TEXT, ("utf-8-bom",)),
        (TEXT, ("utf-8-bom",)),
        (TEXT.decode().encode("utf-16"), ("utf-16",)),
        (TEXT.decode().encode("utf-16-le"), ("utf-16",)),
        (TEXT.decode().encode("utf-16-be"), ("utf-16",)),
    ],
)
def test_encodings_are_undone_in_their_order(data: bytes, encodings: tuple[str, ...]) -> None:
    (found,) = decoded(data, shaped(encodings=encodings))
    assert (found.document, found.text) == (EVENT, TEXT.decode())


@given(st.binary(max_size=200), st.lists(st.sampled_from(["gzip", "zlib", "base64"]), max_size=4))
def test_what_is_encoded_again_is_what_was_published(data: bytes, encodings: list[str]) -> None:
    assert encoding.undo(encoding.redo(data, encodings), encodings, 10_000) == data


@pytest.mark.parametrize(
    ("data", "encodings"),
    [
        (TEXT, ("gzip",)),
        (b"", ("gzip",)),
        (gzip.compress(TEXT, mtime=0)[:-9], ("gzip",)),
        (gzip.compress(TEXT, mtime=0) + b"tail", ("gzip",)),
        (zlib.compress(TEXT) + b"tail", ("zlib",)),
        (zlib.compress(TEXT)[:-2], ("zlib",)),
        (TEXT, ("base64",)),
        (base64.b64encode(TEXT)[:-4] + b"!", ("base64",)),
        (base64.b64encode(TEXT), ("base64", "gzip")),
        (b"\xff", ("utf-16",)),
    ],
)
def test_data_in_another_encoding_is_refused_by_its_name(data: bytes, encodings: tuple[str, ...]) -> None:
    refusal = refused(data, shaped(encodings=encodings))
    assert refusal.startswith("data_undecodable")
    assert encodings[-1] in refusal


@pytest.mark.parametrize("name", ["gzip", "zlib"])
def test_a_bomb_is_refused_and_not_unpacked(name: str) -> None:
    bomb = encoding.redo(b"[" + b" " * 16 * 1024 * 1024, (name,))
    assert len(bomb) < 100_000
    assert "holds more than 16777216 bytes" in refused(bomb, shaped(encodings=(name,)))
    twice = encoding.redo(bomb, (name,))
    assert "holds more than" in refused(twice, shaped(encodings=(name, name)))


@pytest.mark.parametrize("name", ["base64", "gzip", "utf-16", "utf-8-bom", "zlib"])
def test_the_pipeline_says_how_much_is_unpacked(name: str) -> None:
    data = encoding.redo(TEXT, (name,))
    shape = shaped(encodings=(name,), max_unpacked_bytes=len(TEXT))
    assert decoded(data, shape)[0].document == EVENT
    refusal = refused(data, replace(shape, max_unpacked_bytes=len(TEXT) - 1))
    assert refusal.startswith("data_undecodable")
    assert "raise max_unpacked_bytes in [event]" in refusal


def test_the_values_of_all_lines_of_a_message_are_limited_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enrichment.documents.strict_json.MAX_VALUES", 7)
    line = b'{"id": "a", "user": "u"}\n'
    assert len(event.split(replace(MESSAGE, data=line * 3), LINES)) == 3
    refusal = refused(line * 4, LINES)
    assert refusal.startswith("event_invalid")
    assert "more than 7 values" in refusal


def test_gzip_of_more_members_than_any_program_writes_is_refused() -> None:
    members = gzip.compress(b"", mtime=0) * 60_000

    with pytest.raises(BadEventError, match="the data is not gzip"):
        decoded(members, shaped(encodings=("gzip",)))


def test_many_members_of_gzip_take_one_pass() -> None:
    members = gzip.compress(b" ", mtime=0) * 20_000 + gzip.compress(TEXT, mtime=0)
    assert decoded(members, shaped(encodings=("gzip",)))[0].document == EVENT


# --- several events in one message ---

LINES = shaped(format=Format.NDJSON)


def test_each_line_is_an_event_as_if_it_had_been_published_alone() -> None:
    data = b'{"id": "a", "user": "u"}\r\n\n  \n{"id": "b", "user": "v"}\n'
    parts = event.split(replace(MESSAGE, data=data), LINES)
    assert [part.message.message_id for part in parts] == ["m-1:0", "m-1:1"]
    assert [part.message.delivery_id for part in parts] == ["m-1", "m-1"]
    assert [part.message.data for part in parts] == [
        b'{"id": "a", "user": "u"}\r',
        b'{"id": "b", "user": "v"}',
    ]
    assert [event.decode(part, LINES).event_id for part in parts] == ["a", "b"]


def test_a_message_of_one_line_keeps_its_name_and_its_bytes() -> None:
    data = b"\n" + TEXT + b"\n"
    (part,) = event.split(replace(MESSAGE, data=data), LINES)
    assert part.published() == replace(MESSAGE, data=data)


def test_a_line_named_by_the_message_has_the_same_name_when_it_comes_alone() -> None:
    shape = shaped(format=Format.NDJSON, id=(compile_expression("message.id", ROOTS),))
    parts = event.split(replace(MESSAGE, data=TEXT + b"\n" + TEXT), shape)
    ids = [event.decode(part, shape).event_id for part in parts]
    assert ids == ["m-1:0", "m-1:1"]
    (alone,) = event.split(replace(parts[1].published(), delivery_id="m-2"), shape)
    assert event.decode(alone, shape).event_id == "m-1:1"


def test_the_bytes_of_one_event_are_published_in_the_messages_own_encoding() -> None:
    shape = shaped(format=Format.NDJSON, encodings=("base64", "gzip"))
    data = encoding.redo(TEXT + b"\nno json\n", shape.encodings)
    parts = event.split(replace(MESSAGE, data=data), shape)
    (again,) = event.split(parts[1].published(), shape)
    assert again.data == b"no json"


@pytest.mark.parametrize("data", [b"", b"\n", b" \n\t\r\n"])
def test_a_message_without_a_line_is_refused(data: bytes) -> None:
    assert refused(data, LINES).startswith("json_invalid")


def test_more_events_than_can_end_in_time_are_refused() -> None:
    assert "more than 10000 events" in refused(b"{}\n" * 10_001, LINES)


# --- a JSON array of events in one message ---

ARRAY = shaped(format=Format.JSON_ARRAY)


def test_each_element_of_an_array_is_an_event_as_if_it_had_been_published_alone() -> None:
    data = b' [{"id": "a", "user": "u"} ,\n{"id": "b", "user": "v"}]\n'
    parts = event.split(replace(MESSAGE, data=data), ARRAY)
    assert [part.message.message_id for part in parts] == ["m-1:0", "m-1:1"]
    assert [part.message.data for part in parts] == [
        b'{"id": "a", "user": "u"}',
        b'{"id": "b", "user": "v"}',
    ]
    assert [event.decode(part, ARRAY).event_id for part in parts] == ["a", "b"]


def test_an_element_that_comes_alone_from_its_dead_letter_is_the_same_event() -> None:
    shape = shaped(
        format=Format.JSON_ARRAY, encodings=("gzip",), id=(compile_expression("message.id", ROOTS),)
    )
    data = encoding.redo(b"[" + TEXT + b"," + TEXT + b"]", shape.encodings)
    parts = event.split(replace(MESSAGE, data=data), shape)
    (alone,) = event.split(replace(parts[1].published(), delivery_id="m-2"), shape)
    found, again = (event.decode(part, shape) for part in (parts[1], alone))
    assert (again.event_id, again.text) == (found.event_id, found.text) == ("m-1:1", TEXT.decode())


def test_an_array_of_one_event_keeps_its_messages_name_and_its_bytes() -> None:
    (part,) = event.split(replace(MESSAGE, data=b"[" + TEXT + b"]"), ARRAY)
    assert part.published() == replace(MESSAGE, data=b"[" + TEXT + b"]")
    assert event.decode(part, ARRAY).event_id == "e-1"


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"1", "not a JSON object but a number"),
        (b"[{}]", "not a JSON object but an array"),
        (b'{"id": "x", "id": "y"}', "names the same key twice"),
        (b'{"id": "\\ud800"}', "half of a surrogate pair"),
        (b'{"id": NaN}', "NaN or Infinity"),
    ],
)
def test_a_bad_element_keeps_none_of_its_neighbours_from_its_row(bad: bytes, says: str) -> None:
    data = b"[" + TEXT + b"," + bad + b"," + TEXT + b"]"
    first, second, third = event.split(replace(MESSAGE, data=data), ARRAY)
    assert event.decode(first, ARRAY).event_id == event.decode(third, ARRAY).event_id == "e-1"
    assert second.message.data == bad
    with pytest.raises(BadEventError, match=says):
        event.decode(second, ARRAY)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"[]", "its array is empty"),
        (b"[1", "json_invalid"),
        (b"[1,]", "json_invalid"),
        (b"[NaN,]", "NaN or Infinity"),
        (b"[NaN 1]", "json_invalid"),
        (b"[NaN] 1", "json_invalid"),
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper"),
        (b"[" + b",".join([b"{}"] * 10_001) + b"]", "more than 10000 events"),
        (b'"text"', "not a JSON object but a text"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_what_is_no_array_of_events_is_refused_as_a_whole(data: bytes, says: str) -> None:
    assert says in refused(data, ARRAY)


# --- CloudEvents inside the message ---

INSIDE = shaped(
    format=Format.CLOUDEVENTS,
    id=tuple(compile_expression(f"cloudevent.{n}", ROOTS) for n in ("source", "id")),
)


@pytest.mark.parametrize(
    ("data", "attributes"),
    [
        (json.dumps({**CLOUD_EVENT, "data": EVENT}).encode(), {}),
        (json.dumps({**CLOUD_EVENT, "data_base64": base64.b64encode(TEXT).decode()}).encode(), {}),
        (json.dumps({**CLOUD_EVENT, "data": EVENT, "data_base64": None}).encode(), {}),
        (TEXT, {f"ce-{name}": value for name, value in CLOUD_EVENT.items()}),
    ],
    ids=["structured", "base64", "base64-null", "binary"],
)
def test_a_cloudevent_is_read_in_both_modes(data: bytes, attributes: dict[str, str]) -> None:
    (found,) = decoded(data, INSIDE, **attributes)
    assert (found.document, found.text, found.event_id) == (EVENT, TEXT.decode(), "//s|1")
    assert found.scope.roots["cloudevent"] == CLOUD_EVENT


def test_a_batch_of_cloudevents_is_as_many_events() -> None:
    batch = [{**CLOUD_EVENT, "data": EVENT}, {**CLOUD_EVENT, "id": "2", "data": EVENT}]
    found = decoded(json.dumps(batch).encode(), INSIDE)
    assert [(one.event_id, one.document) for one in found] == [("//s|1", EVENT), ("//s|2", EVENT)]


def test_an_array_as_the_data_of_one_cloudevent_is_no_batch() -> None:
    attributes = {f"ce-{name}": value for name, value in CLOUD_EVENT.items()}
    assert "not a JSON object but an array" in refused(b"[" + TEXT + b"]", INSIDE, **attributes)


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"source": None},
        {"type": 7},
        {"specversion": None},
        {"data": None},
        {"data": "text"},
        {"data": [EVENT]},
        {"data": None, "data_base64": "%"},
        {"data": None, "data_base64": 7},
        {"data_base64": base64.b64encode(TEXT).decode()},
    ],
    ids=str,
)
def test_what_is_no_cloudevent_is_refused(change: dict[str, object]) -> None:
    assert refused(json.dumps({**CLOUD_EVENT, "data": EVENT, **change}).encode(), INSIDE).startswith(
        "event_invalid"
    )


def test_base64_inside_a_cloudevent_that_is_no_json_is_named_so() -> None:
    data = json.dumps({**CLOUD_EVENT, "data_base64": base64.b64encode(b"no").decode()}).encode()
    assert refused(data, INSIDE).startswith("json_invalid")


@given(
    st.binary(max_size=80),
    st.sampled_from(list(Format)),
    st.lists(st.sampled_from(encoding.ENCODINGS), max_size=2),
)
def test_whatever_is_published_is_events_or_refused(data: bytes, kind: Format, encodings: list[str]) -> None:
    if kind is Format.AVRO:
        return
    shape = shaped(format=kind, encodings=tuple(encodings))
    with contextlib.suppress(BadEventError):
        for part in event.split(replace(MESSAGE, data=data), shape):
            event.decode(part, shape)
