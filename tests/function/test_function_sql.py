"""Queries of function/sql, each run through the official client."""

import argparse
import base64
import datetime
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from enrichment import dead_letter
from enrichment.commands import sql
from enrichment.errors import BadEventError, Stage
from enrichment.event import message
from enrichment.telemetry.trace import Trace
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as client_library
from google.cloud.bigquery import Client
from meshlab.cloud import bigquery
from sqlglot import exp

from tests.shipped_table import shipped_table

FUNCTION = Path(__file__).parents[2] / "function"
UTC = datetime.UTC
TABLE = "acme-mesh.enrichment.user_events"
VIEW = f"{TABLE}_deduplicated"
DEAD_LETTERS = f"{TABLE}_dead_letters"
TABLES = {"table": TABLE, "view": VIEW, "dead_letters": DEAD_LETTERS}
# BigQuery remembers an insertId for about a minute.
INSERT_ID_FORGOTTEN_S = 3600.0


def at(text: str) -> datetime.datetime:
    """A time of 20 November 2026, or of the day that is given before it."""
    day, _, clock = text.rpartition(" ")
    return datetime.datetime.fromisoformat(f"2026-11-{day or '20'}T{clock}").replace(tzinfo=UTC)


@dataclass
class Warehouse:
    """BigQuery's fake with the function's tables, and its clock."""

    client: Client
    clock: list[float]

    def write(self, event_id: str, published: str, enriched: str, **columns: object) -> None:
        """Adds a row as the function does, its insertId long forgotten by the next."""
        row = {
            "event_id": event_id,
            "user_id": "u-1",
            "type": "signup",
            "occurred_at": at(published).isoformat(),
            "event": "{}",
            "message_id": "1",
            "publish_time": at(published).isoformat(),
            "enriched_at": at(enriched).isoformat(),
            "trace_id": "0" * 32,
            **columns,
        }
        assert self.client.insert_rows_json(TABLE, [row], row_ids=[event_id]) == []
        self.clock[0] += INSERT_ID_FORGOTTEN_S

    def file(self, dead_letter_id: str, published: str, composed: dead_letter.DeadLetter) -> None:
        """Adds a row as a BigQuery subscription that writes metadata does."""
        row = {
            "subscription_name": "projects/acme-mesh/subscriptions/dead-letters-to-bigquery",
            "message_id": dead_letter_id,
            "publish_time": at(published).isoformat(),
            "data": base64.b64encode(composed.data).decode(),
            "attributes": json.dumps(composed.attributes),
        }
        assert self.client.insert_rows_json(DEAD_LETTERS, [row]) == []

    def ask(self, name: str, since: str | None = None, until: str | None = None) -> list[dict[str, Any]]:
        """Runs a query of function/sql."""
        text = sql.render(name, TABLES, at(since) if since else None, at(until) if until else None)
        return [dict(row) for row in self.client.query_and_wait(text)]

    def select(self, text: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.client.query_and_wait(text)]


@pytest.fixture(scope="module")
def shared() -> Iterator[Warehouse]:
    clock = [at("00:00").timestamp()]  # a partition too far from the clock takes no row
    with bigquery.running(now_s=lambda: clock[0]) as host:
        options = {"api_endpoint": host}
        credentials = AnonymousCredentials()
        with client_library.Client("acme-mesh", credentials, client_options=options) as client:
            client.create_dataset("enrichment")
            yield Warehouse(client, clock)


@pytest.fixture
def warehouse(shared: Warehouse) -> Warehouse:
    """The tables, empty."""
    for name in TABLES.values():
        shared.client.delete_table(name, not_found_ok=True)
    shared.client.create_table(shipped_table(TABLE))
    dead_letters = client_library.Table(
        DEAD_LETTERS, shared.client.schema_from_json(FUNCTION / "sql" / "dead_letters_table.json")
    )
    dead_letters.time_partitioning = client_library.TimePartitioning(field="publish_time")
    shared.client.create_table(dead_letters)
    return shared


def bad(message_id: str, reason: str, stage: Stage, version: str = "r-1") -> dead_letter.DeadLetter:
    """A dead letter as the function composes it; without a message id, of a delivery that had none."""
    original = message.unreadable(b"\xff secret")
    if message_id:
        attributes = {"origin": "test"}
        original = message.of_parts(b"\xff secret", attributes, message_id, "2026-11-19T00:00:00Z", "")
    trace = Trace("1" * 32, f"00-{'1' * 32}-{'2' * 16}-01")
    return dead_letter.compose(original, BadEventError(stage, reason, "why"), trace, version)


# --- two events of one id ---


def test_a_conflict_is_an_id_with_two_contents_and_no_redelivery(warehouse: Warehouse) -> None:
    warehouse.write("e-1", "10:00", "10:05", event='{"n": 1}')
    warehouse.write("e-1", "10:01", "10:06", event='{"n": 2}')
    warehouse.write("e-2", "10:00", "10:05", event='{"n": 1}')
    warehouse.write("e-2", "10:00", "10:09", event='{"n": 1}')
    (conflict,) = warehouse.ask("identity_conflicts", "19 10:00", "20 11:00")
    assert conflict == {
        "event_id": "e-1",
        "written": 2,
        "contents": 2,
        "oldest": at("10:00"),
        "newest": at("10:01"),
    }


def test_the_view_shows_the_event_that_was_published_last_where_the_pipeline_says_so(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    pipeline = tmp_path / "pipeline.toml"
    shipped = (FUNCTION / "pipeline.toml").read_text()
    pipeline.write_text(shipped.replace('on_conflict = "dead-letter"', 'on_conflict = "last-wins"', 1))
    warehouse.write("e-1", "10:00", "10:05", event='{"n": 1}')
    warehouse.write("e-1", "10:09", "10:10", event='{"n": 2}')
    warehouse.write("e-1", "10:00", "10:20", event='{"n": 1}')  # the first one, delivered again
    warehouse.select(sql.render("deduplicated_view", TABLES, pipeline=pipeline))
    (row,) = warehouse.select(f"SELECT event FROM `{VIEW}`")
    assert row["event"] == {"n": 2}


def test_rows_are_distinguished_by_the_column_of_row_id_where_there_is_one(tmp_path: Path) -> None:
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text(
        '[event]\nid = ["cloudevent.source", "cloudevent.id"]\n[columns]\n'
        'k = "row.id"\na = "event.a"\nat = "now"\np = "message.publish_time"\n'
    )
    view = sql.render("deduplicated_view", TABLES, pipeline=pipeline)
    assert "PARTITION BY `k`" in view
    assert "ORDER BY `at`, `p`" in view
    conflicts = sql.render("identity_conflicts", TABLES, pipeline=pipeline)
    assert "TO_JSON_STRING(STRUCT(`a`))" in conflicts


def test_a_query_may_be_of_one_of_several_tables(tmp_path: Path) -> None:
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text(
        '[event]\nid = "event.id"\n[[tables]]\nname = "orders"\n[tables.columns]\nk = "row.id"\nat = "now"\n'
    )
    assert "PARTITION BY `k`" in sql.render("deduplicated_view", TABLES, pipeline=pipeline, of="orders")
    with pytest.raises(sql.SqlError, match=r"it has orders"):
        sql.render("deduplicated_view", TABLES, pipeline=pipeline, of="order")


# --- one row an event ---


def test_the_view_shows_one_row_an_event_and_the_one_that_was_written_first(warehouse: Warehouse) -> None:
    warehouse.write("e-1", "10:00", "10:05", profile='{"plan": "first"}')
    warehouse.write("e-1", "10:00", "10:09", profile='{"plan": "later"}')
    warehouse.write("e-2", "10:00", "10:01")
    warehouse.ask("deduplicated_view")

    shown = warehouse.select(
        f"SELECT event_id, JSON_VALUE(profile, '$.plan') AS plan FROM `{VIEW}` ORDER BY event_id"
    )

    assert warehouse.select(f"SELECT COUNT(*) AS n FROM `{TABLE}`") == [{"n": 3}]
    assert shown == [{"event_id": "e-1", "plan": "first"}, {"event_id": "e-2", "plan": None}]


def test_a_row_that_the_view_has_shown_stays_whatever_comes_later(warehouse: Warehouse) -> None:
    warehouse.ask("deduplicated_view")
    warehouse.write("e-1", "10:00", "10:05", message_id="9")
    # Sent before, but enriched after it.
    warehouse.write("e-1", "09:00", "10:06", message_id="1")

    assert warehouse.select(f"SELECT message_id FROM `{VIEW}`") == [{"message_id": "9"}]


@pytest.mark.parametrize("order", [("1", "2"), ("2", "1")], ids=["written-1-2", "written-2-1"])
def test_rows_of_the_same_microsecond_are_ordered_the_same_way_always(
    warehouse: Warehouse, order: tuple[str, str]
) -> None:
    warehouse.ask("deduplicated_view")
    for message_id in order:
        warehouse.write("e-1", "10:00", "10:05", message_id=message_id)

    assert warehouse.select(f"SELECT message_id FROM `{VIEW}`") == [{"message_id": "1"}]


def test_the_view_shows_every_column_of_the_table(warehouse: Warehouse) -> None:
    warehouse.ask("deduplicated_view")

    view, table = warehouse.client.get_table(VIEW), warehouse.client.get_table(TABLE)
    assert view.table_type == "VIEW"
    assert [(item.name, item.field_type) for item in view.schema] == [
        (item.name, item.field_type) for item in table.schema
    ]
    assert view.description is not None


def test_making_the_view_again_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.write("e-1", "10:00", "10:05")
    warehouse.ask("deduplicated_view")
    warehouse.ask("deduplicated_view")

    assert warehouse.select(f"SELECT event_id FROM `{VIEW}`") == [{"event_id": "e-1"}]


def test_the_rows_of_some_days_are_those_that_the_view_shows_of_them(warehouse: Warehouse) -> None:
    warehouse.write("before", "18 23:59", "18 23:59")
    warehouse.write("in", "19 00:00", "19 00:01")
    warehouse.write("in", "19 00:00", "19 05:00")
    # Sent on both sides of midnight; the one that came second was enriched first.
    warehouse.write("across", "18 23:59", "19 03:00")
    warehouse.write("across", "19 00:01", "19 00:02")
    warehouse.write("on", "19 23:59", "20 00:10")
    warehouse.write("on", "20 00:01", "20 00:02")
    warehouse.write("after", "20 00:00", "20 00:01")
    warehouse.ask("deduplicated_view")

    days = [("18 00:00", "19 00:00"), ("19 00:00", "20 00:00"), ("20 00:00", "21 00:00")]
    for since, until in days:
        of_the_view = warehouse.select(
            f"SELECT * FROM `{VIEW}` WHERE publish_time >= '{at(since)}' AND publish_time < '{at(until)}'"
        )
        rows = warehouse.ask("deduplicated_rows", since, until)
        assert sorted(rows, key=lambda row: row["event_id"]) == sorted(
            of_the_view, key=lambda row: row["event_id"]
        )
    shown = [row["event_id"] for day in days for row in warehouse.ask("deduplicated_rows", *day)]
    assert sorted(shown) == ["across", "after", "before", "in", "on"]


# --- how far behind ---


def test_freshness_tells_rows_events_and_lags_by_the_hour_and_in_all(warehouse: Warehouse) -> None:
    for number in range(60):
        second = f"{number:02}"
        warehouse.write(f"e-{number}", f"10:30:{second}", f"10:30:{second}.250")
    warehouse.write("slow", "10:59:00", "11:29:00")
    warehouse.write("slow", "10:59:00", "11:39:00")
    warehouse.write("next", "11:00:00", "11:00:01")
    warehouse.write("another day", "19 11:00:00", "19 11:00:01")

    whole, eleven, ten = warehouse.ask("freshness", "10:00:00", "11:30:00")

    assert (whole["hour"], eleven["hour"], ten["hour"]) == (None, at("11:00"), at("10:00"))
    assert [(line["written"], line["events"]) for line in (whole, eleven, ten)] == [
        (63, 62),
        (1, 1),
        (62, 61),
    ]
    # 90 minutes, the half of an hour, an hour.
    assert [line["written_per_minute"] for line in (whole, eleven, ten)] == [0.7, 0.0, 1.0]
    assert (ten["lag_p50_s"], ten["lag_p90_s"], ten["lag_max_s"]) == (0.25, 0.25, 2400.0)
    assert eleven["lag_p50_s"] == eleven["lag_p99_s"] == eleven["lag_max_s"] == 1.0
    assert whole["newest_publish_time"] == at("11:00:00")
    assert whole["newest_enriched_at"] == at("11:39:00")
    assert (whole["behind_s"], ten["behind_s"]) == (1800, 1860)


def test_freshness_looks_at_the_last_day_unless_asked_otherwise(warehouse: Warehouse) -> None:
    now = datetime.datetime.now(UTC)
    for name, hours in (("old", 25), ("new", 1)):
        published = (now - datetime.timedelta(hours=hours)).isoformat()
        warehouse.write(name, "10:00", "10:00", publish_time=published, enriched_at=published)

    assert [line["written"] for line in warehouse.ask("freshness")] == [1, 1]


# --- the columns of one's own pipeline ---


def test_the_columns_are_those_that_the_pipeline_fills(warehouse: Warehouse, tmp_path: Path) -> None:
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text(
        """
        [event]
        id = ["event.shop", "event.order"]
        [columns]
        shop_id = "event.shop"
        order_id = { from = "event.order", default = "" }
        published = "message.publish_time"
        built = "now"
        """
    )
    fields = [client_library.SchemaField(name, "STRING") for name in ("shop_id", "order_id")]
    fields += [client_library.SchemaField(name, "TIMESTAMP") for name in ("published", "built")]
    warehouse.client.delete_table(TABLE)
    warehouse.client.create_table(client_library.Table(TABLE, fields))
    for number, (shop, order, built) in enumerate((("a", "1", 5), ("a", "1", 9), ("b", "1", 7))):
        columns = {"published": at("10:00").isoformat(), "built": at(f"10:0{built}").isoformat()}
        row = {"shop_id": shop, "order_id": order, **columns}
        assert warehouse.client.insert_rows_json(TABLE, [row], row_ids=[str(number)]) == []

    warehouse.client.query_and_wait(sql.render("deduplicated_view", TABLES, pipeline=pipeline))
    shown = warehouse.select(f"SELECT shop_id, built FROM `{VIEW}` ORDER BY shop_id")
    assert shown == [{"shop_id": "a", "built": at("10:05")}, {"shop_id": "b", "built": at("10:07")}]
    whole, *_ = warehouse.select(sql.render("freshness", TABLES, at("09:00"), at("12:00"), pipeline))
    assert (whole["written"], whole["events"]) == (3, 2)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ('built = "now"', r'fills no column with event.id: add COLUMN = "event.id" to \[columns\]'),
        ('id = "event.id"', "fills no column with now"),
        ('"a`b" = "event.id"', "is no name of a column"),
        ("[", "is not TOML"),
    ],
)
def test_what_no_column_holds_is_named(tmp_path: Path, columns: str, said: str) -> None:
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text(f'[event]\nid = "event.id"\n[columns]\n{columns}')
    with pytest.raises(sql.SqlError, match=said):
        sql.render("deduplicated_view", TABLES, pipeline=pipeline)
    assert "another file with --pipeline" in printed("freshness", "--pipeline=none.toml").stderr


# --- dead letters ---


def test_the_report_counts_dead_letters_and_messages_by_day_reason_stage_and_version(
    warehouse: Warehouse,
) -> None:
    warehouse.file("l-1", "09:00", bad("m-1", "profile_not_found", Stage.LOOKUP))
    warehouse.file("l-2", "12:00", bad("m-2", "profile_not_found", Stage.LOOKUP))
    warehouse.file("l-3", "13:00", bad("m-2", "profile_not_found", Stage.LOOKUP))
    warehouse.file("l-4", "10:00", bad("m-3", "json_invalid", Stage.DECODE))
    warehouse.file("l-5", "19 10:00", bad("m-4", "profile_not_found", Stage.LOOKUP, version="r-0"))
    warehouse.file("l-6", "17 10:00", bad("m-5", "profile_not_found", Stage.LOOKUP))

    assert warehouse.ask("dead_letter_report", "18 00:00", "21 00:00") == [
        {
            "day": datetime.date(2026, 11, 20),
            "reason": "profile_not_found",
            "stage": "lookup",
            "version": "r-1",
            "dead_letters": 3,
            "messages": 2,
            "oldest": at("09:00"),
            "newest": at("13:00"),
            "sample_message_ids": ["m-1", "m-2"],
        },
        {
            "day": datetime.date(2026, 11, 20),
            "reason": "json_invalid",
            "stage": "decode",
            "version": "r-1",
            "dead_letters": 1,
            "messages": 1,
            "oldest": at("10:00"),
            "newest": at("10:00"),
            "sample_message_ids": ["m-3"],
        },
        {
            "day": datetime.date(2026, 11, 19),
            "reason": "profile_not_found",
            "stage": "lookup",
            "version": "r-0",
            "dead_letters": 1,
            "messages": 1,
            "oldest": at("19 10:00"),
            "newest": at("19 10:00"),
            "sample_message_ids": ["m-4"],
        },
    ]


def test_a_dead_letter_that_the_subscription_wrote_twice_is_one(warehouse: Warehouse) -> None:
    for _ in range(2):
        warehouse.file("l-1", "09:00", bad("m-1", "json_invalid", Stage.DECODE))

    (line,) = warehouse.ask("dead_letter_report", "00:00", "23:00")
    assert (line["dead_letters"], line["messages"]) == (1, 1)


def test_at_most_three_messages_are_named(warehouse: Warehouse) -> None:
    for number in range(5):
        warehouse.file(f"l-{number}", "09:00", bad(f"m-{number}", "json_invalid", Stage.DECODE))

    (line,) = warehouse.ask("dead_letter_report", "00:00", "23:00")
    assert (line["messages"], line["sample_message_ids"]) == (5, ["m-0", "m-1", "m-2"])


def test_a_delivery_without_a_message_and_a_stranger_s_message_are_counted_too(warehouse: Warehouse) -> None:
    warehouse.file("l-1", "09:00", bad("", "envelope_invalid", Stage.DECODE))
    warehouse.file("l-2", "09:00", dead_letter.DeadLetter(b"?", {"origin": "elsewhere"}, ""))

    lines = warehouse.ask("dead_letter_report", "00:00", "23:00")
    assert [(line["reason"], line["stage"], line["sample_message_ids"]) for line in lines] == [
        (None, None, ["l-2"]),
        ("envelope_invalid", "decode", ["l-1"]),
    ]


def test_the_report_never_reads_the_payload() -> None:
    statement = sqlglot.parse_one(sql.render("dead_letter_report", TABLES), read="bigquery")

    assert "data" not in {column.name for column in statement.find_all(exp.Column)}
    assert not statement.find(exp.Star, bfs=False) or all(
        isinstance(star.parent, exp.Count) for star in statement.find_all(exp.Star)
    )


# --- as the command prints them ---


def printed(*arguments: str, table: str = TABLE) -> subprocess.CompletedProcess[str]:
    code = (
        "import argparse, sys\nfrom enrichment.commands import sql\n"
        "parser = argparse.ArgumentParser(); sql.add_arguments(parser); sys.exit(sql.run(parser.parse_args()))"
    )
    environment = {**os.environ, "BIGQUERY_TABLE": table}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_every_file_is_a_statement_of_the_command_and_of_googlesql() -> None:
    assert {file.stem for file in sql.FOLDER.glob("*.sql")} == set(sql.STATEMENTS)
    for name in sql.STATEMENTS:
        (statement,) = sqlglot.parse(sql.render(name, TABLES), read="bigquery")
        assert isinstance(statement, exp.Query | exp.Create)
        assert not list(statement.find_all(exp.Parameter, exp.Placeholder))


def test_the_page_explains_every_statement_and_every_column_of_its_answer(warehouse: Warehouse) -> None:
    page = (FUNCTION.parent / "docs" / "queries.md").read_text()

    assert set(sql.STATEMENTS) <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    for name in ("freshness", "dead_letter_report"):
        columns = warehouse.client.query_and_wait(sql.render(name, TABLES)).schema
        assert [column.name for column in columns if f"`{column.name}`" not in page] == []


@pytest.mark.parametrize("name", sorted(sql.STATEMENTS))
def test_every_statement_asks_for_its_times_and_for_no_others(name: str) -> None:
    text = (sql.FOLDER / f"{name}.sql").read_text()

    assert ("@since" in text) == ("@until" in text) == bool(sql.STATEMENTS[name].days)


@pytest.mark.parametrize("name", [name for name, statement in sql.STATEMENTS.items() if statement.days])
def test_a_query_reads_some_days_of_its_table_and_not_all(name: str) -> None:
    """Both bounds stand beside the partitioning column itself, where the service prunes by them."""
    statement = sqlglot.parse_one(sql.render(name, TABLES), read="bigquery")

    (table,) = [found for found in statement.find_all(exp.Table) if found.db]
    where = table.find_ancestor(exp.Select).args["where"]  # type: ignore[union-attr]
    bounds = {(type(bound), bound.this.name) for bound in where.find_all(exp.GTE, exp.LT)}
    assert bounds == {(exp.GTE, "publish_time"), (exp.LT, "publish_time")}


def test_the_names_follow_the_function_s_table_unless_others_are_given() -> None:
    made = printed("deduplicated_view").stdout
    assert f"CREATE OR REPLACE VIEW `{VIEW}`" in made
    assert f"FROM `{TABLE}`" in made
    assert f"FROM `{DEAD_LETTERS}`" in printed("dead_letter_report").stdout

    other = printed("deduplicated_view", "--table=acme-mesh.a.b", "--view=other-one.c.d", table="").stdout
    assert "CREATE OR REPLACE VIEW `other-one.c.d`" in other
    assert "FROM `acme-mesh.a.b`" in other
    dead_letters = printed("dead_letter_report", "--dead-letters=example.com:acme-mesh.a.b c-d", table="")
    assert "FROM `example.com:acme-mesh.a.b c-d`" in dead_letters.stdout, dead_letters.stderr


def test_what_is_printed_is_what_runs(warehouse: Warehouse) -> None:
    warehouse.write("e-1", "10:00", "10:00:01")
    done = printed("freshness", "--since=2026-11-20", "--until=2026-11-20T12:00:00+01:00")

    whole, _ = warehouse.select(done.stdout)
    assert whole["behind_s"] == 3600


@pytest.mark.parametrize(
    "name",
    [
        "events",
        "enrichment.events",
        "acme-mesh.enrichment.events`; DROP TABLE x; --",
        "acme-mesh.enrichment.`events`",
        "acme-mesh.enrichment.events\n",
        "acme-mesh.enrichment.events\\",
        "acme-mesh.enrichment.events.x",
        "ACME-mesh.enrichment.events",
        "acme-mesh.en-richment.events",
        "acme-mesh.enrichment.{view}",
    ],
    ids=lambda name: ascii(name),
)
@pytest.mark.parametrize("flag", ["--table", "--view"])
def test_a_name_that_is_none_is_refused_and_nothing_is_printed(
    capsys: pytest.CaptureFixture[str], flag: str, name: str
) -> None:
    parser = argparse.ArgumentParser()
    sql.add_arguments(parser)
    options = parser.parse_args(["deduplicated_view", f"--table={TABLE}", f"--view={VIEW}", f"{flag}={name}"])

    assert sql.run(options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{flag} must read project.dataset.table" in captured.err


def test_without_a_table_the_command_says_where_it_may_come_from() -> None:
    done = printed("dead_letter_report", table="")

    assert (done.returncode, done.stdout) == (2, "")
    assert "give --dead-letters, or set BIGQUERY_TABLE" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["freshness", "--since=yesterday"], "neither a date nor an RFC 3339 time"),
        (["freshness", "--since=2026-11-20T10:00:00"], "needs an offset, such as Z"),
        (["freshness", "--since=2026-11-20", "--until=2026-11-20"], "--since must be before --until"),
        (["deduplicated_view", "--since=2026-11-20"], "unrecognized arguments: --since=2026-11-20"),
        (["nothing"], "invalid choice: 'nothing'"),
    ],
    ids=["no time", "no offset", "no span", "no times in it", "no such query"],
)
def test_wrong_usage_is_refused(arguments: list[str], complaint: str) -> None:
    done = printed(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr


def test_where_the_queries_are_not_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sql, "FOLDER", tmp_path)

    with pytest.raises(sql.SqlError, match="run this in a checkout"):
        sql.render("freshness", TABLES)


def test_the_dead_letters_table_takes_every_byte_that_a_dead_letter_may_hold() -> None:
    """A data column of STRING or JSON would leave a dead letter that is neither in the subscription for ever."""
    fields = {
        item["name"]: item["type"]
        for item in json.loads((sql.FOLDER / "dead_letters_table.json").read_text())
    }

    # https://cloud.google.com/pubsub/docs/bigquery#write_message_metadata
    assert fields == {
        "subscription_name": "STRING",
        "message_id": "STRING",
        "publish_time": "TIMESTAMP",
        "data": "BYTES",
        "attributes": "JSON",
    }
