"""The Storage Write API of the BigQuery fake: streams, offsets and calls, through the official clients."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as client_library
from google.cloud.bigquery_storage_v1 import types, writer
from meshlab.cloud import bigquery
from meshlab.cloud.bigquery.write_api.appends import MAX_REQUEST_BYTES

from tests.lab.cloud.bigquery_client import connect
from tests.lab.cloud.write_client import Message, append, storage_errors, write_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.cloud.bigquery import Client
    from google.cloud.bigquery_storage_v1 import BigQueryWriteClient

Field = client_library.SchemaField
StorageCode = types.StorageError.StorageErrorCode
StreamType = types.WriteStream.Type
FieldType, FieldMode = types.TableFieldSchema.Type, types.TableFieldSchema.Mode
PARENT = "projects/p/datasets/d/tables/events"
OTHER = "projects/p/datasets/d/tables/other"
DEFAULT = f"{PARENT}/streams/_default"
ROW = Message({"id": "string", "n": "int64"})
SCHEMA = [Field("id", "STRING", "REQUIRED"), Field("n", "INTEGER")]


@pytest.fixture(scope="module")
def hosts() -> Iterator[bigquery.Hosts]:
    with bigquery.running_both(lambda: 1_700_000_000.25) as hosts:
        yield hosts


@pytest.fixture
def client(hosts: bigquery.Hosts) -> Iterator[Client]:
    with connect(hosts.rest) as client:
        client.create_dataset("d")
        for name in ("events", "other"):
            client.create_table(client_library.Table(f"p.d.{name}", schema=SCHEMA))
        yield client
        client.delete_dataset("d", delete_contents=True)


@pytest.fixture
def write(hosts: bigquery.Hosts, client: Client) -> Iterator[BigQueryWriteClient]:
    with write_client(hosts.write) as write:
        yield write


def ids_in(client: Client, table: str = "events") -> list[str]:
    return [row["id"] for row in client.list_rows(f"p.d.{table}")]


def create(write: BigQueryWriteClient, kind: int, parent: str = PARENT) -> str:
    name: str = write.create_write_stream(parent=parent, write_stream=types.WriteStream(type_=kind)).name
    return name


def call(write: BigQueryWriteClient, *requests: types.AppendRowsRequest) -> list[types.AppendRowsResponse]:
    """Make one call of AppendRows and return all responses."""
    return list(write.append_rows(iter(requests)))


def rows(*ids: str, stream: str = "", **options: object) -> types.AppendRowsRequest:
    return append(ROW, *({"id": id_} for id_ in ids), stream=stream, **options)


def storage_error(response: types.AppendRowsResponse) -> types.StorageError:
    (found,) = storage_errors(response.error.details)
    return found


class TestTheDefaultStream:
    def test_its_rows_are_in_the_table_when_the_response_comes_which_has_no_offset(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        (response,) = call(write, append(ROW, {"id": "a", "n": 1}, {"id": "b"}, stream=DEFAULT))

        assert "append_result" in response
        assert "offset" not in response.append_result
        assert response.write_stream == DEFAULT
        found = client.query_and_wait("SELECT id, n FROM d.events ORDER BY id")
        assert [dict(row) for row in found] == [{"id": "a", "n": 1}, {"id": "b", "n": None}]

    def test_it_goes_by_the_short_name_too(self, client: Client, write: BigQueryWriteClient) -> None:
        call(write, rows("a", stream=f"{PARENT}/_default"))
        assert ids_in(client) == ["a"]

    def test_it_shares_the_table_with_insert_all(self, client: Client, write: BigQueryWriteClient) -> None:
        send: Any = client.insert_rows_json
        assert send("p.d.events", [{"id": "a"}]) == []
        call(write, rows("b", stream=DEFAULT))
        assert ids_in(client) == ["a", "b"]

    def test_the_clients_own_stream_gets_its_responses_in_order(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        template = append(ROW, stream=DEFAULT)
        stream = writer.AppendRowsStream(write, template)
        futures = [stream.send(append(None, ROW.row(id=f"{n}"))) for n in range(50)]
        for future in futures:
            assert future.result(timeout=10).write_stream == DEFAULT
        stream.close()
        assert ids_in(client) == [f"{n}" for n in range(50)]

    @pytest.mark.parametrize(
        ("act", "words"),
        [
            (lambda write: call(write, rows("a", stream=DEFAULT, offset=0)), "Offset cannot be specified"),
            (lambda write: write.finalize_write_stream(name=DEFAULT), "cannot be finalized"),
            (lambda write: write.flush_rows(write_stream=DEFAULT), "Only BUFFERED streams"),
        ],
        ids=["offset", "finalize", "flush"],
    )
    def test_it_has_no_offsets_and_no_end(
        self,
        client: Client,
        write: BigQueryWriteClient,
        act: Callable[[BigQueryWriteClient], object],
        words: str,
    ) -> None:
        with pytest.raises(exceptions.InvalidArgument, match=words):
            act(write)
        assert ids_in(client) == []


class TestCommittedStreams:
    def test_rows_are_visible_at_once_and_responses_have_their_offset(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        name = create(write, StreamType.COMMITTED)
        responses = call(write, rows("a", "b", stream=name, offset=0), rows("c"), rows("d", offset=3))
        assert [response.append_result.offset for response in responses] == [0, 2, 3]
        assert ids_in(client) == ["a", "b", "c", "d"]

    def test_an_offset_that_was_written_is_refused_and_the_call_goes_on(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        name = create(write, StreamType.COMMITTED)
        _, again, next_one = call(
            write, rows("a", stream=name, offset=0), rows("a", offset=0), rows("b", offset=1)
        )
        assert again.error.code == 6
        error = storage_error(again)
        assert (error.code, error.entity) == (StorageCode.OFFSET_ALREADY_EXISTS, name)
        assert "The offset is within stream, expected offset 1, received 0" in error.error_message
        assert next_one.append_result.offset == 1
        assert ids_in(client) == ["a", "b"]

    def test_an_offset_beyond_the_end_is_refused_and_the_call_goes_on(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        name = create(write, StreamType.COMMITTED)
        beyond, first = call(write, rows("a", stream=name, offset=10), rows("b", offset=0))
        assert beyond.error.code == 11
        assert storage_error(beyond).code == StorageCode.OFFSET_OUT_OF_RANGE
        assert "The offset is beyond stream, expected offset 0, received 10" in beyond.error.message
        assert first.append_result.offset == 0
        assert ids_in(client) == ["b"]

    def test_the_clients_own_stream_raises_the_refusal_of_an_offset(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        stream = writer.AppendRowsStream(write, append(ROW, stream=create(write, StreamType.COMMITTED)))
        with pytest.raises(exceptions.OutOfRange, match="expected offset 0, received 5"):
            stream.send(append(None, ROW.row(id="a"), offset=5)).result(timeout=10)
        stream.close()

    def test_the_offset_outlives_the_call(self, client: Client, write: BigQueryWriteClient) -> None:
        name = create(write, StreamType.COMMITTED)
        call(write, rows("a", stream=name, offset=0))
        again, more = call(write, rows("a", stream=name, offset=0), rows("b", offset=1))
        assert storage_error(again).code == StorageCode.OFFSET_ALREADY_EXISTS
        assert more.append_result.offset == 1

    def test_a_finalized_one_takes_no_more_rows(self, client: Client, write: BigQueryWriteClient) -> None:
        name = create(write, StreamType.COMMITTED)
        call(write, rows("a", "b", stream=name))
        assert write.finalize_write_stream(name=name).row_count == 2
        (response,) = call(write, rows("c", stream=name, offset=2))
        assert response.error.code == 3
        assert storage_error(response).code == StorageCode.STREAM_FINALIZED
        assert "Stream has been finalized" in response.error.message
        assert ids_in(client) == ["a", "b"]


class TestBufferedStreams:
    def test_rows_are_visible_up_to_where_they_were_flushed(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        name = create(write, StreamType.BUFFERED)
        responses = call(write, rows("a", "b", stream=name, offset=0), rows("c", "d"))
        assert [response.append_result.offset for response in responses] == [0, 2]
        assert ids_in(client) == []
        assert write.flush_rows({"write_stream": name, "offset": 1}).offset == 1
        assert ids_in(client) == ["a", "b"]
        write.flush_rows({"write_stream": name, "offset": 3})
        assert ids_in(client) == ["a", "b", "c", "d"]

    def test_what_cannot_be_flushed_is_refused(self, client: Client, write: BigQueryWriteClient) -> None:
        name = create(write, StreamType.BUFFERED)
        call(write, rows("a", "b", stream=name))
        with pytest.raises(exceptions.OutOfRange) as caught:
            write.flush_rows({"write_stream": name, "offset": 2})
        assert storage_errors(caught.value.details)[0].code == StorageCode.OFFSET_OUT_OF_RANGE
        write.flush_rows({"write_stream": name, "offset": 1})
        with pytest.raises(exceptions.AlreadyExists):
            write.flush_rows({"write_stream": name, "offset": 0})
        write.finalize_write_stream(name=name)
        with pytest.raises(exceptions.InvalidArgument, match="finalized"):
            write.flush_rows({"write_stream": name, "offset": 1})
        assert ids_in(client) == ["a", "b"]

    def test_another_type_is_not_flushed(self, client: Client, write: BigQueryWriteClient) -> None:
        with pytest.raises(exceptions.InvalidArgument) as caught:
            write.flush_rows({"write_stream": create(write, StreamType.PENDING), "offset": 0})
        assert storage_errors(caught.value.details)[0].code == StorageCode.INVALID_STREAM_TYPE


class TestPendingStreams:
    def test_rows_of_all_are_visible_when_they_are_committed_together(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        names = [create(write, StreamType.PENDING) for _ in range(2)]
        for name, ids in zip(names, (("a", "b"), ("c",)), strict=True):
            call(write, rows(*ids, stream=name, offset=0))
            assert write.finalize_write_stream(name=name).row_count == len(ids)
        assert ids_in(client) == []
        response = write.batch_commit_write_streams({"parent": PARENT, "write_streams": names})
        assert response.commit_time is not None
        assert list(response.stream_errors) == []
        assert ids_in(client) == ["a", "b", "c"]
        assert write.get_write_stream(name=names[0]).commit_time == response.commit_time

    def commit(self, write: BigQueryWriteClient, *names: str) -> dict[str, StorageCode]:
        response = write.batch_commit_write_streams({"parent": PARENT, "write_streams": names})
        assert ("commit_time" in response) == (not response.stream_errors)
        return {error.entity: error.code for error in response.stream_errors}

    def test_one_that_cannot_be_committed_keeps_all_out(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        good, open_one = (create(write, StreamType.PENDING) for _ in range(2))
        for name in (good, open_one):
            call(write, rows("a", stream=name))
        write.finalize_write_stream(name=good)
        committed = create(write, StreamType.COMMITTED)
        unknown = f"{PARENT}/streams/nosuch"
        assert self.commit(write, good, open_one, committed, unknown) == {
            open_one: StorageCode.INVALID_STREAM_STATE,
            committed: StorageCode.INVALID_STREAM_TYPE,
            unknown: StorageCode.STREAM_NOT_FOUND,
        }
        assert ids_in(client) == []
        assert self.commit(write, good) == {}
        assert self.commit(write, good) == {good: StorageCode.STREAM_ALREADY_COMMITTED}
        assert ids_in(client) == ["a"]

    def test_a_column_that_came_while_rows_wait_is_kept(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        name = create(write, StreamType.PENDING)
        call(write, rows("a", stream=name))
        table = client.get_table("p.d.events")
        table.schema = [*table.schema, Field("note", "STRING")]
        client.update_table(table, ["schema"])
        call(
            write, append(Message({"id": "string", "note": "string"}), {"id": "b", "note": "x"}, stream=name)
        )
        write.finalize_write_stream(name=name)
        assert self.commit(write, name) == {}
        assert [row["note"] for row in client.list_rows("p.d.events")] == [None, "x"]

    @pytest.mark.parametrize("names", [[], [f"{OTHER}/streams/x"]], ids=["none", "another table's"])
    def test_a_commit_is_of_streams_of_its_table(
        self, client: Client, write: BigQueryWriteClient, names: list[str]
    ) -> None:
        with pytest.raises(exceptions.InvalidArgument):
            write.batch_commit_write_streams({"parent": PARENT, "write_streams": names})


class TestStreamsAsResources:
    def test_a_new_stream_says_what_it_is_and_which_columns_the_table_has(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        stream = write.create_write_stream(
            parent=PARENT, write_stream=types.WriteStream(type_=StreamType.PENDING)
        )
        assert stream.name.startswith(f"{PARENT}/streams/")
        assert (stream.type_, stream.write_mode) == (StreamType.PENDING, types.WriteStream.WriteMode.INSERT)
        assert stream.create_time.timestamp() == 1_700_000_000.25
        assert "commit_time" not in stream
        assert [(field.name, field.type_, field.mode) for field in stream.table_schema.fields] == [
            ("id", FieldType.STRING, FieldMode.REQUIRED),
            ("n", FieldType.INT64, FieldMode.NULLABLE),
        ]

    @pytest.mark.parametrize("name", [DEFAULT, ""], ids=["default", "created"])
    def test_the_schema_is_in_the_full_view_alone(
        self, client: Client, write: BigQueryWriteClient, name: str
    ) -> None:
        name = name or create(write, StreamType.COMMITTED)
        basic = write.get_write_stream({"name": name})
        full = write.get_write_stream({"name": name, "view": types.WriteStreamView.FULL})
        assert (basic.name, basic.type_) == (name, StreamType.COMMITTED)
        assert basic.commit_time == basic.create_time
        assert "table_schema" not in basic
        assert len(full.table_schema.fields) == 2

    @pytest.mark.parametrize(
        ("parent", "kind", "error"),
        [
            (PARENT, StreamType.TYPE_UNSPECIFIED, exceptions.InvalidArgument),
            ("projects/p/datasets/d", StreamType.PENDING, exceptions.InvalidArgument),
            ("projects/p/datasets/d/tables/nosuch", StreamType.PENDING, exceptions.NotFound),
            ("projects/p/datasets/nosuch/tables/events", StreamType.PENDING, exceptions.PermissionDenied),
            ("projects/other/datasets/d/tables/events", StreamType.PENDING, exceptions.PermissionDenied),
        ],
    )
    def test_no_stream_is_made_of_a_bad_type_or_without_a_table(
        self, client: Client, write: BigQueryWriteClient, parent: str, kind: int, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            create(write, kind, parent)

    def test_an_unknown_table_or_stream_is_named_in_the_details(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        found = []
        for name in ("projects/p/datasets/d/tables/nosuch/streams/_default", f"{PARENT}/streams/nosuch"):
            with pytest.raises(exceptions.NotFound) as caught:
                call(write, rows("a", stream=name))
            found += [(error.code, error.entity) for error in storage_errors(caught.value.details)]
        assert found == [
            (StorageCode.TABLE_NOT_FOUND, "projects/p/datasets/d/tables/nosuch"),
            (StorageCode.STREAM_NOT_FOUND, f"{PARENT}/streams/nosuch"),
        ]

    def test_streams_end_with_their_table(self, client: Client, write: BigQueryWriteClient) -> None:
        name = create(write, StreamType.COMMITTED)
        client.delete_table("p.d.events")
        client.create_table(client_library.Table("p.d.events", schema=SCHEMA))
        with pytest.raises(exceptions.NotFound):
            call(write, rows("a", stream=name))
        call(write, rows("a", stream=DEFAULT))
        assert ids_in(client) == ["a"]

    def test_a_view_takes_no_rows(self, client: Client, write: BigQueryWriteClient) -> None:
        client.query_and_wait("CREATE VIEW d.shown AS SELECT id FROM d.events")
        with pytest.raises(exceptions.InvalidArgument, match="Cannot write to a table of type VIEW"):
            call(write, rows("a", stream="projects/p/datasets/d/tables/shown/streams/_default"))


class TestCalls:
    def test_default_streams_of_several_tables_share_a_call(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        other = f"{OTHER}/streams/_default"
        first, second, third, fourth = call(
            write,
            rows("a", stream=DEFAULT),
            rows("b", stream=other),
            append(None, ROW.row(id="c")),
            rows("d", stream=DEFAULT),
        )
        assert [item.write_stream for item in (first, second, third, fourth)] == [
            DEFAULT, other, other, DEFAULT,
        ]  # fmt: skip
        assert (ids_in(client), ids_in(client, "other")) == (["a", "d"], ["b", "c"])

    def test_a_refused_request_for_one_table_lets_the_others_pass(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        bad, good = call(
            write, append(ROW, {"n": 1}, stream=DEFAULT), rows("b", stream=f"{OTHER}/streams/_default")
        )
        assert bad.row_errors
        assert not good.error.code
        assert (ids_in(client), ids_in(client, "other")) == ([], ["b"])

    def test_another_table_needs_its_schema_again(self, client: Client, write: BigQueryWriteClient) -> None:
        request = append(None, ROW.row(id="b"), stream=f"{OTHER}/streams/_default")
        with pytest.raises(exceptions.InvalidArgument, match="must have a writer_schema"):
            call(write, rows("a", stream=DEFAULT), request)

    def test_a_created_stream_shares_no_call(self, client: Client, write: BigQueryWriteClient) -> None:
        name = create(write, StreamType.COMMITTED)
        with pytest.raises(exceptions.InvalidArgument, match="Only default streams"):
            call(write, rows("a", stream=DEFAULT), rows("b", stream=name))

    def test_the_schema_may_be_repeated_and_changed(self, client: Client, write: BigQueryWriteClient) -> None:
        turned = Message({"n": "int64", "id": "string"})
        call(
            write,
            rows("a", stream=DEFAULT),
            rows("b"),
            append(turned, {"id": "c", "n": 3}),
            append(None, turned.row(id="d", n=4)),
        )
        found = client.query_and_wait("SELECT id, n FROM d.events ORDER BY id")
        assert [(row["id"], row["n"]) for row in found] == [("a", None), ("b", None), ("c", 3), ("d", 4)]

    def test_a_new_column_is_shown_once_to_a_call_that_began_before(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        wide = Message({"id": "string", "note": "string"})

        def requests() -> Iterator[types.AppendRowsRequest]:
            yield rows("a", stream=DEFAULT)
            table = client.get_table("p.d.events")
            table.schema = [*table.schema, Field("note", "STRING")]
            client.update_table(table, ["schema"])
            yield rows("b")
            yield append(wide, {"id": "c", "note": "new"})

        responses = list(write.append_rows(requests()))
        shown = [[field.name for field in response.updated_schema.fields] for response in responses]
        assert sorted(shown) == [[], [], ["id", "n", "note"]]
        assert not any(response.error.code for response in responses)
        found = client.query_and_wait("SELECT id, note FROM d.events ORDER BY id")
        assert [(row["id"], row["note"]) for row in found] == [("a", None), ("b", None), ("c", "new")]

    @pytest.mark.parametrize(
        ("request_", "words"),
        [
            (rows("a"), "must have a write_stream"),
            (append(None, ROW.row(id="a"), stream=DEFAULT), "must have a writer_schema"),
            (rows(stream=DEFAULT), "no rows"),
            (rows("a", stream="nonsense"), "Invalid stream name"),
            (
                rows("a", stream=DEFAULT, missing_value_interpretations={"n": 0}),
                "Invalid missing value interpretation: 0",
            ),
            (
                rows("a", stream=DEFAULT, default_missing_value_interpretation=7),
                "Invalid missing value interpretation: 7",
            ),
        ],
        ids=["stream", "schema", "rows", "name", "interpretation", "default interpretation"],
    )
    def test_a_request_without_what_it_needs_ends_the_call(
        self, client: Client, write: BigQueryWriteClient, request_: types.AppendRowsRequest, words: str
    ) -> None:
        with pytest.raises(exceptions.InvalidArgument, match=words):
            call(write, request_)
        assert ids_in(client) == []

    def test_a_request_over_20_mib_is_refused_and_one_below_is_not(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        half = MAX_REQUEST_BYTES // 2
        call(write, rows("x" * (half - 200), "y" * (half - 200), stream=DEFAULT))
        with pytest.raises(exceptions.InvalidArgument, match=f"too large: .* limit {MAX_REQUEST_BYTES}"):
            call(write, rows("x" * half, "y" * half, stream=DEFAULT))
        assert client.get_table("p.d.events").num_rows == 2

    def test_rows_in_arrows_format_are_refused_by_name(
        self, client: Client, write: BigQueryWriteClient
    ) -> None:
        request = types.AppendRowsRequest(write_stream=DEFAULT)
        request.arrow_rows.rows.serialized_record_batch = b"x"
        with pytest.raises(exceptions.MethodNotImplemented, match="Arrow"):
            call(write, request)

    def test_a_trace_id_is_taken(self, client: Client, write: BigQueryWriteClient) -> None:
        call(write, rows("a", stream=DEFAULT, trace_id="meshpass:1"))
        assert ids_in(client) == ["a"]

    def test_only_so_many_calls_are_open_at_once(self) -> None:
        with (
            bigquery.running_both(max_connections=1) as hosts,
            client_library.Client(
                project="p",
                credentials=AnonymousCredentials(),
                client_options={"api_endpoint": hosts.rest},
            ) as client,
            write_client(hosts.write) as write,
        ):
            client.create_dataset("d")
            client.create_table(client_library.Table("p.d.events", schema=SCHEMA))

            refused = threading.Event()

            def first() -> Iterator[types.AppendRowsRequest]:
                yield rows("a", stream=DEFAULT)
                refused.wait()

            responses = write.append_rows(first())
            next(iter(responses))
            with pytest.raises(exceptions.ResourceExhausted, match="Concurrent connections"):
                call(write, rows("b", stream=DEFAULT))
            refused.set()
            assert list(responses) == []
            call(write, rows("c", stream=DEFAULT))
            assert ids_in(client) == ["a", "c"]
