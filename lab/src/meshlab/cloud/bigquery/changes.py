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


def apply_statements(table: str, schema: Schema, key: Sequence[str]) -> list[tuple[str, bool]]:
    """Write the statements that apply rows to a table with a key, in order.

    Args:
        table: The table, with `CHANGE_COLUMNS`.
        schema: Its other columns.
        key: The columns of its key.

    Returns:
        Each statement, and whether its one parameter is the JSON text of the rows.
    """
    shape = json.dumps(
        [
            {
                **{item.name: item.transport() for item in schema.fields},
                SEQUENCE_COLUMN: "VARCHAR",
                ORDER_COLUMN: "BIGINT",
                DELETED_COLUMN: "BOOLEAN",
                _REQUEST_COLUMN: "BIGINT",
            }
        ]
    ).replace("'", "''")
    columns = [quoted(item.name) for item in schema.fields] + [SEQUENCE_COLUMN, ORDER_COLUMN]
    values = [f"CAST(item.{quoted(item.name)} AS {item.duckdb_type()})" for item in schema.fields]
    selected = ", ".join(
        f"{value} AS {column}"
        for value, column in zip(
            [
                *values,
                f"item.{SEQUENCE_COLUMN}",
                f"item.{ORDER_COLUMN}",
                f"coalesce(item.{DELETED_COLUMN}, FALSE)",
                f"item.{_REQUEST_COLUMN}",
            ],
            [*columns, DELETED_COLUMN, _REQUEST_COLUMN],
            strict=True,
        )
    )
    every = ", ".join([*columns, DELETED_COLUMN])
    keys = ", ".join(map(quoted, key))
    same = " AND ".join(f"old.{quoted(name)} IS NOT DISTINCT FROM new.{quoted(name)}" for name in key)
    latest = f"{SEQUENCE_COLUMN} DESC, {_REQUEST_COLUMN} DESC, {ORDER_COLUMN}"
    return [
        (
            f"CREATE OR REPLACE TEMP TABLE came AS SELECT {selected} "  # noqa: S608 - names are checked, values bound
            f"FROM (SELECT unnest(from_json($1, '{shape}')) AS item)",
            True,
        ),
        (f"INSERT INTO {table} ({every}) SELECT {every} FROM came WHERE {SEQUENCE_COLUMN} IS NULL", False),  # noqa: S608
        (
            f"CREATE OR REPLACE TEMP TABLE latest AS SELECT * FROM came WHERE {SEQUENCE_COLUMN} IS NOT NULL "  # noqa: S608
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {latest}) = 1",
            False,
        ),
        (
            f"DELETE FROM {table} AS old USING latest AS new WHERE {same} AND "  # noqa: S608
            f"CASE WHEN old.{SEQUENCE_COLUMN} IS NULL THEN old.{ORDER_COLUMN} < new.{ORDER_COLUMN} "
            f"ELSE old.{SEQUENCE_COLUMN} <= new.{SEQUENCE_COLUMN} END",
            False,
        ),
        (
            f"INSERT INTO {table} ({every}) SELECT {every} FROM latest AS new WHERE NOT EXISTS "  # noqa: S608
            f"(SELECT 1 FROM {table} AS old WHERE {same} AND old.{SEQUENCE_COLUMN} IS NOT NULL)",
            False,
        ),
        ("DROP TABLE came", False),
        ("DROP TABLE latest", False),
    ]
