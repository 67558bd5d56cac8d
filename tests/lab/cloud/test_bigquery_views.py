"""Views of the BigQuery fake, through the official client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import bigquery as client_library
from meshlab.cloud import bigquery

from tests.lab.cloud.bigquery_client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.bigquery import Client

Field = client_library.SchemaField
LATEST = """\
-- The latest row of each id.
SELECT *
FROM `p.d.events`
QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY n DESC) = 1"""


@pytest.fixture
def client() -> Iterator[Client]:
    with bigquery.running() as host, connect(host) as client:
        client.create_dataset("d")
        fields = [
            Field("id", "STRING", "REQUIRED"),
            Field("n", "INTEGER"),
            Field("tags", "STRING", "REPEATED"),
        ]
        client.create_table(client_library.Table("p.d.events", schema=fields))
        rows = [{"id": "a", "n": 1}, {"id": "a", "n": 2, "tags": ["x"]}, {"id": "b", "n": 3}]
        assert client.insert_rows_json("p.d.events", rows) == []
        yield client


def ask(client: Client, sql: str) -> list[dict[str, Any]]:
    return [dict(row) for row in client.query_and_wait(sql)]


def test_a_view_shows_what_its_query_gives_now_and_not_when_it_was_made(client: Client) -> None:
    client.query_and_wait(f"CREATE VIEW d.latest AS {LATEST}")
    assert ask(client, "SELECT id, n FROM d.latest ORDER BY id") == [{"id": "a", "n": 2}, {"id": "b", "n": 3}]

    client.insert_rows_json("p.d.events", [{"id": "b", "n": 4}])
    assert ask(client, "SELECT n FROM `p.d.latest` AS l WHERE l.id = 'b'") == [{"n": 4}]


def test_a_view_is_joined_filtered_and_shown_by_other_views_like_a_table(client: Client) -> None:
    client.query_and_wait(f"CREATE VIEW d.latest AS {LATEST}")
    client.query_and_wait(
        "CREATE VIEW d.tagged AS SELECT latest.id, tag FROM p.d.latest, UNNEST(tags) AS tag"
    )

    assert ask(client, "SELECT * FROM d.tagged") == [{"id": "a", "tag": "x"}]
    joined = "SELECT e.n, t.tag FROM d.events e JOIN d.tagged t USING (id) ORDER BY n"
    assert ask(client, joined) == [{"n": 1, "tag": "x"}, {"n": 2, "tag": "x"}]


def test_a_query_s_own_names_do_not_reach_into_a_view(client: Client) -> None:
    client.query_and_wait(
        "CREATE VIEW d.v AS WITH latest AS (SELECT MAX(n) AS n FROM d.events) SELECT n FROM latest"
    )

    assert ask(client, "WITH events AS (SELECT 7 AS n) SELECT v.n, events.n AS m FROM d.v, events") == [
        {"n": 3, "m": 7}
    ]


def test_names_in_a_view_are_of_the_project_that_it_is_in(client: Client) -> None:
    client.query_and_wait("CREATE VIEW d.v AS SELECT COUNT(*) AS n FROM d.events")

    with connect(client._connection.API_BASE_URL, project="elsewhere") as stranger:
        assert ask(stranger, "SELECT n FROM p.d.v") == [{"n": 3}]


def test_the_job_says_what_it_did(client: Client) -> None:
    def create(sql: str) -> client_library.QueryJob:
        job = client.query(sql)
        assert list(job.result()) == []
        return job

    created = create(f"CREATE OR REPLACE VIEW d.latest AS {LATEST}")
    replaced = create(f"CREATE OR REPLACE VIEW d.latest AS {LATEST}")

    assert (created.statement_type, created.ddl_operation_performed) == ("CREATE_VIEW", "CREATE")
    assert replaced.ddl_operation_performed == "REPLACE"
    assert str(replaced.ddl_target_table) == "p.d.latest"
    assert list(client.query_and_wait(f"CREATE OR REPLACE VIEW d.latest AS {LATEST}")) == []


def test_a_view_is_got_listed_and_deleted_like_a_table(client: Client) -> None:
    client.query_and_wait(f"CREATE VIEW d.latest OPTIONS (description = 'One a id') AS\n{LATEST};")
    view = client.get_table("p.d.latest")

    assert (view.table_type, view.view_query, view.view_use_legacy_sql) == ("VIEW", LATEST, False)
    assert view.description == "One a id"
    # Nothing in a view is required, whatever its table says.
    assert view.schema[0] == Field("id", "STRING", "NULLABLE")
    assert {table.table_id: table.table_type for table in client.list_tables("d")} == {
        "events": "TABLE",
        "latest": "VIEW",
    }

    client.delete_table("p.d.latest")
    assert [table.table_id for table in client.list_tables("d")] == ["events"]
    assert ask(client, "SELECT COUNT(*) AS n FROM d.events") == [{"n": 3}]


def test_a_view_has_no_rows_to_list_or_to_add(client: Client) -> None:
    client.query_and_wait(f"CREATE VIEW d.latest AS {LATEST}")

    with pytest.raises(exceptions.BadRequest, match="Cannot list a table of type VIEW"):
        list(client.list_rows("p.d.latest", selected_fields=[Field("id", "STRING")]))
    with pytest.raises(exceptions.BadRequest, match="Cannot add rows to a table of type VIEW"):
        client.insert_rows_json("p.d.latest", [{"id": "c"}])


def test_a_view_outlives_its_table_and_finds_it_again(client: Client) -> None:
    client.query_and_wait(f"CREATE VIEW d.latest AS {LATEST}")
    table = client.get_table("p.d.events")
    client.delete_table(table)

    with pytest.raises(exceptions.NotFound, match=r"Table p:d\.events"):
        client.query_and_wait("SELECT 1 FROM d.latest")
    client.create_table(table)
    assert ask(client, "SELECT * FROM d.latest") == []


@pytest.mark.parametrize(
    ("sql", "error", "complaint"),
    [
        ("CREATE VIEW d.v AS SELECT 1 AS x", exceptions.Conflict, r"Already Exists: Table p:d\.v"),
        (
            "CREATE OR REPLACE VIEW d.events AS SELECT 1 AS x",
            exceptions.BadRequest,
            r"p:d\.events is not allowed for this operation because it is currently a TABLE",
        ),
        ("CREATE VIEW none.v AS SELECT 1 AS x", exceptions.NotFound, "Dataset p:none"),
        ("CREATE VIEW w AS SELECT 1 AS x", exceptions.BadRequest, "must be qualified with a dataset"),
        ("CREATE VIEW d.w AS SELECT * FROM d.none", exceptions.NotFound, r"Table p:d\.none"),
        (
            "CREATE VIEW d.w AS SELECT nosuch FROM d.events",
            exceptions.BadRequest,
            "Unrecognized name: nosuch",
        ),
        ("CREATE VIEW d.w AS SELECT 1 AS x, 2", exceptions.BadRequest, "column 2 has no name"),
        ("CREATE VIEW d.w AS SELECT n, n FROM d.events", exceptions.BadRequest, "Duplicate column names"),
        ("CREATE OR REPLACE VIEW d.v AS SELECT * FROM d.v", exceptions.BadRequest, "cannot refer to itself"),
        (
            "CREATE OR REPLACE VIEW d.v AS SELECT * FROM d.over_v",
            exceptions.BadRequest,
            "cannot refer to itself",
        ),
        (
            "CREATE VIEW d.w AS SELECT @x AS x",
            exceptions.BadRequest,
            "parameters cannot be used in the body of a view",
        ),
        ("CREATE VIEW d.w (x) AS SELECT 1", exceptions.MethodNotImplemented, "list of columns"),
        ("CREATE VIEW IF NOT EXISTS d.w AS SELECT 1 AS x", exceptions.MethodNotImplemented, "IF NOT EXISTS"),
        (
            "CREATE MATERIALIZED VIEW d.w AS SELECT 1 AS x",
            exceptions.MethodNotImplemented,
            "MATERIALIZED of a view",
        ),
        (
            "CREATE VIEW d.w OPTIONS (friendly_name = 'x') AS SELECT 1 AS x",
            exceptions.MethodNotImplemented,
            "friendly_name of a view",
        ),
        ("DROP VIEW d.v", exceptions.MethodNotImplemented, "DROP statements"),
        (
            "SELECT * FROM d.v TABLESAMPLE SYSTEM (10 PERCENT)",
            exceptions.MethodNotImplemented,
            "sample of a view",
        ),
    ],
)
def test_what_is_wrong_or_not_offered_is_refused_by_name(
    client: Client, sql: str, error: type[Exception], complaint: str
) -> None:
    client.query_and_wait("CREATE VIEW d.v AS SELECT n FROM d.events")
    client.query_and_wait("CREATE VIEW d.over_v AS SELECT n FROM d.v")

    with pytest.raises(error, match=complaint):
        client.query_and_wait(sql)
    assert [table.table_id for table in client.list_tables("d")] == ["events", "over_v", "v"]


def test_a_view_cannot_be_made_by_the_call_that_makes_tables(client: Client) -> None:
    table = client_library.Table("p.d.v")
    table.view_query = "SELECT 1 AS x"

    with pytest.raises(exceptions.MethodNotImplemented, match="view of a table"):
        client.create_table(table)


def test_views_nested_deeper_than_the_service_allows_are_refused(client: Client) -> None:
    client.query_and_wait("CREATE VIEW d.v1 AS SELECT n FROM d.events")
    for number in range(2, 17):
        client.query_and_wait(f"CREATE VIEW d.v{number} AS SELECT n FROM d.v{number - 1}")

    assert len(ask(client, "SELECT n FROM d.v16")) == 3
    with pytest.raises(exceptions.BadRequest, match="nested more than 16 levels deep"):
        client.query_and_wait("CREATE VIEW d.v17 AS SELECT n FROM d.v16")
