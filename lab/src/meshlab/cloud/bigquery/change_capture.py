"""Change data capture: rows that replace or delete others by the table's primary key. Pure.

Source: https://cloud.google.com/bigquery/docs/change-data-capture

Of two changes of one key the one with the greater `_CHANGE_SEQUENCE_NUMBER` stays, and of equal ones the later. A
change without a number is older than any with one. That is this fake's choice: the page says nothing about a key that
has both. Of several changes of one key in one request, none of them greater, the first stays, as was observed of the
service (googleapis/java-bigquerystorage#2404); nothing should depend on it.

A deleted key keeps its number, so that an older change that comes late does not bring the row back. The service does so
for two days, the fake for as long as it runs.
"""

from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.cloud.bigquery.schema import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.cloud.bigquery.schema import Schema

CHANGE_TYPE = "_CHANGE_TYPE"
CHANGE_SEQUENCE_NUMBER = "_CHANGE_SEQUENCE_NUMBER"

SEQUENCE_COLUMN = "_lab_sequence"
ORDER_COLUMN = "_lab_order"
DELETED_COLUMN = "_lab_deleted"
_REQUEST_COLUMN = "_lab_request"

# A sequence is NULL in a row that was inserted plainly, and empty in a change without a number.
CHANGE_COLUMNS = (f"{SEQUENCE_COLUMN} VARCHAR", f"{ORDER_COLUMN} BIGINT", f"{DELETED_COLUMN} BOOLEAN")
"""Columns of a table with a primary key that no reader sees."""

_STAGED = {
    SEQUENCE_COLUMN: "VARCHAR",
    ORDER_COLUMN: "BIGINT",
    DELETED_COLUMN: "BOOLEAN",
    _REQUEST_COLUMN: "BIGINT",
}
_MOST_SECTIONS = 4
_SECTION_CHARS = 16
_SECTION = re.compile(rf"[0-9a-fA-F]{{1,{_SECTION_CHARS}}}")


class ChangeType(enum.StrEnum):
    """What a row does to those of its key."""

    UPSERT = "UPSERT"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Change:
    """What a row does to the others of its key.

    Attributes:
        type: Whether it replaces or deletes them.
        sequence: Its number, as `parse_sequence` gives it; empty for none.
        request: A number that the rows of one request share, greater in later requests.
    """

    type: ChangeType
    sequence: str
    request: int

    def columns(self, order: int) -> dict[str, object]:
        """Return what the store needs to know of the change.

        Args:
            order: The row's place among all rows.
        """
        return {
            SEQUENCE_COLUMN: self.sequence,
            ORDER_COLUMN: order,
            DELETED_COLUMN: self.type is ChangeType.DELETE,
            _REQUEST_COLUMN: self.request,
        }


def parse_sequence(text: str) -> str | None:
    """Read a `_CHANGE_SEQUENCE_NUMBER`: one to four hexadecimal numbers of up to 16 digits, with slashes in between.

    Returns:
        A text that sorts as the number does; None if it is not one.
    """
    sections = text.split("/")
    if len(sections) > _MOST_SECTIONS or not all(map(_SECTION.fullmatch, sections)):
        return None
    return "/".join(section.lower().zfill(_SECTION_CHARS) for section in sections)


def stage_statement(schema: Schema) -> str:
    """Write the statement that puts rows, one JSON text as its parameter, into the table `came`.

    Args:
        schema: The columns of the rows, beside those of their changes.
    """
    shape: dict[str, object] = {item.name: item.transport() for item in schema.fields} | _STAGED
    document = json.dumps([shape]).replace("'", "''")
    values = [
        f"CAST(item.{quoted(item.name)} AS {item.duckdb_type()}) AS {quoted(item.name)}"
        for item in schema.fields
    ]
    values += [f"item.{name} AS {name}" for name in (SEQUENCE_COLUMN, ORDER_COLUMN, _REQUEST_COLUMN)]
    values.append(f"coalesce(item.{DELETED_COLUMN}, FALSE) AS {DELETED_COLUMN}")
    rows = f"SELECT unnest(from_json($1, '{document}')) AS item"
    # Names are checked, and the rows are a parameter.
    return f"CREATE OR REPLACE TEMP TABLE came AS SELECT {', '.join(values)} FROM ({rows})"  # noqa: S608


def apply_statements(table: str, schema: Schema, key: Sequence[str]) -> list[str]:
    """Write the statements that apply the rows in `came` to a table with a key, in order.

    Args:
        table: The table, with `CHANGE_COLUMNS`.
        schema: Its other columns.
        key: The columns of its key.
    """
    columns = [quoted(item.name) for item in schema.fields]
    every = ", ".join([*columns, SEQUENCE_COLUMN, ORDER_COLUMN, DELETED_COLUMN])
    keys = ", ".join(map(quoted, key))
    same = " AND ".join(f"old.{quoted(name)} IS NOT DISTINCT FROM new.{quoted(name)}" for name in key)
    latest = f"{SEQUENCE_COLUMN} DESC, {_REQUEST_COLUMN} DESC, {ORDER_COLUMN}"
    older = f"""
        CASE WHEN old.{SEQUENCE_COLUMN} IS NULL THEN old.{ORDER_COLUMN} < new.{ORDER_COLUMN}
        ELSE old.{SEQUENCE_COLUMN} <= new.{SEQUENCE_COLUMN} END"""
    plain = f"""
        INSERT INTO {table} ({every}) SELECT {every} FROM came WHERE {SEQUENCE_COLUMN} IS NULL"""  # noqa: S608
    one_of_each_key = f"""
        CREATE OR REPLACE TEMP TABLE latest AS SELECT * FROM came WHERE {SEQUENCE_COLUMN} IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {latest}) = 1"""  # noqa: S608
    replaced = f"""
        DELETE FROM {table} AS old USING latest AS new WHERE {same} AND {older}"""  # noqa: S608
    newest = f"""
        INSERT INTO {table} ({every}) SELECT {every} FROM latest AS new WHERE NOT EXISTS
        (SELECT 1 FROM {table} AS old WHERE {same} AND old.{SEQUENCE_COLUMN} IS NOT NULL)"""  # noqa: S608
    return [plain, one_of_each_key, replaced, newest, "DROP TABLE came", "DROP TABLE latest"]
