"""Rows of a backfill on their way out: written by the engine already, or into files for a load job.

A load job costs nothing, and knows no insertIds: rows that are loaded twice are two rows. So each file is named by what
it is made of, a range of a shard, and a run that goes on replaces it. The commands that load them name their jobs by
the same, and BigQuery refuses a second job of one name.
"""

import gzip
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from enrichment.settings.model import Column, PipelineConfig, TableField

from enrichment_beam.backfill import storage
from enrichment_beam.parts import full_id
from enrichment_beam.tally import TableRow

FILE_BYTES = 32_000_000
"""When a file is closed, in bytes before compression. A job takes up to 10,000 files of any size."""

ROWS_FOLDER = "rows"


class Output(Protocol):
    """Where rows go that the engine has not written."""

    def go_on(self, number: int, position: int) -> None:
        """Remove what a run that was killed left of rows that are about to be made again.

        Args:
            number: The shard's number.
            position: Where the shard goes on.
        """

    def add(self, rows: Sequence[TableRow]) -> None:
        """Take the rows of one message."""

    @property
    def is_full(self) -> bool:
        """Whether it is time to make durable what was taken."""

    def flush(self, number: int, position: int) -> None:
        """Make durable what was taken since the last time.

        Args:
            number: The shard's number.
            position: Where the shard was when the first of these rows was taken.
        """


class Written:
    """Rows that are durable already."""

    is_full = True

    def go_on(self, number: int, position: int) -> None:
        """Do nothing."""

    def add(self, rows: Sequence[TableRow]) -> None:
        """Do nothing."""

    def flush(self, number: int, position: int) -> None:
        """Do nothing."""


class LoadFiles:
    """Rows in files for load jobs: JSON, one row a line, compressed.

    Args:
        folder: Where the files go, of this machine or of a bucket.
        columns: The columns of each table, by its full id.
    """

    def __init__(self, folder: str, columns: Mapping[str, Sequence[Column]]) -> None:
        self._folder = folder
        self._json = {table: _of_json(known) for table, known in columns.items()}
        self._lines: dict[str, list[bytes]] = {}
        self._size = 0

    def go_on(self, number: int, position: int) -> None:
        """Remove files that begin at the position or behind it: the journal does not count their rows.

        The files of this run may end elsewhere, so they need not replace each of them.
        """
        for table in self._json:
            pattern = storage.join(self._folder, ROWS_FOLDER, table, f"{number:06}-*.json.gz")
            storage.remove(
                name
                for name, *_ in storage.match(pattern)
                if int(name.rpartition("-")[2].partition(".")[0]) >= position
            )

    @property
    def is_full(self) -> bool:
        """Whether there is enough for a file."""
        return self._size >= FILE_BYTES

    def add(self, rows: Sequence[TableRow]) -> None:
        """Take the rows of one message."""
        for row in rows:
            line = msgspec.json.encode(_as_loaded(row.columns, self._json.get(row.table, {})))
            self._lines.setdefault(row.table, []).append(line)
            self._size += len(line)

    def flush(self, number: int, position: int) -> None:
        """Write what was taken, one file for each table."""
        for table, lines in self._lines.items():
            name = storage.join(self._folder, ROWS_FOLDER, table, f"{number:06}-{position:012}.json.gz")
            storage.write(name, gzip.compress(b"\n".join(lines) + b"\n", 5, mtime=0))
        self._lines, self._size = {}, 0


_Kinds = dict[str, Any]


def _of_json(columns: Iterable[Column | TableField]) -> _Kinds:
    """Return the columns that hold JSON, and records that have such fields, by name."""
    found: _Kinds = {}
    for column in columns:
        if column.type == "JSON":
            found[column.name] = None
        elif column.fields and (inner := _of_json(column.fields)):
            found[column.name] = inner
    return found


def _as_loaded(columns: Mapping[str, Any], kinds: _Kinds) -> dict[str, Any]:
    """Return a row as a load job takes it: it would store JSON that comes as text, as insertAll has it, as a string."""
    made = dict(columns)
    for name, inner in kinds.items():
        value = made.get(name)
        if value is None:
            continue
        many = value if isinstance(value, list) else [value]
        turned = [_raw(one) if inner is None else _as_loaded(one, inner) for one in many]
        made[name] = turned if isinstance(value, list) else turned[0]
    return made


def _raw(text: Any) -> msgspec.Raw:  # noqa: ANN401 - a text, as the core makes it
    # A line break stands between values alone: within a string JSON has it escaped.
    return msgspec.Raw(text.replace("\n", " ").replace("\r", " ").encode())


def columns_by_table(config: PipelineConfig, table: str) -> dict[str, tuple[Column, ...]]:
    """Return what is written to each table, by its full id."""
    found = {full_id(one.table, table): one.columns for one in config.tables}
    return {table: config.columns, **found} if config.columns else found


def load_commands(
    folder: str, tables: Iterable[str], digest: str, files: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the commands that load what was written. Each job has a name, and BigQuery takes no name twice.

    Args:
        folder: Where the files are.
        tables: The tables.
        digest: What tells this backfill from others.
        files: The files of each table.
    """
    commands = []
    for table in tables:
        if not files.get(table):
            continue
        project, dataset, name = table.split(".")
        load = "load --source_format=NEWLINE_DELIMITED_JSON"
        sources = (
            [storage.join(folder, ROWS_FOLDER, table, "*.json.gz")]
            if storage.is_remote(folder)
            else list(files[table])
        )
        for source in sources:
            job = hashlib.sha256(f"{digest} {source}".encode()).hexdigest()[:16]
            commands.append(
                f"bq --project_id={project} --job_id=backfill_{job} {load} {dataset}.{name} {source}"
            )
    return commands
