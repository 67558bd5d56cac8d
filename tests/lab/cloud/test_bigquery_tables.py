"""Datasets, tables, reads and queries of the BigQuery fake, through the official client."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import bigquery as client_library
from meshlab.cloud import bigquery

from tests.lab.cloud.bigquery_client import connect

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

    from google.cloud.bigquery import Client

UTC = datetime.UTC
Field = client_library.SchemaField
SCHEMA = [
    Field("id", "STRING", "REQUIRED", description="event id"),
    Field("ts", "TIMESTAMP", "REQUIRED"),
    Field("n", "INTEGER"),
    Field("price", "NUMERIC"),
    Field("payload", "JSON"),
    Field("tags", "STRING", "REPEATED"),
    Field("items", "RECORD", "REPEATED", fields=[Field("name", "STRING"), Field("qty", "INTEGER")]),
]
ROWS: list[dict[str, Any]] = [
    {
        "id": "a",
        "ts": "2024-01-01T10:20:30Z",
        "n": 1,
        "price": "1.25",
        "payload": '{"user": {"name": "Zoë"}}',
        "tags": ["x", "y"],
        "items": [{"name": "pen", "qty": 2}],
    },
    {"id": "a", "ts": "2024-01-02T10:20:30Z", "n": 2},
    {"id": "b", "ts": "2024-01-03T10:20:30Z", "n": None, "tags": ["x"]},
]


@pytest.fixture
def client() -> Iterator[Client]:
    with bigquery.running() as host, connect(host) as client:
        client.create_dataset("d")
        yield client


@pytest.fixture(scope="module")
def filled() -> Iterator[Client]:
    with bigquery.running() as host, connect(host) as client:
        client.create_dataset("d")
        client.create_table(client_library.Table("p.d.events", schema=SCHEMA))
        assert client.insert_rows_json("p.d.events", ROWS) == []
        yield client


def ask(client: Client, sql: str, **parameters: object) -> list[dict[str, Any]]:
    config = client_library.QueryJobConfig()
    config.query_parameters = list(parameters.values())
    by_query = [dict(row) for row in client.query_and_wait(sql, job_config=config)]
    by_job = [dict(row) for row in client.query(sql, job_config=config).result()]
    assert by_job == by_query
    return by_query


def test_a_table_keeps_its_schema_layout_and_labels(client: Client) -> None:
    table = client_library.Table("p.d.events", schema=SCHEMA)
    table.time_partitioning = client_library.TimePartitioning(
        type_=client_library.TimePartitioningType.HOUR, field="ts", expiration_ms=86_400_000
    )
    table.clustering_fields = ["id", "n"]
    table.description = "enriched events"
    table.labels = {"team": "data"}
    client.create_table(table)

    found = client.get_table("p.d.events")
    assert found.schema == table.schema
    assert found.time_partitioning == table.time_partitioning
    assert found.clustering_fields == ["id", "n"]
    assert (found.description, found.labels, found.num_rows) == ("enriched events", {"team": "data"}, 0)


def test_datasets_and_tables_are_listed_in_pages_and_deleted(client: Client) -> None:
    for name in ("t1", "t2", "t3"):
        client.create_table(client_library.Table(f"p.d.{name}", schema=SCHEMA))
    client.create_dataset("e")
    client.query_and_wait("SELECT 1")

    assert [dataset.dataset_id for dataset in client.list_datasets(page_size=1)] == ["d", "e"]
    assert [table.table_id for table in client.list_tables("d", page_size=2)] == ["t1", "t2", "t3"]
    client.delete_table("p.d.t2")
    assert [table.table_id for table in client.list_tables("d")] == ["t1", "t3"]
    with pytest.raises(exceptions.BadRequest, match="Dataset p:d is still in use"):
        client.delete_dataset("d")
    client.delete_dataset("d", delete_contents=True)
    with pytest.raises(exceptions.NotFound, match="Not found: Dataset p:d"):
        client.get_dataset("d")


def test_what_exists_is_a_duplicate_and_what_does_not_is_not_found(client: Client) -> None:
    with pytest.raises(exceptions.Conflict, match="Already Exists: Dataset p:d"):
        client.create_dataset("d")
    client.create_table(client_library.Table("p.d.t", schema=SCHEMA))
    with pytest.raises(exceptions.Conflict, match=r"Already Exists: Table p:d\.t"):
        client.create_table(client_library.Table("p.d.t", schema=SCHEMA))
    with pytest.raises(exceptions.NotFound, match=r"Not found: Table p:d\.none"):
        client.get_table("p.d.none")
    with pytest.raises(exceptions.NotFound, match="Not found: Dataset p:none"):
        client.create_table(client_library.Table("p.none.t", schema=SCHEMA))


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ([Field("a b", "STRING")], "Invalid field name"),
        ([Field("a", "STRING"), Field("A", "STRING")], "already exists in schema"),
        ([Field("a", "RECORD")], "has no fields"),
        ([], "has no fields"),
    ],
)
def test_a_schema_that_the_service_would_refuse_is_refused(
    client: Client, schema: list[client_library.SchemaField], complaint: str
) -> None:
    with pytest.raises(exceptions.BadRequest, match=complaint):
        client.create_table(client_library.Table("p.d.t", schema=schema))


@pytest.mark.parametrize(
    "field", [Field("a", "GEOGRAPHY"), Field("a", "STRING", default_value_expression="SESSION_USER()")]
)
def test_types_and_properties_that_are_not_offered_are_refused_by_name(
    client: Client, field: client_library.SchemaField
) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match=r"in field a"):
        client.create_table(client_library.Table("p.d.t", schema=[field]))


def test_a_dataset_cannot_be_changed_and_the_refusal_says_so(client: Client) -> None:
    dataset = client.get_dataset("d")
    dataset.description = "changed"

    with pytest.raises(exceptions.MethodNotImplemented, match="does not offer PATCH"):
        client.update_dataset(dataset, ["description"])


def change_schema(client: Client, *fields: client_library.SchemaField) -> None:
    table = client.get_table("p.d.events")
    table.schema = fields
    client.update_table(table, ["schema"])


def test_a_table_takes_new_columns_at_its_end_which_are_null_in_its_rows(client: Client) -> None:
    client.create_table(client_library.Table("p.d.events", schema=[Field("id", "STRING", "REQUIRED")]))
    assert client.insert_rows_json("p.d.events", [{"id": "a"}]) == []
    change_schema(client, Field("id", "STRING"), Field("n", "INTEGER"), Field("tags", "STRING", "REPEATED"))
    assert client.insert_rows_json("p.d.events", [{"n": 1, "tags": ["x"]}]) == []
    assert [dict(row) for row in client.list_rows("p.d.events")] == [
        {"id": "a", "n": None, "tags": []},
        {"id": None, "n": 1, "tags": ["x"]},
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([Field("n", "INTEGER")], "Field id is missing in new schema"),
        ([Field("id", "INTEGER"), Field("n", "INTEGER")], "has changed type from STRING to INTEGER"),
        ([Field("id", "STRING"), Field("n", "INTEGER", "REQUIRED")], "mode from NULLABLE to REQUIRED"),
        (
            [Field("id", "STRING"), Field("n", "INTEGER"), Field("m", "INTEGER", "REQUIRED")],
            "Cannot add required",
        ),
    ],
)
def test_a_change_of_columns_that_would_not_fit_their_rows_is_refused(
    client: Client, fields: list[client_library.SchemaField], words: str
) -> None:
    columns = [Field("id", "STRING"), Field("n", "INTEGER")]
    client.create_table(client_library.Table("p.d.events", schema=columns))
    with pytest.raises(exceptions.BadRequest, match=words):
        change_schema(client, *fields)
    assert [field.name for field in client.get_table("p.d.events").schema] == ["id", "n"]


def test_a_table_can_say_something_else_of_itself_but_no_more(client: Client) -> None:
    client.create_table(client_library.Table("p.d.events", schema=SCHEMA))
    table = client.get_table("p.d.events")
    table.description, table.labels = "events", {"team": "a"}
    client.update_table(table, ["description", "labels"])
    assert client.get_table("p.d.events").description == "events"
    table.expires = datetime.datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(exceptions.MethodNotImplemented, match="expirationTime"):
        client.update_table(table, ["expires"])


def test_a_table_can_be_made_again_from_its_own_description(client: Client) -> None:
    table = client.create_table(client_library.Table("p.d.t", schema=SCHEMA))
    client.insert_rows_json(table, ROWS)
    found = client.get_table(table)
    client.delete_table(table)

    assert client.create_table(found).num_rows == 0
    assert client.get_table(table).schema == SCHEMA


def test_a_partitioning_column_must_be_there_and_be_a_time(client: Client) -> None:
    table = client_library.Table("p.d.t", schema=SCHEMA)
    for column, complaint in (("none", "cannot be found in the schema"), ("id", "cannot be used")):
        table.time_partitioning = client_library.TimePartitioning(field=column)
        with pytest.raises(exceptions.BadRequest, match=complaint):
            client.create_table(table)


def test_rows_are_read_in_pages_from_any_place_and_by_column(filled: Client) -> None:
    pages = [list(page) for page in filled.list_rows("p.d.events", page_size=2).pages]
    assert [[row["n"] for row in page] for page in pages] == [[1, 2], [None]]
    assert [row["n"] for row in filled.list_rows("p.d.events", start_index=1, max_results=1)] == [2]
    chosen = filled.list_rows("p.d.events", selected_fields=[SCHEMA[1], SCHEMA[2]], max_results=1)
    assert [dict(row) for row in chosen] == [
        {"ts": datetime.datetime(2024, 1, 1, 10, 20, 30, tzinfo=UTC), "n": 1}
    ]
    assert filled.get_table("p.d.events").num_rows == 3


def test_names_may_be_full_backticked_or_short_with_a_default(filled: Client) -> None:
    for name in ("`p.d.events`", "p.d.events", "`p`.d.`events`", "d.events"):
        assert ask(filled, f"SELECT COUNT(*) AS c FROM {name}") == [{"c": 3}]
    config = client_library.QueryJobConfig(default_dataset="p.d")
    assert [row.c for row in filled.query_and_wait("SELECT COUNT(*) c FROM events", job_config=config)] == [3]
    with pytest.raises(exceptions.BadRequest, match='Table "events" must be qualified with a dataset'):
        filled.query_and_wait("SELECT 1 FROM events")


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT 1, 'x' AS y, 2", [{"f0_": 1, "y": "x", "f1_": 2}]),
        ("SELECT NULL AS x", [{"x": None}]),
        ("SELECT COUNT(*) AS c, COUNTIF(n > 1) AS big FROM d.events", [{"c": 3, "big": 1}]),
        ("SELECT SUM(n) AS s, SUM(price) AS p FROM d.events", [{"s": 3, "p": Decimal("1.25")}]),
        (
            "SELECT JSON_VALUE(payload, '$.user.name') AS name FROM d.events WHERE payload IS NOT NULL",
            [{"name": "Zoë"}],
        ),
        (
            "SELECT id, n FROM d.events QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) = 1 ORDER BY id",
            [{"id": "a", "n": 2}, {"id": "b", "n": None}],
        ),
        (
            "SELECT e.id, tag FROM `p.d.events` AS e, UNNEST(e.tags) AS tag ORDER BY 1, 2",
            [{"id": "a", "tag": "x"}, {"id": "a", "tag": "y"}, {"id": "b", "tag": "x"}],
        ),
        ("SELECT i.name, i.qty FROM d.events, UNNEST(items) AS i", [{"name": "pen", "qty": 2}]),
        ("WITH events AS (SELECT 7 AS n) SELECT n FROM events", [{"n": 7}]),
        ("SELECT n FROM d.events ORDER BY n", [{"n": None}, {"n": 1}, {"n": 2}]),
        ("SELECT events.n FROM d.events WHERE events.id = 'b'", [{"n": None}]),
        (
            "SELECT TIMESTAMP_TRUNC(ts, DAY) AS d, DATE(ts) AS day, EXTRACT(HOUR FROM ts) AS h FROM d.events LIMIT 1",
            [{"d": datetime.datetime(2024, 1, 1, tzinfo=UTC), "day": datetime.date(2024, 1, 1), "h": 10}],
        ),
        (
            "SELECT n FROM d.events WHERE TIMESTAMP_SUB(TIMESTAMP '2024-01-03 00:00:00 UTC', INTERVAL 1 DAY) < ts",
            [{"n": 2}, {"n": None}],
        ),
        ("SELECT FORMAT_TIMESTAMP('%Y-%m', MIN(ts)) AS m FROM d.events", [{"m": "2024-01"}]),
        ("SELECT CAST('1.123456789' AS NUMERIC) AS x", [{"x": Decimal("1.123456789")}]),
        ("SELECT SAFE_CAST('x' AS INT64) AS x, SAFE_DIVIDE(1, 0) AS y", [{"x": None, "y": None}]),
        ("SELECT x FROM UNNEST([3, 4]) AS x", [{"x": 3}, {"x": 4}]),
        ("SELECT STRUCT(1 AS a, 'x' AS b) AS s, [1, 2] AS l", [{"s": {"a": 1, "b": "x"}, "l": [1, 2]}]),
        ("SELECT id FROM d.events WHERE FALSE", []),
        (
            "SELECT UNIX_SECONDS(TIMESTAMP '2024-01-01 00:00:05.9 UTC') AS x, TIMESTAMP_MICROS(1) AS y",
            [{"x": 1704067205, "y": datetime.datetime(1970, 1, 1, 0, 0, 0, 1, UTC)}],
        ),
        (
            "SELECT DATE_TRUNC(DATE(ts), MONTH) AS m, DATE_SUB(DATE(ts), INTERVAL 1 DAY) AS y FROM d.events LIMIT 1",
            [{"m": datetime.date(2024, 1, 1), "y": datetime.date(2023, 12, 31)}],
        ),
        (
            "SELECT PARSE_TIMESTAMP('%Y-%m-%d', '2024-01-02') AS x",
            [{"x": datetime.datetime(2024, 1, 2, tzinfo=UTC)}],
        ),
        ("SELECT n / (n + 1) / 2 AS x FROM d.events WHERE n = 1", [{"x": 0.25}]),
        (
            "SELECT TIMESTAMP_DIFF(ts, TIMESTAMP '2024-01-01 10:19:31 UTC', MINUTE) AS m FROM d.events WHERE n = 1",
            [{"m": 0}],
        ),
        (
            """SELECT APPROX_QUANTILES(x, 2) AS q, APPROX_QUANTILES(x, 100)[OFFSET(90)] AS p90
            FROM UNNEST([1, NULL, 1, 1, 4, 5, 6, 7, 8, 9, 10]) AS x""",
            [{"q": [1, 5, 10], "p90": 9}],
        ),
        (
            "SELECT ARRAY_AGG(x ORDER BY x DESC LIMIT 2) AS x FROM UNNEST([1, 3, 2]) AS x",
            [{"x": [3, 2]}],
        ),
        ("SELECT ARRAY_AGG(DISTINCT x ORDER BY x LIMIT 9) AS x FROM UNNEST([3, 1, 3]) AS x", [{"x": [1, 3]}]),
        (
            "SELECT id, COUNT(*) AS c FROM d.events GROUP BY ROLLUP (id) ORDER BY id",
            [{"id": None, "c": 3}, {"id": "a", "c": 2}, {"id": "b", "c": 1}],
        ),
        ("SELECT 1 AS x UNION ALL SELECT 2", [{"x": 1}, {"x": 2}]),
    ],
)
def test_googlesql_gives_googles_answer(filled: Client, sql: str, rows: list[dict[str, Any]]) -> None:
    assert ask(filled, sql) == rows


def test_a_query_sees_a_row_as_soon_as_the_insert_was_answered(client: Client) -> None:
    client.create_table(client_library.Table("p.d.t", schema=[Field("n", "INTEGER")]))
    for count in range(1, 6):
        client.insert_rows_json("p.d.t", [{"n": count}])
        assert ask(client, "SELECT COUNT(*) AS c, MAX(n) AS m FROM d.t") == [{"c": count, "m": count}]


def test_rows_from_many_clients_are_all_there_while_others_query(client: Client) -> None:
    client.create_table(client_library.Table("p.d.t", schema=[Field("n", "INTEGER")]))

    def write(writer: int) -> None:
        for number in range(50):
            assert client.insert_rows_json("p.d.t", [{"n": writer * 100 + number}]) == []
            if number % 10 == writer:
                client.query_and_wait("SELECT COUNT(*) AS c FROM d.t")

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(write, range(4)))

    expected = sorted(writer * 100 + number for writer in range(4) for number in range(50))
    assert sorted(row["n"] for row in client.list_rows("p.d.t")) == expected


def test_named_parameters_have_the_type_they_are_declared_with(filled: Client) -> None:
    scalar, array = client_library.ScalarQueryParameter, client_library.ArrayQueryParameter
    since = datetime.datetime(2024, 1, 2, tzinfo=UTC)

    rows = ask(
        filled,
        "SELECT n, @Price AS price FROM d.events WHERE ts > @since AND id IN UNNEST(@ids) AND n > @n",
        since=scalar("since", "TIMESTAMP", since),
        ids=array("ids", "STRING", ["a", "c"]),
        n=scalar("n", "INT64", 1),
        price=scalar("Price", "NUMERIC", Decimal("0.1")),
    )

    assert rows == [{"n": 2, "price": Decimal("0.1")}]
    assert ask(filled, "SELECT @x AS x", x=scalar("x", "STRING", "'; --")) == [{"x": "'; --"}]
    assert ask(filled, "SELECT @x AS x", x=scalar("x", "DATE", None)) == [{"x": None}]


def test_a_long_result_comes_in_pages_and_the_job_can_be_found_again(filled: Client) -> None:
    sql = "SELECT x FROM UNNEST(GENERATE_ARRAY(1, 10050)) AS x ORDER BY x"

    assert [row.x for row in filled.query_and_wait(sql)] == list(range(1, 10051))
    assert len([row.x for row in filled.query_and_wait(sql, page_size=4000)]) == 10050
    job = filled.query(sql)
    again = filled.get_job(job.job_id)
    assert isinstance(again, client_library.QueryJob)
    assert again.result(max_results=3).total_rows == 10050
    assert sum(1 for _ in filled.list_rows(filled.get_table(job.destination), max_results=5)) == 5
    with pytest.raises(exceptions.NotFound, match="Not found: Job"):
        filled.get_job("none")


@pytest.mark.parametrize(
    ("sql", "error", "complaint"),
    [
        ("SELEC 1", exceptions.BadRequest, r"Syntax error: .* at \[1:"),
        ("SELECT nosuch FROM d.events", exceptions.BadRequest, "Unrecognized name: nosuch"),
        ("SELECT nosuch(1)", exceptions.BadRequest, "nosuch"),
        ("SELECT @x", exceptions.BadRequest, "Query parameter 'x' not found"),
        ("SELECT n, n FROM d.events", exceptions.BadRequest, "Duplicate column names"),
        ("SELECT CAST('x' AS INT64)", exceptions.BadRequest, "Could not convert"),
        (
            "SELECT 1 FROM d.none",
            exceptions.NotFound,
            r"Not found: Table p:d\.none was not found in location US",
        ),
        ("SELECT 1 FROM none.none", exceptions.NotFound, "Not found: Dataset p:none"),
        ("SELECT n / (n - 1) FROM d.events", exceptions.BadRequest, "division by zero"),
        ("SELECT FORMAT('%d', 1)", exceptions.MethodNotImplemented, "FORMAT"),
        ("SELECT DATE_TRUNC(ts, DAY) FROM d.events", exceptions.MethodNotImplemented, "DATE_TRUNC"),
        ("SELECT 1; SELECT 2", exceptions.MethodNotImplemented, "scripts"),
        ("DELETE FROM d.events WHERE TRUE", exceptions.MethodNotImplemented, "DELETE statements"),
        ("CREATE TABLE d.x (a INT64)", exceptions.MethodNotImplemented, "CREATE statements"),
        ("SELECT * FROM `p.d.events_*`", exceptions.MethodNotImplemented, "wildcards"),
        ("SELECT * FROM d.INFORMATION_SCHEMA.TABLES", exceptions.MethodNotImplemented, "INFORMATION_SCHEMA"),
        ("SELECT INTERVAL 1 DAY AS i", exceptions.MethodNotImplemented, "INTERVAL"),
    ],
)
def test_a_statement_that_fails_or_is_not_offered_says_why(
    filled: Client, sql: str, error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        filled.query_and_wait(sql)
    with pytest.raises(error, match=complaint):
        filled.query(sql).result()


def test_a_failed_statement_has_the_reason_invalid_query(filled: Client) -> None:
    with pytest.raises(exceptions.BadRequest) as caught:
        filled.query_and_wait("SELECT nosuch FROM d.events")

    assert caught.value.errors[0]["reason"] == "invalidQuery"


@pytest.mark.parametrize("sql", ["SELECT * FROM read_text('/etc/hostname')", "SELECT getenv('PATH')"])
def test_no_statement_reaches_this_machine(filled: Client, sql: str) -> None:
    with pytest.raises((exceptions.BadRequest, exceptions.NotFound, exceptions.MethodNotImplemented)):
        filled.query_and_wait(sql)


def test_a_path_that_is_not_offered_is_refused_and_not_retried(filled: Client) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match=r"GET /bigquery/v2/projects/p/serviceAccount"):
        filled.get_service_account_email()


def test_it_starts_and_answers_with_no_home_to_write_to_and_no_extension_to_load(
    tmp_path: pathlib.Path,
) -> None:
    environment = {**os.environ, "HOME": "/nonexistent", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "meshlab.cloud.bigquery"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment, cwd=tmp_path, text=True
    ) as process:
        try:
            assert process.stdout is not None
            host = f"http://{process.stdout.readline().split()[1]}"
            with connect(host) as client:
                assert ask(client, "SELECT JSON_VALUE(JSON '{\"a\": \"b\"}', '$.a') AS a") == [{"a": "b"}]
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []


def test_the_rest_api_starts_without_sqlglot_and_grpc() -> None:
    code = (
        "import sys, meshlab.cloud.bigquery.app as a, meshlab.cloud.bigquery.backend as b\n"
        "a.create_app(b.Backend(float)); print('sqlglot' in sys.modules or 'grpc' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout == "False\n"
