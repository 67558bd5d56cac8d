"""Streaming inserts into the BigQuery fake, through the official client."""

from __future__ import annotations

import datetime
import gzip
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.api_core import exceptions
from google.cloud import bigquery as client_library
from meshlab.cloud import bigquery

from tests.clock import Clock
from tests.lab.cloud.bigquery_client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.cloud.bigquery import Client

Field = client_library.SchemaField
TABLE = "p.d.events"
SCHEMA = [
    Field("id", "STRING", "REQUIRED"),
    Field("n", "INTEGER"),
    Field("tags", "STRING", "REPEATED"),
    Field("place", "RECORD", fields=[Field("city", "STRING", "REQUIRED"), Field("zip", "INTEGER")]),
    Field("items", "RECORD", "REPEATED", fields=[Field("name", "STRING"), Field("at", "TIMESTAMP")]),
]
STOPPED = {"reason": "stopped", "location": "", "debugInfo": "", "message": ""}


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def host(clock: Clock) -> Iterator[str]:
    with bigquery.running(clock) as host:
        yield host


@pytest.fixture
def client(host: str) -> Iterator[Client]:
    with connect(host) as client:
        client.create_dataset("d")
        client.create_table(client_library.Table(TABLE, schema=SCHEMA))
        yield client
        client.delete_dataset("d", delete_contents=True)


def insert(
    client: Client, *rows: dict[str, Any], ids: list[str | None] | None = None, **options: object
) -> Sequence[dict[str, Any]]:
    send: Any = client.insert_rows_json
    errors: Sequence[dict[str, Any]] = send(TABLE, list(rows), row_ids=ids or [None] * len(rows), **options)
    return errors


def ids_in(client: Client) -> list[str]:
    return [row["id"] for row in client.list_rows(TABLE)]


def invalid(location: str, message: str) -> dict[str, str]:
    return {"reason": "invalid", "location": location, "debugInfo": "", "message": message}


def test_one_bad_row_keeps_all_out_and_the_others_are_reported_stopped(client: Client) -> None:
    errors = insert(client, {"id": "a"}, {"id": "b", "n": "abc"}, {"id": "c"})

    assert errors == [
        {"index": 0, "errors": [STOPPED]},
        {"index": 1, "errors": [invalid("n", "Cannot convert value to integer (bad value): abc")]},
        {"index": 2, "errors": [STOPPED]},
    ]
    assert ids_in(client) == []


def test_with_skip_invalid_rows_the_good_are_written_and_none_is_reported_stopped(client: Client) -> None:
    errors = insert(client, {"id": "a"}, {"id": "b", "n": "abc"}, {"id": "c"}, skip_invalid_rows=True)

    assert [(error["index"], error["errors"][0]["reason"]) for error in errors] == [(1, "invalid")]
    assert ids_in(client) == ["a", "c"]


def test_an_unknown_field_is_an_error_unless_unknown_values_are_ignored(client: Client) -> None:
    row = {"id": "a", "bogus": 1, "place": {"city": "Oslo", "moon": 2}}

    assert insert(client, row) == [{"index": 0, "errors": [invalid("bogus", "no such field: bogus.")]}]
    del row["bogus"]
    assert insert(client, row) == [{"index": 0, "errors": [invalid("place.moon", "no such field: moon.")]}]
    assert insert(client, row | {"bogus": 1}, ignore_unknown_values=True) == []
    assert ids_in(client) == ["a"]


@pytest.mark.parametrize("row", [{}, {"id": None}])
def test_a_required_field_must_be_there(client: Client, row: dict[str, Any]) -> None:
    message = "Missing required field: Msg_0_CLOUD_QUERY_TABLE.id."

    assert insert(client, row) == [{"index": 0, "errors": [invalid("", message)]}]


@pytest.mark.parametrize(
    ("values", "location", "message"),
    [
        ({"n": [1]}, "n", "Array specified for non-repeated field: n."),
        ({"n": {"a": 1}}, "n", "This field: n is not a record."),
        ({"place": "Oslo"}, "place", "This field: place is a record."),
        ({"place": {"zip": 1}}, "", "Missing required field: Msg_0_CLOUD_QUERY_TABLE.place.city."),
        ({"items": [{}, {"name": ["x"]}]}, "items[1].name", "Array specified for non-repeated field: name."),
        ({"items": {"name": "x"}}, "items", "Repeated record added outside of an array."),
        ({"items": "x"}, "items", "Repeated field must be imported as a JSON array. Field: items."),
        ({"tags": "x"}, "tags", "Repeated field must be imported as a JSON array. Field: tags."),
        (
            {"tags": ["x", None]},
            "tags[1]",
            "Only optional fields can be set to NULL. Field: tags; Value: NULL",
        ),
        ({"tags": [True]}, "tags[0]", "Conversion from bool to std::string is unsupported."),
    ],
)
def test_the_shape_of_a_value_is_checked_and_its_place_named(
    client: Client, values: dict[str, Any], location: str, message: str
) -> None:
    assert insert(client, {"id": "a"} | values) == [{"index": 0, "errors": [invalid(location, message)]}]


def test_what_is_left_out_or_null_reads_as_null_and_a_repeated_field_as_empty(client: Client) -> None:
    assert insert(client, {"id": "a", "n": None, "tags": None, "items": [{"name": None}]}) == []

    (row,) = client.list_rows(TABLE)
    assert dict(row) == {
        "id": "a",
        "n": None,
        "tags": [],
        "place": None,
        "items": [{"name": None, "at": None}],
    }


def test_field_names_are_found_whatever_their_case(client: Client) -> None:
    assert insert(client, {"ID": "a", "Place": {"CITY": "Oslo"}}) == []

    (row,) = client.list_rows(TABLE)
    assert (row["id"], row["place"]["city"]) == ("a", "Oslo")


def test_an_insert_id_seen_within_the_window_is_not_written_again(client: Client, clock: Clock) -> None:
    insert(client, {"id": "a"}, ids=["e-1"])
    clock.now_s += 59.9
    assert insert(client, {"id": "a again"}, {"id": "b"}, ids=["e-1", "e-2"]) == []
    assert ids_in(client) == ["a", "b"]

    clock.now_s += 0.2
    insert(client, {"id": "a much later"}, ids=["e-1"])
    assert ids_in(client) == ["a", "b", "a much later"]


def test_an_insert_id_counts_once_within_one_request(client: Client) -> None:
    insert(client, {"id": "a"}, {"id": "a"}, {"id": "a"}, ids=["e-1", "e-1", None])

    assert ids_in(client) == ["a", "a"]


def test_an_insert_id_of_a_row_that_was_not_written_is_still_free(client: Client) -> None:
    insert(client, {"id": "a"}, {"id": "b", "n": "abc"}, ids=["e-1", "e-2"])

    assert insert(client, {"id": "a"}, ids=["e-1"]) == []
    assert ids_in(client) == ["a"]


def test_insert_ids_are_remembered_per_table_and_forgotten_with_it(client: Client) -> None:
    client.create_table(client_library.Table("p.d.other", schema=SCHEMA))
    insert(client, {"id": "a"}, ids=["e-1"])
    client.insert_rows_json("p.d.other", [{"id": "a"}], row_ids=["e-1"])
    assert len(list(client.list_rows("p.d.other"))) == 1

    client.delete_table(TABLE)
    client.create_table(client_library.Table(TABLE, schema=SCHEMA))
    insert(client, {"id": "a"}, ids=["e-1"])
    assert ids_in(client) == ["a"]


def test_rows_without_ids_are_all_written_and_the_clients_own_ids_differ(client: Client) -> None:
    client.insert_rows_json(TABLE, [{"id": "a"}, {"id": "a"}])
    insert(client, {"id": "a"}, {"id": "a"})

    assert ids_in(client) == ["a"] * 4


def test_an_insert_id_over_128_characters_is_refused(client: Client) -> None:
    assert insert(client, {"id": "a"}, ids=["x" * 128]) == []

    with pytest.raises(exceptions.BadRequest, match="129 characters; the limit is 128"):
        insert(client, {"id": "b"}, ids=["x" * 129])


def test_a_request_needs_rows_and_may_have_at_most_50000(client: Client) -> None:
    with pytest.raises(exceptions.BadRequest, match=r"No rows present in the request\."):
        client.insert_rows_json(TABLE, [])
    with pytest.raises(exceptions.BadRequest, match="limit: 50000 row count: 50001"):
        insert(client, *[{"id": "a"}] * 50_001)


def test_a_request_over_10_mb_is_refused(client: Client) -> None:
    with pytest.raises(exceptions.GoogleAPICallError, match="limit: 10485760 bytes") as caught:
        insert(client, {"id": "x" * 10_485_760})
    assert caught.value.code == 413
    assert insert(client, {"id": "x" * 1_000_000}) == []


def test_a_table_that_is_not_there_is_not_found(client: Client) -> None:
    with pytest.raises(exceptions.NotFound, match=r"Not found: Table p:d\.none"):
        client.insert_rows_json("p.d.none", [{"id": "a"}])
    with pytest.raises(exceptions.NotFound, match="Not found: Dataset p:none"):
        client.insert_rows_json("p.none.none", [{"id": "a"}])


def test_options_that_are_not_offered_are_refused_rather_than_ignored(client: Client) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match="templateSuffix"):
        insert(client, {"id": "a"}, template_suffix="_x")


def test_a_gzipped_body_is_read(client: Client, host: str) -> None:
    url = f"{host}/bigquery/v2/projects/p/datasets/d/tables/events/insertAll"
    body = gzip.compress(json.dumps({"rows": [{"json": {"id": "a"}}]}).encode())

    with httpx.Client(trust_env=False) as http:
        reply = http.post(url, content=body, headers={"content-encoding": "gzip"})
        bomb = http.post(url, content=gzip.compress(b" " * 20_000_000), headers={"content-encoding": "gzip"})
        garbage = http.post(url, content=b"{")

    assert reply.json() == {"kind": "bigquery#tableDataInsertAllResponse"}
    assert (bomb.status_code, garbage.status_code) == (413, 400)
    assert ids_in(client) == ["a"]


def test_python_values_go_in_through_insert_rows(client: Client) -> None:
    at = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=datetime.UTC)
    row = {"id": "a", "items": [{"name": "i", "at": at}]}
    assert client.insert_rows(client.get_table(TABLE), [row]) == []

    (row,) = client.list_rows(TABLE)
    assert row["items"] == [{"name": "i", "at": at}]


@pytest.mark.parametrize(
    ("days", "accepted"), [(-1826, False), (-1824, True), (0, True), (365, True), (367, False)]
)
@pytest.mark.parametrize("kind", ["TIMESTAMP", "DATE"])
def test_a_partition_out_of_range_takes_no_streamed_row(
    client: Client, clock: Clock, kind: str, days: int, accepted: bool
) -> None:
    table = client_library.Table("p.d.by_day", schema=[Field("id", "STRING"), Field("at", kind)])
    table.time_partitioning = client_library.TimePartitioning(field="at")
    client.create_table(table)
    at = datetime.datetime.fromtimestamp(clock.now_s, datetime.UTC) + datetime.timedelta(days)
    value = at.date().isoformat() if kind == "DATE" else at.isoformat()

    errors = client.insert_rows_json("p.d.by_day", [{"id": "a", "at": value}])

    assert len(list(client.list_rows("p.d.by_day"))) == accepted
    if not accepted:
        (error,) = errors[0]["errors"]
        assert (error["reason"], error["location"]) == ("invalid", "")
        assert error["message"].startswith("Value ")
        assert error["message"].endswith(
            " for partition column at of the destination table p:d.by_day is outside the allowed bounds. You can only "
            "stream to partitions of date range within 1825 days in the past and 366 days in the future relative to "
            "the current date."
        )


def test_types_with_parameters_take_no_more_than_those(client: Client) -> None:
    fields = [
        Field("s", "STRING", max_length=3),
        Field("b", "BYTES", max_length=3),
        Field("n", "NUMERIC", precision=5, scale=2),
        Field("r", "RECORD", fields=[Field("s", "STRING", "REPEATED", max_length=3)]),
    ]
    client.create_table(client_library.Table("p.d.narrow", schema=fields))
    assert client.get_table("p.d.narrow").schema == fields
    good = {"s": "ééé", "b": "QUJD", "n": "999.99", "r": {"s": ["abc"]}}
    assert client.insert_rows_json("p.d.narrow", [good, {"n": 1.005}]) == []
    for bad, column in (
        ({"s": "abcd"}, "s"),
        ({"b": "QUJDRA=="}, "b"),
        ({"n": "1000"}, "n"),
        ({"r": {"s": ["abc", "abcd"]}}, "r.s[1]"),
    ):
        (error,) = client.insert_rows_json("p.d.narrow", [bad])
        (why,) = error["errors"]
        assert (why["reason"], why["location"]) == ("invalid", column)
    found = client.query_and_wait("SELECT s, n FROM d.narrow ORDER BY n")
    assert [(row["s"], str(row["n"])) for row in found] == [(None, "1.01"), ("ééé", "999.99")]


@pytest.mark.parametrize("field", [Field("n", "INTEGER", max_length=3), Field("s", "STRING", precision=3)])
def test_a_parameter_that_its_type_does_not_have_is_refused(
    client: Client, field: client_library.SchemaField
) -> None:
    with pytest.raises(exceptions.BadRequest, match="Invalid"):
        client.create_table(client_library.Table("p.d.narrow", schema=[field]))
