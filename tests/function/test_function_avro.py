"""Avro records, as Pub/Sub publishes them to a topic with a schema."""

import contextlib
import datetime
import decimal
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pytest
from enrichment import event
from enrichment.errors import BadEventError
from enrichment.event import avro
from enrichment.event.message import Message
from enrichment.expressions import compile_expression
from enrichment.settings.model import EventShape, Field, FieldType, Format
from hypothesis import given
from hypothesis import strategies as st

from .conftest import FUNCTION

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "raw", "type": "bytes"},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "OLD"]}},
        {"name": "before", "type": ["null", "State"]},
        {"name": "lines", "type": {"type": "array", "items": "double"}},
        {"name": "tags", "type": {"type": "map", "values": "long"}},
    ],
}
RECORD = {
    "id": "e-1",
    "note": "é",
    "at": datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
    "day": datetime.date(2026, 3, 1),
    "total": decimal.Decimal("12.50"),
    "raw": b"\x00\xff",
    "state": "NEW",
    "before": None,
    "lines": [1.5],
    "tags": {"a": 2**60},
}
DOCUMENT = {
    "id": "e-1",
    "note": "é",
    "at": "2026-03-01T12:00:00Z",
    "day": "2026-03-01",
    "total": "12.50",
    "raw": "AP8=",
    "state": "NEW",
    "before": None,
    "lines": [1.5],
    "tags": {"a": 2**60},
}


def codec_of(folder: Path, schema: object) -> avro.AvroCodec:
    file = folder / "schema.avsc"
    file.write_text(json.dumps(schema))
    return avro.codec(file)


@pytest.fixture(scope="module")
def shape(tmp_path_factory: pytest.TempPathFactory) -> EventShape:
    codec = codec_of(tmp_path_factory.mktemp("avro"), SCHEMA)
    id_source = compile_expression("event.id", ("event", "message"))
    fields = (Field(("id",), FieldType.STRING),)
    return EventShape((id_source,), fields, format=Format.AVRO, avro=codec)


def binary(record: object = RECORD) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(SCHEMA), record)
    return stream.getvalue()


def in_json() -> bytes:
    stream = io.StringIO()
    fastavro.json_writer(stream, fastavro.parse_schema(SCHEMA), [RECORD])
    return stream.getvalue().encode()


def decoded(data: bytes, shape: EventShape, **attributes: str) -> event.Event:
    message = Message(data, attributes, "m-1", datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC))
    (part,) = event.split(message, shape)
    return event.decode(part, shape)


def test_a_record_is_read_in_the_encoding_that_its_attribute_names(shape: EventShape) -> None:
    for found in (
        decoded(binary(), shape),
        decoded(binary(), shape, googclient_schemaencoding="BINARY"),
        decoded(in_json(), shape, googclient_schemaencoding="JSON"),
    ):
        assert (found.document, json.loads(found.text), found.event_id) == (DOCUMENT, DOCUMENT, "e-1")


@pytest.mark.parametrize(
    ("data", "attributes"),
    [
        (b"", {}),
        (binary()[:-1], {}),
        (binary() + b"\x00", {}),
        (in_json(), {}),
        (binary(), {"googclient_schemaencoding": "JSON"}),
        (in_json() + in_json(), {"googclient_schemaencoding": "JSON"}),
        (b"{}", {"googclient_schemaencoding": "JSON"}),
        (binary(), {"googclient_schemaencoding": "PROTO"}),
        (binary({**RECORD, "lines": [float("nan")]}), {}),
        (b"\xff" * 9, {}),
    ],
)
def test_what_is_no_record_of_the_schema_is_refused(
    shape: EventShape, data: bytes, attributes: dict[str, str]
) -> None:
    with pytest.raises(BadEventError) as caught:
        decoded(data, shape, **attributes)
    assert caught.value.reason == "data_undecodable"


@given(st.binary(max_size=120))
def test_any_bytes_are_a_record_or_refused(shape: EventShape, data: bytes) -> None:
    for encoding in ("BINARY", "JSON"):
        with contextlib.suppress(BadEventError):
            decoded(data, shape, googclient_schemaencoding=encoding)


def with_field(kind: object) -> dict[str, object]:
    return {"type": "record", "name": "R", "fields": [{"name": "f", "type": kind}]}


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (with_field(["null", "R"]), "recursive"),
        (with_field({"type": "array", "items": "R"}), "recursive"),
        (
            with_field(
                {
                    "type": "map",
                    "values": {"type": "record", "name": "S", "fields": [{"name": "r", "type": "R"}]},
                }
            ),
            "recursive",
        ),
        ({**with_field(["null", "a.R"]), "namespace": "a"}, "recursive"),
        (with_field({"type": "array", "items": "null"}), "no bytes"),
        (with_field({"type": "array", "items": {"type": "record", "name": "E", "fields": []}}), "no bytes"),
        (with_field({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}), "no bytes"),
        (with_field("unknown"), "no schema"),
        ({"type": "array", "items": "long"}, "must describe a record"),
        ("long", "must describe a record"),
        ({"type": "record", "name": "R"}, "no schema"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_schema_that_cannot_be_used_safely_is_refused_at_the_start(
    tmp_path: Path, schema: object, says: str
) -> None:
    with pytest.raises(avro.AvroSchemaError, match=says):
        codec_of(tmp_path, schema)


def test_a_schema_may_use_a_named_type_twice(tmp_path: Path) -> None:
    money = {"type": "record", "name": "Money", "fields": [{"name": "units", "type": "long"}]}
    fields = [{"name": "a", "type": money}, {"name": "b", "type": {"type": "array", "items": "Money"}}]
    assert codec_of(tmp_path, {"type": "record", "name": "R", "fields": fields})


@pytest.mark.parametrize("content", [None, b"{", b"\xff"])
def test_a_schema_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "schema.avsc").write_bytes(content)
    with pytest.raises(avro.AvroSchemaError, match=r"schema\.avsc"):
        avro.codec(tmp_path / "schema.avsc")


def test_the_library_is_loaded_only_where_the_pipeline_asks_for_avro() -> None:
    code = "import sys; import enrichment.assembly; print('fastavro' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=FUNCTION, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


def test_a_dead_letter_of_avro_comes_again_with_what_it_needs_to_be_read(shape: EventShape) -> None:
    message = Message(
        in_json(),
        {avro.ENCODING_ATTRIBUTE: "JSON"},
        "m-1",
        datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC),
    )
    (part,) = event.split(message, shape)
    assert part.published() == message
    assert replace(part.published(), message_id="m-2").attributes == message.attributes


@pytest.mark.parametrize("encoding", ["BINARY", "JSON"])
def test_a_decimal_longer_than_any_column_is_refused_before_it_is_computed(
    shape: EventShape, encoding: str
) -> None:
    def record(length: int) -> bytes:
        schema = json.loads(json.dumps(SCHEMA).replace(', "logicalType": "decimal"', ""))
        found = {**RECORD, "total": b"\x01" * length}
        if encoding == "JSON":
            text = io.StringIO()
            fastavro.json_writer(text, fastavro.parse_schema(schema), [found])
            return text.getvalue().encode()
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), found)
        return stream.getvalue()

    attributes = {avro.ENCODING_ATTRIBUTE: encoding}
    assert shape.avro is not None
    assert "total" in shape.avro.decode(record(avro.MAX_DECIMAL_BYTES), attributes)
    with pytest.raises(avro.AvroRecordError, match="a decimal in it has more than 256 bytes"):
        shape.avro.decode(record(avro.MAX_DECIMAL_BYTES + 1), attributes)


def test_a_json_record_of_too_many_values_is_refused_before_they_are_built(
    shape: EventShape, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    assert shape.avro is not None
    monkeypatch.setattr("enrichment.documents.strict_json.MAX_VALUES", 100)
    hostile = replace(shape, avro=replace(shape.avro, read_json=never))
    message = Message(b'{"other": [' + b"[]," * 100 + b"[]]}", {avro.ENCODING_ATTRIBUTE: "JSON"}, "m-1", None)
    with pytest.raises(BadEventError, match="more than 100 values") as caught:
        event.decode(event.split(message, hostile)[0], hostile)
    assert caught.value.reason == "event_invalid"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"e-1"', '"\\ud800"', "data_undecodable"),
        ('"id"', '"\\udfff"', "data_undecodable"),
        ('"e-1"', '"e-1", "id": "e-2"', "event_invalid"),
    ],
)
def test_a_json_record_is_read_as_strictly_as_other_json(
    shape: EventShape, old: str, new: str, reason: str
) -> None:
    text = io.StringIO()
    fastavro.json_writer(text, fastavro.parse_schema(SCHEMA), [RECORD])
    data = text.getvalue().replace(old, new, 1).encode()
    message = Message(data, {avro.ENCODING_ATTRIBUTE: "JSON"}, "m-1", None)
    with pytest.raises(BadEventError) as caught:
        event.decode(event.split(message, shape)[0], shape)
    assert caught.value.reason == reason
