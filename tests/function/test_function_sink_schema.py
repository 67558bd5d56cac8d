"""The messages of the Storage Write API as we build them, held to Google's generated classes."""

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import grpc
import meshpass
import pytest
from enrichment.row.column_values import convert
from enrichment.settings import table_file
from enrichment.settings.model import TableField
from enrichment.sink.storage_write import messages
from enrichment.sink.storage_write.client import StorageWriteClient
from enrichment.sink.storage_write.messages import FIELDS
from enrichment.sink.storage_write.schema import COLUMN_NAME, RowSchema, RowValueError
from google.api_core.gapic_v1 import routing_header
from google.cloud import bigquery_storage_v1
from google.cloud.bigquery_storage_v1 import types, writer
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.protobuf import (  # type: ignore[import-untyped]
    any_pb2,
    descriptor_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from .conftest import FUNCTION, TABLE
from .write_service import decoder, running
from .writing import Tokens, Writing, row

if TYPE_CHECKING:
    from enrichment.row.conversions import Json

COLUMNS = list((table_file.read(FUNCTION / "enrichment" / "table.json", []) or {}).values())

OFFICIAL = {
    "Int64Value": wrappers_pb2.Int64Value,
    "Timestamp": timestamp_pb2.Timestamp,
    "Any": any_pb2.Any,
    "Status": status_pb2.Status,
    "ErrorInfo": error_details_pb2.ErrorInfo,
    "AppendResult": types.AppendRowsResponse.pb().AppendResult,
    "ProtoData": types.AppendRowsRequest.pb().ProtoData,
}


def official(name: str) -> Any:  # noqa: ANN401 - a descriptor of protobuf, which has no types
    return (OFFICIAL[name] if name in OFFICIAL else getattr(types, name).pb()).DESCRIPTOR


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_has_the_number_and_the_type_of_googles_own(name: str) -> None:
    theirs = {known.name.rstrip("_"): known for known in official(name).fields}  # `type_` to proto-plus
    for field in messages._MADE[name].DESCRIPTOR.fields:
        known = theirs[field.name]
        assert field.number == known.number
        assert field.is_repeated == known.is_repeated
        kinds = {known.type}
        if known.type == known.TYPE_ENUM:
            kinds = {known.TYPE_INT32}  # both are varints
        if (name, field.name) == ("ProtoSchema", "proto_descriptor"):
            kinds = {known.TYPE_BYTES}  # serialised once
        assert field.type in kinds


def test_every_code_has_the_number_of_googles_own() -> None:
    storage, rows = types.StorageError.StorageErrorCode, types.RowError.RowErrorCode
    assert tuple(code.name for code in sorted(storage)) == messages.STORAGE_ERROR_CODES
    assert tuple(code.name for code in sorted(rows)) == messages.ROW_ERROR_CODES
    assert types.WriteStream.Type.COMMITTED == messages.COMMITTED
    assert types.WriteStream.Type.PENDING == messages.PENDING
    meaning = types.AppendRowsRequest.MissingValueInterpretation
    assert meaning.DEFAULT_VALUE == messages.DEFAULT_VALUE


def field(name: str, kind: str, **more: Any) -> TableField:  # noqa: ANN401 - as TableField takes them
    return TableField(name, kind, **more)


VALUES = [
    ("STRING", "Zoë \u2028", "Zoë \u2028"),
    ("INTEGER", -(2**63), str(-(2**63))),
    ("INTEGER", "12", "12"),
    ("FLOAT", 1.5, 1.5),
    ("FLOAT", "-Infinity", "-Infinity"),
    ("FLOAT", 3, 3.0),
    ("NUMERIC", "12.5", "12.5"),
    ("BIGNUMERIC", 7, "7"),
    ("BOOLEAN", "true", True),
    ("TIMESTAMP", "2026-03-01T12:00:00.123456Z", "1772366400123456"),
    ("TIMESTAMP", "1969-12-31T23:59:59.999999+00:00", "-1"),
    ("TIMESTAMP", "0001-01-01T00:00:00Z", "-62135596800000000"),
    ("TIMESTAMP", "9999-12-31T23:59:59.999999Z", "253402300799999999"),
    ("DATE", "2026-03-01", (date(2026, 3, 1) - date(1970, 1, 1)).days),
    ("DATE", "0001-01-01", -719162),
    ("DATE", "9999-12-31", 2932896),
    ("DATETIME", "2026-03-01 12:00:00.5", "2026-03-01T12:00:00.500000"),
    ("TIME", "12:00:00.5", "12:00:00.500000"),
    ("BYTES", "aGk=", "aGk="),
    ("GEOGRAPHY", "POINT(1 2)", "POINT(1 2)"),
    ("JSON", {"é": [1, None]}, '{"é":[1,null]}'),
]


@pytest.mark.parametrize(("kind", "value", "read"), VALUES, ids=[f"{v[0]}-{v[1]}"[:30] for v in VALUES])
def test_a_value_of_each_type_arrives_as_googles_classes_read_it(
    kind: str, value: object, read: object
) -> None:
    """Through the conversion that every value takes on its way into a row; once, in a list, and in a record."""
    one, many = field("one", kind), field("many", kind, repeated=True)
    record = field("record", "RECORD", repeated=True, fields=(one, many))
    schema = RowSchema([one, many, record])
    values = {
        "one": convert(one, value),
        "many": convert(many, [value, value]),
        "record": convert(record, [{"one": value, "many": [value]}]),
    }
    assert decoder(schema.descriptor)(schema.serialize(values)) == {
        "one": read,
        "many": [read, read],
        "record": [{"one": read, "many": [read]}],
    }


def test_labels_follow_the_columns_modes_and_numbers_their_order() -> None:
    fields = [field("a", "STRING", required=True), field("b", "STRING"), field("c", "STRING", repeated=True)]
    found = RowSchema(fields).descriptor.field
    assert [(one.name, one.number, one.label) for one in found] == [
        ("a", 1, one.LABEL_REQUIRED) if (one := found[0]) else None,
        ("b", 2, found[0].LABEL_OPTIONAL),
        ("c", 3, found[0].LABEL_REPEATED),
    ]


def test_a_record_in_a_record_is_a_nested_type_whose_name_is_no_columns() -> None:
    deepest = field("record_1", "RECORD", fields=(field("text", "STRING"),))
    outer = field("record_2", "RECORD", fields=(deepest,))
    schema = RowSchema([field("record_1", "STRING"), outer])
    row: dict[str, Json] = {"record_1": "a", "record_2": {"record_1": {"text": "deep"}}}
    assert decoder(schema.descriptor)(schema.serialize(row)) == row


def test_a_column_whose_name_is_none_of_protobufs_keeps_it_in_an_option() -> None:
    columns = [field("größe in cm", "INTEGER"), field("r", "RECORD", fields=(field("a-b", "STRING"),))]
    schema = RowSchema(columns)
    sent = descriptor_pb2.DescriptorProto.FromString(schema.descriptor.SerializeToString())
    names = [sent.field[0], sent.nested_type[0].field[0]]
    for found, column in zip(names, ("größe in cm", "a-b"), strict=True):
        option = found.options.SerializeToString()
        assert option.endswith(column.encode())
        number, shift = 0, 0
        for byte in option:
            number |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        assert number >> 3 == COLUMN_NAME
    found_row = decoder(schema.descriptor)(schema.serialize({"größe in cm": "7", "r": {"a-b": "x"}}))
    assert list(found_row.values()) == ["7", {sent.nested_type[0].field[0].name: "x"}]


def test_columns_that_two_sections_write_are_there_once() -> None:
    columns = [*COLUMNS, *COLUMNS]
    assert [one.name for one in RowSchema(columns).descriptor.field] == [one.name for one in COLUMNS]


@pytest.mark.parametrize(
    ("kind", "value"), [("INTEGER", "many"), ("TIMESTAMP", "yesterday"), ("DATE", ""), ("BYTES", "a")]
)
def test_a_value_of_another_type_names_its_column_and_is_not_quoted(kind: str, value: str) -> None:
    with pytest.raises(RowValueError) as caught:
        RowSchema([field("a", "STRING"), field("b", kind)]).serialize({"a": "x", "b": value})
    assert caught.value.column == "b"
    assert len(value) < 2 or value not in str(caught.value)


def test_a_timestamp_of_any_form_that_bigquery_reads_is_the_same_instant() -> None:
    schema = RowSchema([field("at", "TIMESTAMP")])
    wanted = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1e6)
    for text in (
        "2026-03-01T12:00:00Z",
        "2026-03-01 12:00:00 UTC",
        "2026-03-01 12:00:00",
        "2026-03-01T13:00+01:00",
    ):
        assert decoder(schema.descriptor)(schema.serialize({"at": text})) == {"at": str(wanted)}


def test_googles_own_client_sends_the_same() -> None:
    schema = RowSchema(COLUMNS)
    rows = [row("plain"), row("Ünïcode \u2028 \x7f", event=json.dumps({"é": "😀"}))]
    with running() as service:
        ours = Writing(StorageWriteClient({TABLE: COLUMNS}, host=service.address, tokens=Tokens()))
        ours.runner.run(ours.client.insert(TABLE, rows, meshpass.Deadline.after(20)))
        ours.close()
        transport = BigQueryWriteGrpcTransport(channel=grpc.insecure_channel(service.address))
        client = bigquery_storage_v1.BigQueryWriteClient(transport=transport)
        name = service.appends[0].stream
        template = types.AppendRowsRequest(write_stream=name, trace_id="meshpass-function")
        template.proto_rows = types.AppendRowsRequest.ProtoData(
            writer_schema=types.ProtoSchema(proto_descriptor=schema.descriptor)
        )
        template.default_missing_value_interpretation = types.AppendRowsRequest.MissingValueInterpretation(
            messages.DEFAULT_VALUE
        )
        stream = writer.AppendRowsStream(client, template)
        request = types.AppendRowsRequest()
        serialized = [schema.serialize(one.columns) for one in rows]
        request.proto_rows = types.AppendRowsRequest.ProtoData(
            rows=types.ProtoRows(serialized_rows=serialized)
        )
        assert stream.send(request).result(20).append_result is not None
        stream.close()
        transport.close()
    first, second = service.appends
    assert first.rows == second.rows
    theirs, mine = second.request, first.request
    assert mine.write_stream == theirs.write_stream
    assert mine.proto_rows == theirs.proto_rows
    assert mine.default_missing_value_interpretation == theirs.default_missing_value_interpretation
    # As the generated method sends it that is given a stream's name.
    route = routing_header.to_grpc_metadata((("write_stream", name),))
    assert service.connections[0][route[0]] == route[1]


@pytest.mark.parametrize(
    "name", ["SerializeToString", "self", "class", "DESCRIPTOR", "json_name", "x" * 300, "é" * 300]
)
def test_a_column_may_have_any_name_that_bigquery_takes(name: str) -> None:
    schema = RowSchema([TableField("event_id", "STRING"), TableField(name, "STRING")])
    found = schema._message.FromString(schema.serialize({"event_id": "e-1", name: "found"}))
    assert [value for _, value in found.ListFields()] == ["e-1", "found"]


@pytest.mark.parametrize(
    "names", [("foo_bar", "fooBar"), ("fooBar", "foo_bar"), ("a__b", "a_b", "aB"), ("_a", "A")]
)
def test_columns_whose_names_are_one_in_json_are_two(names: tuple[str, ...]) -> None:
    nested = TableField("nested", "RECORD", fields=tuple(TableField(name, "STRING") for name in names))
    schema = RowSchema([*(TableField(name, "STRING") for name in names), nested])
    values: dict[str, Json] = {name: name for name in names}
    found = schema._message.FromString(schema.serialize({**values, "nested": values}))
    assert all(getattr(found, name) == name == getattr(found.nested, name) for name in names)
