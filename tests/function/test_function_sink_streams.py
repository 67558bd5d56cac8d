"""Streams of the Storage Write API against the lab's BigQuery: what Google's client reads in the table afterwards."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshpass
import pytest
from enrichment.errors import Disposition, TransientError
from enrichment.row import Row
from enrichment.row.column_values import convert
from enrichment.settings import table_file
from enrichment.settings.model import BatchLimits, TableField, WriteStreamKind
from enrichment.sink.storage_write.client import StorageWriteClient
from enrichment.sink.storage_write.pending import PendingRows
from google.cloud import bigquery
from meshlab.cloud.bigquery.control import order_faults, stats
from meshlab.cloud.bigquery.faults import Faults

from .conftest import FUNCTION, PROJECT, Tables, running
from .writing import WRITTEN, Tokens, Writing, ours, row

if TYPE_CHECKING:
    from enrichment.row.conversions import Json

COLUMNS = FUNCTION / "enrichment" / "table.json"
FIELDS = list((table_file.read(COLUMNS, []) or {}).values())


@contextmanager
def own_table(
    tables: Tables, name: str, fields: Sequence[Any] = (), key: Sequence[str] = ()
) -> Iterator[str]:
    """A table of this test's own."""
    full = f"{PROJECT}.events.{name}"
    constraints = {"tableConstraints": {"primaryKey": {"columns": list(key)}}} if key else {}
    tables.client.create_table(
        bigquery.Table.from_api_repr(
            {
                "schema": {"fields": list(fields) or json.loads(COLUMNS.read_text())},
                "tableReference": {"projectId": PROJECT, "datasetId": "events", "tableId": name},
                **constraints,
            }
        )
    )
    yield full
    tables.client.delete_table(full)


def appends(
    tables: Tables, table: str, kind: WriteStreamKind, fields: Sequence[TableField] = FIELDS
) -> Writing:
    client = StorageWriteClient({table: fields}, kind, tables.write, Tokens())
    return Writing(client, table, BatchLimits(max_rows=10))


def counted(tables: Tables, table: str) -> Counter[str]:
    return Counter(found["event_id"] for found in tables.client.list_rows(table))


@pytest.mark.parametrize("kind", [WriteStreamKind.DEFAULT, WriteStreamKind.COMMITTED])
def test_answers_that_are_lost_and_connections_that_break_lose_no_row(
    tables: Tables, kind: WriteStreamKind
) -> None:
    """What is in the table twice is one row to the view, which takes one of each event_id."""
    names = [f"e-{number}" for number in range(300)]
    with own_table(tables, f"chaos_{kind}") as table, closing(appends(tables, table, kind)) as writing:
        order_faults(
            tables.host, Faults(lost_answer_share=0.2, aborted_share=0.2, partial_share=0.1, seed=13)
        )
        try:
            left = names
            for _ in range(20):  # as Pub/Sub delivers again
                ends = writing.ends(*map(row, left))
                left = [name for name, end in zip(left, ends, strict=True) if end != WRITTEN]
                if not left:
                    break
        finally:
            order_faults(tables.host, Faults())
        found = counted(tables, table)
    assert left == []
    assert set(found) == set(names)
    doubled = sum(found.values()) - len(found)
    assert doubled == 0 if kind is WriteStreamKind.COMMITTED else doubled > 0


def test_an_upsert_replaces_the_row_of_its_primary_key(tables: Tables) -> None:
    with (
        own_table(tables, "upserts", key=["event_id"]) as table,
        closing(appends(tables, table, WriteStreamKind.CDC)) as writing,
    ):
        assert writing.ends(row("a", type="first"), row("b", type="first")) == [WRITTEN] * 2
        assert writing.ends(row("a", type="second")) == [WRITTEN]
        found = {entry["event_id"]: entry["type"] for entry in tables.client.list_rows(table)}
        assert counted(tables, table) == {"a": 1, "b": 1}
    assert found == {"a": "second", "b": "first"}


def test_upserts_into_a_table_without_a_primary_key_are_our_fault(tables: Tables) -> None:
    with (
        own_table(tables, "no_key") as table,
        closing(appends(tables, table, WriteStreamKind.CDC)) as writing,
    ):
        assert writing.ends(row("a")) == [(Disposition.FAULT, "bigquery_primary_key_missing")]


TYPES: dict[str, tuple[str, Any]] = {
    "text": ("STRING", "Zoë"),
    "whole": ("INTEGER", -(2**63)),
    "real": ("FLOAT", 1.5),
    "exact": ("NUMERIC", "-12.000000001"),
    "yes": ("BOOLEAN", True),
    "at": ("TIMESTAMP", "1969-12-31T23:59:59.999999Z"),
    "day": ("DATE", "0001-01-01"),
    "civil": ("DATETIME", "2026-03-01 12:00:00.5"),
    "clock": ("TIME", "12:00:00.000001"),
    "raw": ("BYTES", "AP8="),
    "document": ("JSON", {"é": [1, None]}),
}


def test_a_row_is_the_same_in_the_table_by_append_and_by_insert_all(tables: Tables) -> None:
    plain = [{"name": name, "type": kind} for name, (kind, _) in TYPES.items()]
    listed = [{**field, "name": f"{field['name']}_list", "mode": "REPEATED"} for field in plain]
    nested = {"name": "nested", "type": "RECORD", "mode": "REPEATED", "fields": plain}
    schema = [{"name": "event_id", "type": "STRING", "mode": "REQUIRED"}, *plain, *listed, nested]
    fields = {name: TableField(name, kind) for name, (kind, _) in TYPES.items()}
    record = TableField("nested", "RECORD", repeated=True, fields=tuple(fields.values()))
    lists = [TableField(f"{name}_list", kind, repeated=True) for name, (kind, _) in TYPES.items()]
    values = {
        **{name: convert(fields[name], value) for name, (_, value) in TYPES.items()},
        **{one.name: convert(one, [TYPES[one.name.removesuffix("_list")][1]] * 2) for one in lists},
        "nested": convert(record, [{name: value for name, (_, value) in TYPES.items()}] * 2),
    }
    with own_table(tables, "types", schema) as table:
        written = [TableField("event_id", "STRING", required=True), *fields.values(), *lists, record]
        by_append = StorageWriteClient({table: written}, WriteStreamKind.DEFAULT, tables.write, Tokens())
        for number, writer in enumerate((ours(), by_append)):
            name = f"e-{number}"
            full: dict[str, Json] = {"event_id": name, **values}
            empty: dict[str, Json] = {"event_id": f"{name}-empty"}
            with closing(Writing(writer, table)) as writing:
                ends = writing.ends(Row(name, full, 1_000), Row(f"{name}-empty", empty, 100))
                assert ends == [WRITTEN] * 2
        rows = {found["event_id"]: dict(found) for found in tables.client.list_rows(table)}
    for end in ("", "-empty"):
        inserted, appended = rows[f"e-0{end}"], rows[f"e-1{end}"]
        del inserted["event_id"], appended["event_id"]
        assert inserted == appended
    assert rows["e-0"]["raw"] == b"\x00\xff"


@pytest.mark.parametrize("writer", ["storage-write", "google-client"])
def test_the_function_writes_by_the_writer_that_is_chosen(
    environment: dict[str, str], tables: Tables, event: dict[str, Any], tmp_path: Path, writer: str
) -> None:
    chosen = {"BIGQUERY_WRITER": writer, "BIGQUERY_WRITE_EMULATOR_HOST": tables.write}
    appends_before = stats(tables.host).appends
    with running(environment | chosen, tmp_path / "output") as function:
        assert function.deliver(event) == 200
    assert len(tables.rows(event["event_id"])) == 1
    assert stats(tables.host).appends - appends_before == (1 if writer == "storage-write" else 0)


def test_rows_of_a_pending_stream_are_there_together_or_not_at_all(tables: Tables) -> None:
    deadline = meshpass.Deadline.after(20)
    with own_table(tables, "pending") as table:
        batch = PendingRows(table, FIELDS, tables.write, Tokens())
        with closing(Writing(batch, table)) as writing:
            assert writing.runner.run(batch.append([row("a"), row("b")], deadline)) == ()
            assert writing.runner.run(batch.append([row("c")], deadline)) == ()
            assert counted(tables, table) == {}
            assert writing.runner.run(batch.commit(deadline)) == 3
            assert counted(tables, table) == {"a": 1, "b": 1, "c": 1}
            assert writing.runner.run(batch.commit(deadline)) == 3, "as after an answer that was lost"
            assert counted(tables, table) == {"a": 1, "b": 1, "c": 1}
            with pytest.raises(TransientError):
                writing.runner.run(batch.append([row("late")], deadline))
        empty = PendingRows(table, FIELDS, tables.write, Tokens())
        with closing(Writing(empty, table)) as writing:
            assert writing.runner.run(empty.commit(deadline)) == 0
