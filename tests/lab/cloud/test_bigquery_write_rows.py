"""Rows of the Storage Write API: protobuf values as columns, errors by row, defaults, and changes by key."""

from __future__ import annotations

import datetime
import decimal
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import bigquery as client_library
from google.cloud.bigquery_storage_v1 import types
from google.protobuf import descriptor_pb2  # type: ignore[import-untyped]
from meshlab.cloud import bigquery

from tests.lab.cloud.bigquery_client import connect
from tests.lab.cloud.write_client import Message, append, storage_errors, write_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from google.cloud.bigquery import Client
    from google.cloud.bigquery_storage_v1 import BigQueryWriteClient

Field = client_library.SchemaField
Interpretation = types.AppendRowsRequest.MissingValueInterpretation
PARENT = "projects/p/datasets/d/tables/t"
STREAM = f"{PARENT}/streams/_default"
WRAPPERS = ("google/protobuf/wrappers.proto", "google/protobuf/timestamp.proto")
UTC = datetime.UTC


@pytest.fixture(scope="module")
def hosts() -> Iterator[bigquery.Hosts]:
    with bigquery.running_both(lambda: 1_700_000_000.0) as hosts:
        yield hosts


@pytest.fixture
def client(hosts: bigquery.Hosts) -> Iterator[Client]:
    with connect(hosts.rest) as client:
        client.create_dataset("d")
        yield client
        client.delete_dataset("d", delete_contents=True)


@pytest.fixture
def write(hosts: bigquery.Hosts) -> Iterator[BigQueryWriteClient]:
    with write_client(hosts.write) as write:
        yield write


def table(client: Client, *fields: client_library.SchemaField, key: tuple[str, ...] = ()) -> None:
    described = client_library.Table("p.d.t", schema=fields)
    if key:
        columns = client_library.table.PrimaryKey(columns=list(key))
        described.table_constraints = client_library.table.TableConstraints(
            primary_key=columns, foreign_keys=None
        )
    client.create_table(described)


def call(write: BigQueryWriteClient, *requests: types.AppendRowsRequest) -> list[types.AppendRowsResponse]:
    return list(write.append_rows(iter(requests)))


def send(
    write: BigQueryWriteClient, message: Message, *rows: Mapping[str, object] | bytes, **options: object
) -> types.AppendRowsResponse:
    (response,) = call(write, append(message, *rows, stream=STREAM, **options))
    return response


def read(client: Client, column: str = "v") -> list[Any]:
    return [row[column] for row in client.list_rows("p.d.t")]


CONVERSIONS = [
    ("BOOLEAN", "bool", True, True),
    ("BOOLEAN", "int64", 2, True),
    ("BOOLEAN", "uint32", 0, False),
    ("BOOLEAN", "google.protobuf.BoolValue", {"value": True}, True),
    ("BYTES", "bytes", b"\x00\xff\\x", b"\x00\xff\\x"),
    ("BYTES", "bytes", b"", b""),
    ("BYTES", "string", "å", "å".encode()),
    ("DATE", "int32", 0, datetime.date(1970, 1, 1)),
    ("DATE", "int32", -719_162, datetime.date(1, 1, 1)),
    ("DATE", "int64", 2_932_896, datetime.date(9999, 12, 31)),
    ("DATE", "string", "2026-02-03", datetime.date(2026, 2, 3)),
    ("DATETIME", "string", "2026-02-03 04:05:06.7", datetime.datetime(2026, 2, 3, 4, 5, 6, 700_000)),  # noqa: DTZ001
    # 2020-10-01 12:00 and a microsecond, as Java's CivilTimeEncoder packs them.
    (
        "DATETIME",
        "int64",
        (((2020 << 26) | (10 << 22) | (1 << 17) | (12 << 12)) << 20) | 1,
        datetime.datetime(2020, 10, 1, 12, 0, 0, 1),  # noqa: DTZ001
    ),
    ("FLOAT", "double", 0.1, 0.1),
    ("FLOAT", "float", 0.5, 0.5),
    ("FLOAT", "double", float("inf"), float("inf")),
    ("FLOAT", "google.protobuf.DoubleValue", {"value": 1.5}, 1.5),
    ("INTEGER", "int64", -(2**63), -(2**63)),
    ("INTEGER", "sint32", -1, -1),
    ("INTEGER", "uint32", 2**32 - 1, 2**32 - 1),
    ("INTEGER", "google.protobuf.Int64Value", {"value": 5}, 5),
    ("JSON", "string", '{"a": [1, null]}', {"a": [1, None]}),
    ("NUMERIC", "string", "-1.5", decimal.Decimal("-1.5")),
    ("NUMERIC", "int64", 7, decimal.Decimal(7)),
    ("NUMERIC", "uint64", 2**64 - 1, decimal.Decimal(2**64 - 1)),
    ("NUMERIC", "double", 0.25, decimal.Decimal("0.25")),
    ("NUMERIC", "bytes", (123_400_000_000).to_bytes(5, "little"), decimal.Decimal("123.4")),
    ("NUMERIC", "bytes", (-(10**18)).to_bytes(16, "little", signed=True), decimal.Decimal(-(10**9))),
    ("STRING", "string", "å\n", "å\n"),
    ("STRING", "string", "", ""),
    ("STRING", "google.protobuf.StringValue", {"value": "s"}, "s"),
    ("TIME", "string", "01:02:03", datetime.time(1, 2, 3)),
    ("TIME", "int64", (((1 << 12) | (2 << 6) | 3) << 20) | 4, datetime.time(1, 2, 3, 4)),
    ("TIMESTAMP", "int64", 1, datetime.datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
    (
        "TIMESTAMP",
        "int64",
        253_402_300_799_999_999,
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ),
    ("TIMESTAMP", "uint32", 1_000_000, datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    (
        "TIMESTAMP",
        "google.protobuf.Timestamp",
        {"seconds": 1, "nanos": 2000},
        datetime.datetime(1970, 1, 1, 0, 0, 1, 2, tzinfo=UTC),
    ),
]


class TestValues:
    def test_every_column_takes_the_types_that_the_service_lists(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        names = [f"c{index}" for index in range(len(CONVERSIONS))]
        table(client, *(Field(name, kind) for name, (kind, *_) in zip(names, CONVERSIONS, strict=True)))
        message = Message(
            {name: proto for name, (_, proto, *_) in zip(names, CONVERSIONS, strict=True)}, WRAPPERS
        )
        row = {name: value for name, (_, _, value, _) in zip(names, CONVERSIONS, strict=True)}

        assert not send(write, message, row, {}).error.code

        full, empty = client.list_rows("p.d.t")
        for name, (kind, proto, _, expected) in zip(names, CONVERSIONS, strict=True):
            assert full[name] == expected, f"{proto} as {kind}"
        assert set(empty.values()) == {None}

    @pytest.mark.parametrize(
        ("kind", "proto"),
        [
            ("BOOLEAN", "string"),
            ("DATE", "double"),
            ("FLOAT", "int64"),
            ("INTEGER", "string"),
            ("INTEGER", "uint64"),
            ("JSON", "bytes"),
            ("STRING", "int64"),
            ("TIMESTAMP", "string"),
            ("STRING", "google.protobuf.Timestamp"),
        ],
    )
    def test_a_column_takes_no_other_type(
        self, client: Client, write: BigQueryWriteClient, kind: str, proto: str
    ) -> None:
        table(client, Field("v", kind))
        with pytest.raises(exceptions.InvalidArgument, match=r"The proto field mismatched .* at v"):
            call(write, append(Message({"v": proto}, WRAPPERS), Message({}).row(), stream=STREAM))

    @pytest.mark.parametrize(
        ("kind", "proto", "value", "words"),
        [
            (
                "TIMESTAMP",
                "int64",
                -(2**63),
                f"Timestamp field value is out of range: {-(2**63)} on field v.",
            ),
            ("DATE", "int32", 2_932_897, "Date field value is out of range: 2932897 on field v."),
            ("DATE", "string", "yesterday", "Invalid date: yesterday on field v."),
            ("DATETIME", "int64", 1, "Invalid datetime value: 1 on field v."),
            ("TIME", "int64", 25 << 32, "Invalid time value"),
            ("NUMERIC", "string", "1e-10", "Invalid NUMERIC value: 1e-10 on field v."),
            ("NUMERIC", "bytes", b"\x7f" * 20, "Invalid NUMERIC value"),
            ("JSON", "string", "{", "Invalid JSON value: { on field v."),
            ("STRING", "bytes", b"\xff", "Invalid UTF-8"),
        ],
    )
    def test_a_value_that_does_not_fit_is_an_error_of_its_row_that_names_the_field(
        self, client: Client, write: BigQueryWriteClient, kind: str, proto: str, value: object, words: str
    ) -> None:
        table(client, Field("v", kind))
        message = Message({"v": proto})
        data = message.row(v=value)
        # A string that is no UTF-8 can only be made as bytes, which are the same on the wire.
        sent = Message({"v": "string"}) if kind == "STRING" else message
        (error,) = send(write, sent, data).row_errors
        assert words in error.message
        assert read(client) == []

    def test_an_enumeration_is_its_name_or_its_number(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, Field("name", "STRING"), Field("number", "INTEGER"))
        message = Message({"name": "int32", "number": "int32"})
        enum = message.descriptor.enum_type.add(name="Color")
        enum.value.add(name="RED", number=0)
        enum.value.add(name="BLUE", number=4)
        for field in message.descriptor.field:
            field.type, field.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_ENUM, "Color"
        send(write, message, message.row(name=4, number=4), message.row(name=0))
        assert (read(client, "name"), read(client, "number")) == (["BLUE", "RED"], [4, None])

    def test_records_and_arrays_are_messages_and_repeated_fields(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        inner = [Field("name", "STRING", "REQUIRED"), Field("at", "TIMESTAMP")]
        table(
            client,
            Field("Tags", "STRING", "REPEATED"),
            Field("place", "RECORD", fields=[Field("city", "STRING")]),
            Field("items", "RECORD", "REPEATED", fields=inner),
        )
        message = Message(
            {
                "tags*": "string",
                "place": Message({"city": "string"}),
                "items*": Message({"name": "string", "at": "int64"}),
            }
        )
        row = {
            "tags": ["a", "b"],
            "place": {"city": "Oslo"},
            "items": [{"name": "x", "at": 0}, {"name": "y"}],
        }
        assert not send(write, message, row, {}).error.code
        full, empty = client.list_rows("p.d.t")
        epoch = datetime.datetime(1970, 1, 1, tzinfo=UTC)
        assert dict(full) == {
            "Tags": ["a", "b"],
            "place": {"city": "Oslo"},
            "items": [{"name": "x", "at": epoch}, {"name": "y", "at": None}],
        }
        assert dict(empty) == {"Tags": [], "place": None, "items": []}
        (error,) = send(write, message, {"items": [{"name": "x"}, {"at": 1}]}).row_errors
        assert error.message == "Missing required value on field items.name."

    @pytest.mark.parametrize(("mode", "proto"), [("NULLABLE", "v*"), ("REPEATED", "v")])
    def test_an_array_is_no_single_value(
        self, client: Client, write: BigQueryWriteClient, mode: str, proto: str
    ) -> None:
        table(client, Field("v", "STRING", mode))
        with pytest.raises(exceptions.InvalidArgument, match="mismatched"):
            send(write, Message({proto: "string"}), b"")

    def test_what_the_writers_schema_does_not_have_is_passed_over(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, Field("v", "STRING"))
        wide = Message({"v": "string", "more": "int64"})
        assert not send(write, Message({"v": "string"}), wide.row(v="a", more=1)).error.code
        assert read(client) == ["a"]


class TestRowErrors:
    def test_each_bad_row_is_named_none_is_written_and_the_call_goes_on(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, Field("v", "TIMESTAMP", "REQUIRED"))
        message = Message({"v": "int64"})
        bad, good = call(
            write,
            append(message, {"v": 1}, {"v": 2**62}, {}, {"v": 2}, stream=STREAM),
            append(None, message.row(v=3)),
        )
        assert bad.error.code == 3
        assert "Please refer to the row_errors field for details" in bad.error.message
        assert STREAM in bad.error.message
        code = types.RowError.RowErrorCode.FIELDS_ERROR
        assert [(error.index, error.code, error.message) for error in bad.row_errors] == [
            (1, code, f"Timestamp field value is out of range: {2**62} on field v."),
            (2, code, "Missing required value on field v."),
        ]
        assert not good.error.code
        assert len(read(client)) == 1

    @pytest.mark.parametrize(
        ("days", "accepted"), [(-1826, False), (-1824, True), (0, True), (365, True), (367, False)]
    )
    def test_a_row_of_a_partition_out_of_range_is_an_error_of_its_row(
        self, client: Client, write: BigQueryWriteClient, days: int, accepted: bool
    ) -> None:
        described = client_library.Table("p.d.t", schema=[Field("v", "TIMESTAMP")])
        described.time_partitioning = client_library.TimePartitioning(field="v")
        client.create_table(described)
        micros = round((1_700_000_000 + days * 86_400) * 1_000_000)

        response = send(write, Message({"v": "int64"}), {"v": 1_700_000_000_000_000}, {"v": micros})

        assert len(read(client)) == 2 * accepted
        assert [error.index for error in response.row_errors] == [1] * (not accepted)
        assert all(
            error.message.startswith(
                f"Value {micros} for partition column v of the destination table p:d.t is "
            )
            for error in response.row_errors
        )

    def test_bad_rows_do_not_move_the_offset(self, client: Client, write: BigQueryWriteClient) -> None:
        table(client, Field("v", "STRING", "REQUIRED"))
        name = write.create_write_stream({"parent": PARENT, "write_stream": {"type_": "COMMITTED"}}).name
        message = Message({"v": "string"})
        bad, good = call(
            write,
            append(message, {"v": "a"}, {}, stream=name, offset=0),
            append(None, message.row(v="b"), offset=0),
        )
        assert [error.index for error in bad.row_errors] == [1]
        assert good.append_result.offset == 0
        assert read(client) == ["b"]

    def test_bytes_that_are_no_message_are_an_error_of_their_row(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, Field("v", "STRING"))
        (error,) = send(write, Message({"v": "string"}), b"\x0a\x05a").row_errors
        assert "cannot be parsed" in error.message


class TestWriterSchemas:
    def test_fields_that_the_table_has_not_are_named(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, Field("v", "STRING"), Field("r", "RECORD", fields=[Field("a", "STRING")]))
        message = Message({"v": "string", "more": "int64", "r": Message({"a": "string", "deep": "string"})})
        with pytest.raises(exceptions.InvalidArgument) as caught:
            send(write, message, {"v": "a"})
        (error,) = storage_errors(caught.value.details)
        assert error.code == types.StorageError.StorageErrorCode.SCHEMA_MISMATCH_EXTRA_FIELDS
        assert error.entity == STREAM
        assert "extra fields: 'more,r.deep'" in error.error_message

    def test_a_required_column_must_be_in_the_schema(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, Field("v", "STRING"), Field("id", "STRING", "REQUIRED"))
        with pytest.raises(exceptions.InvalidArgument, match=r"required fields .*'id'"):
            send(write, Message({"v": "string"}), {"v": "a"})

    def broken(self, change: str) -> Message:
        message = Message({"v": "string"})
        field = message.descriptor.field[0]
        if change == "proto3":
            field.proto3_optional = True
        elif change == "type":
            field.type, field.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, ".Composer"
        else:
            del message.descriptor.field[:]
        return message

    @pytest.mark.parametrize(
        ("change", "words"),
        [("proto3", "proto3_optional=true"), ("type", "Composer"), ("empty", "has no fields")],
    )
    def test_a_schema_that_proto2_does_not_allow_is_refused(
        self, client: Client, write: BigQueryWriteClient, change: str, words: str
    ) -> None:
        table(client, Field("v", "STRING"))
        with pytest.raises(exceptions.InvalidArgument, match=f"Invalid proto schema.*{words}"):
            send(write, self.broken(change), b"")


class TestDefaultValues:
    FIELDS = (
        Field("id", "STRING"),
        Field("v", "STRING", default_value_expression="'none'"),
        Field("n", "INTEGER", "REQUIRED", default_value_expression="7"),
        Field("made", "TIMESTAMP", default_value_expression="CURRENT_TIMESTAMP()"),
    )

    def test_a_column_that_the_schema_does_not_have_gets_its_default(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, *self.FIELDS)
        assert client.get_table("p.d.t").schema[1].default_value_expression == "'none'"
        send(write, Message({"id": "string"}), {"id": "a"})
        (row,) = client.list_rows("p.d.t")
        made = datetime.datetime.fromtimestamp(1_700_000_000, UTC)
        assert dict(row) == {"id": "a", "v": "none", "n": 7, "made": made}

    def test_a_missing_value_is_null_or_the_default_as_the_request_says(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, *self.FIELDS[:2], Field("w", "STRING", default_value_expression='"other"'))
        message = Message({"id": "string", "v": "string", "w": "string"})
        default, null = Interpretation.DEFAULT_VALUE, Interpretation.NULL_VALUE
        call(
            write,
            append(message, {"id": "a"}, stream=STREAM),
            append(None, message.row(id="b"), missing_value_interpretations={"v": default}),
            append(None, message.row(id="c"), default_missing_value_interpretation=default),
            # The default interpretation stays, and one for a column goes before it.
            append(None, message.row(id="d"), missing_value_interpretations={"w": null}),
        )
        assert [(row["v"], row["w"]) for row in client.list_rows("p.d.t")] == [
            (None, None), ("none", None), ("none", "other"), ("none", None),
        ]  # fmt: skip

    def test_insert_all_is_refused_where_it_would_need_a_default(self, client: Client) -> None:
        table(client, *self.FIELDS[:2])
        insert: Any = client.insert_rows_json
        assert insert("p.d.t", [{"id": "a", "v": "b"}]) == []
        with pytest.raises(exceptions.MethodNotImplemented, match="default values in insertAll"):
            insert("p.d.t", [{"id": "a"}])


CHANGES = Message(
    {"id": "string", "v": "string", "_CHANGE_TYPE": "string", "_CHANGE_SEQUENCE_NUMBER": "string"}
)
KEYED = (Field("id", "STRING", "REQUIRED"), Field("v", "STRING", "REQUIRED"))


def upsert(id_: str, v: str, number: str | None = None) -> bytes:
    more = {} if number is None else {"_CHANGE_SEQUENCE_NUMBER": number}
    return CHANGES.row(id=id_, v=v, _CHANGE_TYPE="UPSERT", **more)


def delete(id_: str, number: str | None = None) -> bytes:
    more = {} if number is None else {"_CHANGE_SEQUENCE_NUMBER": number}
    return CHANGES.row(id=id_, _CHANGE_TYPE="DELETE", **more)


def change(write: BigQueryWriteClient, *requests: list[bytes]) -> None:
    first, *others = requests
    responses = call(
        write,
        append(CHANGES, *first, stream=STREAM),
        *(append(None, *rows) for rows in others),
    )
    assert not any(response.error.code for response in responses)


def pairs(client: Client) -> dict[str, str]:
    found = [(row["id"], row["v"]) for row in client.query_and_wait("SELECT id, v FROM d.t")]
    listed = [(row["id"], row["v"]) for row in client.list_rows("p.d.t")]
    assert sorted(found) == sorted(listed)
    assert len(found) == client.get_table("p.d.t").num_rows == len(dict(found))
    return dict(found)


class TestChangesByKey:
    def test_rows_replace_and_delete_others_of_their_key(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, *KEYED, key=("id",))
        constraints = client.get_table("p.d.t").table_constraints
        assert constraints is not None
        assert constraints.primary_key is not None
        assert constraints.primary_key.columns == ["id"]
        change(write, [upsert("a", "1"), upsert("b", "1"), upsert("c", "1")])
        assert pairs(client) == {"a": "1", "b": "1", "c": "1"}
        change(write, [upsert("a", "2"), delete("b"), delete("nosuch")], [upsert("c", "2"), upsert("d", "1")])
        assert pairs(client) == {"a": "2", "c": "2", "d": "1"}
        change(write, [upsert("b", "3")])
        assert pairs(client) == {"a": "2", "b": "3", "c": "2", "d": "1"}

    def test_the_later_request_wins_and_in_one_request_the_first_row(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, *KEYED, key=("id",))
        change(write, [upsert("a", "1"), upsert("a", "2")])
        assert pairs(client) == {"a": "1"}
        change(write, [upsert("a", "3")], [upsert("a", "4"), upsert("b", "1")], [upsert("b", "2")])
        assert pairs(client) == {"a": "4", "b": "2"}

    def test_the_greater_sequence_number_wins_whenever_it_comes(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, *KEYED, key=("id",))
        change(write, [upsert("a", "new", "1/A"), upsert("a", "newer", "1/B"), upsert("b", "new", "2")])
        assert pairs(client) == {"a": "newer", "b": "new"}
        change(write, [upsert("a", "late", "1/0B"), delete("b", "1")])
        assert pairs(client) == {"a": "late", "b": "new"}, "an equal number is later, 1 is before 2"
        change(write, [upsert("a", "old", "FF"), upsert("b", "newest", "10")])
        assert pairs(client) == {"a": "old", "b": "newest"}, "FF and 10 are hexadecimal"

    def test_an_older_change_does_not_bring_a_deleted_row_back(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, *KEYED, key=("id",))
        change(write, [upsert("a", "1", "1")])
        change(write, [delete("a", "3")])
        change(write, [upsert("a", "2", "2")])
        assert pairs(client) == {}
        change(write, [upsert("a", "4", "4")])
        assert pairs(client) == {"a": "4"}

    def test_a_key_may_have_several_columns(self, client: Client, write: BigQueryWriteClient) -> None:
        table(client, Field("a", "INTEGER"), Field("b", "DATE"), Field("v", "STRING"), key=("a", "b"))
        message = Message({"a": "int64", "b": "int32", "v": "string", "_CHANGE_TYPE": "string"})
        rows = [{"a": a, "b": b, "v": f"{a}{b}", "_CHANGE_TYPE": "UPSERT"} for a in (1, 2) for b in (3, 4)]
        send(write, message, *rows)
        send(write, message, {"a": 1, "b": 4, "v": "x", "_CHANGE_TYPE": "UPSERT"})
        # A value that is missing is a value of the key as well.
        send(write, message, {"a": 1, "v": "y", "_CHANGE_TYPE": "UPSERT"})
        send(write, message, {"a": 1, "v": "z", "_CHANGE_TYPE": "UPSERT"})
        assert sorted(read(client)) == ["13", "23", "24", "x", "z"]

    def test_rows_without_change_types_are_added_whatever_their_key(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, *KEYED, key=("id",))
        plain = Message({"id": "string", "v": "string"})
        send(write, plain, {"id": "a", "v": "1"}, {"id": "a", "v": "2"})
        assert sorted(read(client)) == ["1", "2"]
        change(write, [upsert("a", "3")])
        send(write, plain, {"id": "a", "v": "4"})
        assert sorted(read(client)) == ["3", "4"]

    def test_streams_that_are_committed_add_to_a_table_with_a_key(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, *KEYED, key=("id",))
        name = write.create_write_stream({"parent": PARENT, "write_stream": {"type_": "PENDING"}}).name
        call(write, append(Message({"id": "string", "v": "string"}), {"id": "a", "v": "1"}, stream=name))
        write.finalize_write_stream(name=name)
        write.batch_commit_write_streams({"parent": PARENT, "write_streams": [name]})
        assert pairs(client) == {"a": "1"}
        change(write, [upsert("a", "2")])
        assert pairs(client) == {"a": "2"}

    def test_a_table_with_a_key_takes_a_new_column(self, client: Client, write: BigQueryWriteClient) -> None:
        table(client, *KEYED, key=("id",))
        change(write, [upsert("a", "1")])
        described = client.get_table("p.d.t")
        described.schema = [*described.schema, Field("n", "INTEGER")]
        client.update_table(described, ["schema"])
        wide = Message({"id": "string", "v": "string", "n": "int64", "_CHANGE_TYPE": "string"})
        send(write, wide, {"id": "b", "v": "1", "n": 5, "_CHANGE_TYPE": "UPSERT"})
        assert {row["id"]: row["n"] for row in client.list_rows("p.d.t")} == {"a": None, "b": 5}

    def test_without_a_primary_key_there_are_no_changes(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        table(client, *KEYED)
        with pytest.raises(exceptions.InvalidArgument, match=r"primary keys .* p\.d\.t are required"):
            change(write, [upsert("a", "1")])

    def test_a_sequence_number_needs_a_change_type(self, client: Client, write: BigQueryWriteClient) -> None:
        table(client, *KEYED, key=("id",))
        message = Message({"id": "string", "v": "string", "_CHANGE_SEQUENCE_NUMBER": "string"})
        with pytest.raises(exceptions.InvalidArgument, match="cannot be set without _CHANGE_TYPE"):
            send(write, message, {"id": "a", "v": "1"})

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            (CHANGES.row(id="a", v="1"), "not a valid CHANGE_TYPE: "),
            (CHANGES.row(id="a", v="1", _CHANGE_TYPE="INSERT"), "not a valid CHANGE_TYPE: INSERT"),
            (upsert("a", "1", "G"), "not a valid _CHANGE_SEQUENCE_NUMBER: G"),
            (upsert("a", "1", "1/2/3/4/5"), "not a valid _CHANGE_SEQUENCE_NUMBER"),
            (upsert("a", "1", "0" * 17), "not a valid _CHANGE_SEQUENCE_NUMBER"),
            (upsert("a", "1", ""), "not a valid _CHANGE_SEQUENCE_NUMBER"),
            (CHANGES.row(id="a", _CHANGE_TYPE="UPSERT"), "Missing required value on field v."),
            (CHANGES.row(v="a", _CHANGE_TYPE="DELETE"), "Missing required value on field id."),
        ],
    )
    def test_a_change_that_is_not_well_formed_is_an_error_of_its_row(
        self, client: Client, write: BigQueryWriteClient, row: bytes, words: str
    ) -> None:
        table(client, *KEYED, key=("id",))
        (error,) = send(write, CHANGES, row).row_errors
        assert words in error.message
        assert pairs(client) == {}

    def test_only_the_default_stream_takes_changes(self, client: Client, write: BigQueryWriteClient) -> None:
        table(client, *KEYED, key=("id",))
        name = write.create_write_stream({"parent": PARENT, "write_stream": {"type_": "COMMITTED"}}).name
        (response,) = call(write, append(CHANGES, upsert("a", "1"), stream=name))
        (error,) = response.row_errors
        assert error.message == "The given value is not a valid CHANGE_TYPE in insert mode: UPSERT"

    @pytest.mark.parametrize(
        ("key", "words"),
        [
            (("nosuch",), "is not found in the schema"),
            (("tags",), "cannot be in a primary key"),
            (tuple(f"c{n}" for n in range(17)), "the limit is 16"),
        ],
    )
    def test_a_key_is_of_columns_that_can_be_compared(
        self, client: Client, key: tuple[str, ...], words: str
    ) -> None:
        fields = [Field("tags", "STRING", "REPEATED"), *(Field(f"c{n}", "STRING") for n in range(17))]
        with pytest.raises(exceptions.BadRequest, match=words):
            table(client, *fields, key=key)
