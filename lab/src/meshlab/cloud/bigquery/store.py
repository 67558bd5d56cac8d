"""Rows in DuckDB: a buffer for what streams in, and reads and queries that always see it. The only user of DuckDB.

Tables here have numbered names; what they are called outside is the catalogue's business. One connection serves
all, behind a lock. A streamed row is only appended to a buffer, so an insert never waits for a query; whatever
reads next writes the buffers to DuckDB first, many rows in one statement. A thread of the store's own does so as
well when much has gathered.

What is kept in memory is bounded: DuckDB pages rows to files of a private directory above a limit, and an append
waits while too much text is still to be written. As long as the rows are few there is no directory.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from meshlab.cloud.bigquery.change_capture import (
    CHANGE_COLUMNS,
    DELETED_COLUMN,
    ORDER_COLUMN,
    SEQUENCE_COLUMN,
    apply_statements,
    stage_statement,
)
from meshlab.cloud.bigquery.schema import Schema, quoted, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshlab.cloud.bigquery.change_capture import Change
    from meshlab.cloud.bigquery.schema import Field

MEMORY_LIMIT_MIB = 1024
"""What DuckDB may keep in memory. The rows of a million events are more than that."""

_FLUSH_CHARS = 8 * 1024 * 1024
_MOST_BUFFERED_CHARS = 8 * _FLUSH_CHARS

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    # Nothing is fetched, and no statement reaches this machine's files.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
}


@dataclass(slots=True)
class _Stored:
    """A table of the store.

    Attributes:
        schema: Its columns.
        key: The columns of its primary key, if rows may be replaced by it.
        buffer: Rows that are not in DuckDB yet, as JSON.
    """

    schema: Schema
    key: tuple[str, ...] = ()
    buffer: list[str] = field(default_factory=list)


class Store:
    """A DuckDB in memory, which pages to disk what does not fit.

    Args:
        directory: Where the files are made that it pages to; the system's directory for such files by default.
        memory_limit_mib: How much of its rows DuckDB may keep in memory.
    """

    def __init__(self, directory: Path | None = None, memory_limit_mib: int = MEMORY_LIMIT_MIB) -> None:
        # DuckDB makes it when there is something to page.
        self._directory = (directory or Path(tempfile.gettempdir())) / f"bigquery-{uuid.uuid4().hex}"
        paging = {"temp_directory": str(self._directory), "memory_limit": f"{memory_limit_mib}MiB"}
        self._connection = duckdb.connect(":memory:", config=_SETTINGS | paging)
        # Timestamps are turned to dates, hours and text in UTC, as in BigQuery.
        self._execute("SET TimeZone = 'UTC'")
        self._execute("SET lock_configuration = true")
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._orders = itertools.count(1)
        self._tables: dict[str, _Stored] = {}
        self._buffered_chars = 0
        self._buffer_lock = threading.Lock()
        self._flusher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bigquery-flush")
        self._flushing: Future[None] | None = None

    def close(self) -> None:
        """Drop everything, and delete the files that were paged to."""
        self._flusher.shutdown()
        with self._lock:
            self._connection.close()
        self.delete_files()

    def delete_files(self) -> None:
        """Delete the files that were paged to, before the process ends at once."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def create(self, schema: Schema, key: Sequence[str] = ()) -> str:
        """Make an empty table and return its name.

        Args:
            schema: Its columns.
            key: The columns of its primary key. Rows with a `Change` replace others by it.
        """
        name = f"t{next(self._numbers)}"
        columns = [f"{quoted(item.name)} {item.duckdb_type()}" for item in schema.fields]
        stored = _Stored(schema, tuple(key))
        with self._lock:
            if key:
                self._execute(f"CREATE TABLE {_rows_of(name)} ({', '.join([*columns, *CHANGE_COLUMNS])})")
                self._create_view(name, stored)
            else:
                self._execute(f"CREATE TABLE {name} ({', '.join(columns)})")
            with self._buffer_lock:
                self._tables[name] = stored
        return name

    def create_as(self, sql: str, parameters: Mapping[str, object]) -> tuple[str, Schema]:
        """Keep the result of a query as a table; return its name and its schema.

        Raises:
            duckdb.Error: The query failed.
            ApiError: A column of the result has a type that the API cannot express.
        """
        name = f"r{next(self._numbers)}"
        with self._lock:
            self._flush()
            self._execute(f"CREATE TABLE {name} AS {sql}", dict(parameters))
            try:
                schema = self._describe(name)
            except Exception:
                self._execute(f"DROP TABLE {name}")
                raise
            with self._buffer_lock:
                self._tables[name] = _Stored(schema)
        return name, schema

    def describe(self, sql: str) -> Schema:
        """Return the schema of a query's result.

        Raises:
            duckdb.Error: The query is wrong.
            ApiError: A column of the result has a type that the API cannot express.
        """
        with self._lock:
            return self._describe(f"({sql})")

    def drop(self, name: str) -> None:
        """Remove a table with its rows."""
        with self._lock:
            with self._buffer_lock:
                stored = self._tables.pop(name)
                self._buffered_chars -= sum(map(len, stored.buffer))
            if stored.key:
                self._execute(f"DROP VIEW {name}")
                self._execute(f"DROP TABLE {_rows_of(name)}")
            else:
                self._execute(f"DROP TABLE {name}")

    def extend(self, name: str, schema: Schema, added: Sequence[Field]) -> None:
        """Add columns to a table, whose rows have no value in them.

        Args:
            name: The table.
            schema: All columns, the new ones last.
            added: The new ones.
        """
        with self._lock:
            self._flush()
            stored = self._tables[name]
            rows = _rows_of(name) if stored.key else name
            if stored.key:
                self._execute(f"DROP VIEW {name}")
            for item in added:
                self._execute(f"ALTER TABLE {rows} ADD COLUMN {quoted(item.name)} {item.duckdb_type()}")
            stored.schema = schema
            if stored.key:
                self._create_view(name, stored)

    def append(
        self, name: str, rows: Iterable[Mapping[str, Any]], changes: Iterable[Change | None] | None = None
    ) -> None:
        """Take checked rows into a table; the next read sees them.

        Args:
            name: The table. Rows for one that was dropped are dropped, too.
            rows: The rows.
            changes: For a table with a key, what each row does to the others of its key; None for nothing.
        """
        stored = self._tables.get(name)
        if stored is None:
            return
        texts = [json.dumps(row, separators=(",", ":")) for row in self._with_changes(stored, rows, changes)]
        chars = sum(map(len, texts))
        with self._buffer_lock:
            if name not in self._tables:
                return
            stored.buffer += texts
            self._buffered_chars += chars
            buffered = self._buffered_chars
        if buffered > _FLUSH_CHARS:
            self._flush_soon(wait=buffered > _MOST_BUFFERED_CHARS)

    def move(self, source: str, target: str, start: int, count: int) -> None:
        """Copy rows of one table to the end of another, all at once.

        Args:
            source: A table without a key, with some or all of the columns of the other.
            target: Where they go.
            start: The first row's place.
            count: How many.
        """
        with self._lock:
            self._flush()
            self._copy(source, target, start, count)

    def move_all(self, sources: Sequence[tuple[str, int]], target: str) -> None:
        """Copy all rows of some tables to the end of another, all at once, and remove those tables.

        Args:
            sources: Tables without a key, with some or all of the columns of the other, and how many rows they have.
            target: Where they go.
        """
        with self._lock:
            self._flush()
            self._execute("BEGIN")
            try:
                for source, count in sources:
                    self._copy(source, target, 0, count)
            except duckdb.Error:
                self._execute("ROLLBACK")
                raise
            self._execute("COMMIT")
        for source, _ in sources:
            self.drop(source)

    def count(self, name: str) -> int:
        """Return the number of rows."""
        with self._lock:
            self._flush()
            return int(self._execute(f"SELECT count(*) FROM {name}")[0][0])  # noqa: S608 - our own name

    def read(self, name: str, start: int, limit: int) -> list[tuple[Any, ...]]:
        """Return rows in the order they came, with timestamps as UTC datetimes without a zone."""
        stored = self._tables[name]
        columns = ", ".join(
            f"CAST({quoted(item.name)} AS {item.duckdb_type(civil=True)})" for item in stored.schema.fields
        )
        with self._lock:
            self._flush()
            if stored.key:
                rows = f"{_rows_of(name)} WHERE NOT {DELETED_COLUMN}"
                place = f"ORDER BY {ORDER_COLUMN}, rowid LIMIT {limit:d} OFFSET {start:d}"
            else:
                rows, place = name, _page(name, start, limit)
            return self._execute(f"SELECT {columns} FROM {rows} {place}")  # noqa: S608 - our own names

    def _copy(self, source: str, target: str, start: int, count: int) -> None:
        names = [quoted(item.name) for item in self._tables[source].schema.fields]
        columns, into, rows = list(names), list(names), target
        if self._tables[target].key:
            rows = _rows_of(target)
            into += [SEQUENCE_COLUMN, ORDER_COLUMN, DELETED_COLUMN]
            columns += ["NULL", f"{next(self._orders):d}", "FALSE"]
        place = _page(source, start, count)
        self._execute(
            f"INSERT INTO {rows} ({', '.join(into)}) SELECT {', '.join(columns)} FROM {source} {place}"  # noqa: S608
        )

    def _create_view(self, name: str, stored: _Stored) -> None:
        columns = ", ".join(quoted(item.name) for item in stored.schema.fields)
        self._execute(
            f"CREATE VIEW {name} AS SELECT {columns} FROM {_rows_of(name)} WHERE NOT {DELETED_COLUMN}"  # noqa: S608
        )

    def _with_changes(
        self, stored: _Stored, rows: Iterable[Mapping[str, Any]], changes: Iterable[Change | None] | None
    ) -> Iterator[Mapping[str, Any]]:
        if not stored.key:
            yield from rows
            return
        for row, change in zip(rows, changes or itertools.repeat(None)):  # noqa: B905 - the default has no end
            order = next(self._orders)
            yield {**row, **(change.columns(order) if change else {ORDER_COLUMN: order})}

    def _flush_soon(self, *, wait: bool) -> None:
        if self._flushing is None or self._flushing.done():
            self._flushing = self._flusher.submit(self._flush_alone)
        if wait:
            self._flushing.result()

    def _flush_alone(self) -> None:
        with self._lock:
            self._flush()

    def _describe(self, relation: str) -> Schema:
        cursor = self._connection.execute(f"FROM {relation} LIMIT 0")
        columns = [(column[0], column[1]) for column in cursor.description or ()]
        cursor.fetchall()
        return schema_of(columns)

    def _flush(self) -> None:
        for name, stored in [(name, stored) for name, stored in list(self._tables.items()) if stored.buffer]:
            with self._buffer_lock:
                texts, stored.buffer = stored.buffer, []
                chars = sum(map(len, texts))
                self._buffered_chars -= chars
            # The rows of one request stay together where they may replace each other.
            step = len(texts) if stored.key else max(1, len(texts) * _FLUSH_CHARS // max(chars, 1))
            for start in range(0, len(texts), step):
                try:
                    self._write(name, stored, f"[{','.join(texts[start : start + step])}]")
                except duckdb.Error:
                    # Rows that were checked are taken for sure. If they are not, every read shall fail, not one.
                    with self._buffer_lock:
                        stored.buffer[:0] = texts[start:]
                        self._buffered_chars += sum(map(len, texts[start:]))
                    raise

    def _write(self, name: str, stored: _Stored, text: str) -> None:
        if not stored.key:
            self._execute(_insert_statement(name, stored.schema), [text])
            return
        self._execute("BEGIN")
        try:
            self._execute(stage_statement(stored.schema), [text])
            for statement in apply_statements(_rows_of(name), stored.schema, stored.key):
                self._execute(statement)
        except duckdb.Error:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def _execute(self, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:  # noqa: ANN401
        return self._connection.execute(sql, parameters).fetchall()


def _rows_of(name: str) -> str:
    """Name the table behind a view that hides deleted rows."""
    return f"{name}_rows"


def _page(name: str, start: int, count: int) -> str:
    """Select rows by their place. No row of such a table is ever deleted, so that a place is a row's id."""
    return f"WHERE {name}.rowid >= {start:d} AND {name}.rowid < {start + count:d} ORDER BY {name}.rowid"


def _insert_statement(name: str, schema: Schema) -> str:
    """Write the statement that turns one JSON text, an array of rows, into rows of a table.

    Measured against `executemany`, it takes about a hundredth of the time per row.
    """
    shape = json.dumps([{item.name: item.transport() for item in schema.fields}]).replace("'", "''")
    values = ", ".join(f"CAST(item.{quoted(field.name)} AS {field.duckdb_type()})" for field in schema.fields)
    rows = f"SELECT unnest(from_json($1, '{shape}')) AS item"
    return f"INSERT INTO {name} SELECT {values} FROM ({rows})"  # noqa: S608 - names are checked, values bound
