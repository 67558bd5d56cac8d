"""`python -m enrichment sql NAME`: a query from `function/sql/`, with the names of one's own tables and columns in it.

The files are GoogleSQL with two kinds of gaps: a name in braces and back quotes for a table or for columns, and
`@since` and `@until` for a time. Columns are those that `pipeline.toml` fills with what the query needs. All that fills
a gap is checked first, so that it is a name or a time.
"""

import argparse
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from enrichment.commands.arguments import moment
from enrichment.settings.environment import PIPELINE_FILE

FOLDER = Path(__file__).resolve().parents[2] / "sql"
"""Beside the package in a checkout; not deployed, for the function runs none of them."""

_GAP = re.compile(r"`\{(?P<name>\w+)\}`|@(?P<time>since|until)\b")

# https://cloud.google.com/resource-manager/docs/creating-managing-projects (with the domain of projects that have one)
# https://cloud.google.com/bigquery/docs/datasets#dataset-naming
# https://cloud.google.com/bigquery/docs/tables#table_naming
_TABLE = re.compile(
    r"(?P<project>([a-z0-9.-]{1,63}:)?[a-z][a-z0-9-]{4,28}[a-z0-9])\.(?P<dataset>\w{1,1024})\.(?P<table>[\w -]{1,1024})"
)


_COLUMN = re.compile(r"\w{1,300}")

_SOURCES = {"publish_time": "message.publish_time", "enriched_at": "now"}
_ORDER = ("now", "message.publish_time", "message.id", "trace.id")
"""What orders the rows of one event: the time at which each was built, and then what distinguishes them."""
_LAST_WINS_ORDER = ("message.publish_time", "now", "message.id", "trace.id")
"""What orders them, the last first, where `on_conflict = "last-wins"`. The event that was published last stays."""
_ROW_ID = "row.id"
_EVENT = "event"
_OF_EVENT = re.compile(r"(event|item)[.\[]")


class SqlError(ValueError):
    """A query cannot be written out; the message says why and what to give instead."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One file of `function/sql/`.

    Args:
        about: What it answers, in a few words.
        names: The tables in it.
        days: How far back it looks by default, in days; 0 if it asks for no times.
    """

    about: str
    names: tuple[str, ...]
    days: int = 0


STATEMENTS: Mapping[str, Statement] = {
    "deduplicated_view": Statement("makes the view with one row an event", ("table", "view")),
    "deduplicated_rows": Statement("one row an event, of some days alone", ("table",), days=1),
    "identity_conflicts": Statement(
        "events of one id and different content, of some days", ("table",), days=7
    ),
    "freshness": Statement("how far behind the table is, by the hour", ("table",), days=1),
    "dead_letter_report": Statement("what was dead-lettered and why, by the day", ("dead_letters",), days=30),
}
_ABOUT_NAMES = {
    "table": "the function's table (default: BIGQUERY_TABLE of the environment)",
    "view": "the view to make (default: the table's name with _deduplicated)",
    "dead_letters": "the table of the dead-letter subscription (default: the table's name with _dead_letters)",
}


def render(
    name: str,
    tables: Mapping[str, str],
    since: datetime | None = None,
    until: datetime | None = None,
    pipeline: Path = PIPELINE_FILE,
    of: str = "",
) -> str:
    """Return a query with its gaps filled.

    Args:
        name: One of `STATEMENTS`.
        tables: `project.dataset.table` for each of its names.
        since: Where its time begins; by default so many days before the end as the statement says.
        until: Where its time ends, itself outside; by default the moment when the query runs.
        pipeline: `pipeline.toml`, which says which columns hold what the query needs.
        of: The name of one of its `[[tables]]`; empty for the table of `[columns]`.

    Raises:
        SqlError: A name is missing or wrong, no column holds what the query needs, or the time ends before it begins.
    """
    statement = STATEMENTS[name]
    if since and until and since >= until:
        raise SqlError("--since must be before --until")
    quoted = {gap: _quoted(tables, gap) for gap in statement.names}
    text = _read(name)
    gaps = {found["name"] for found in _GAP.finditer(text) if found["name"]}
    if needed := gaps - quoted.keys():
        columns = _Columns(pipeline, of)
        quoted |= {gap: columns.fill(gap) for gap in sorted(needed)}
    end = _timestamp(until) if until else "CURRENT_TIMESTAMP()"
    begin = _timestamp(since) if since else f"TIMESTAMP_SUB({end}, INTERVAL {statement.days} DAY)"
    times = {"since": begin, "until": end}
    return _GAP.sub(lambda gap: quoted[gap["name"]] if gap["name"] else times[gap["time"]], text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `python -m enrichment sql`."""
    parser.description = "Prints a query over the function's tables, for `| bq query --use_legacy_sql=false`."
    parser.epilog = "What the queries say and cost: docs/queries.md"
    chosen = parser.add_subparsers(dest="statement", required=True, metavar="NAME")
    for name, statement in STATEMENTS.items():
        one = chosen.add_parser(name, help=statement.about, description=f"Prints a query: {statement.about}.")
        # Where the other names come from, whether the statement has it itself or not.
        for gap in dict.fromkeys(("table", *statement.names)):
            one.add_argument(
                f"--{gap.replace('_', '-')}", metavar="PROJECT.DATASET.TABLE", help=_ABOUT_NAMES[gap]
            )
        if name != "dead_letter_report":
            one.add_argument(
                "--pipeline",
                type=Path,
                default=Path(os.environ.get("PIPELINE_FILE") or PIPELINE_FILE),
                metavar="FILE",
                help="names the columns (default: PIPELINE_FILE of the environment, or the shipped one)",
            )
            one.add_argument(
                "--of",
                default="",
                metavar="NAME",
                help="one of the pipeline's [[tables]], whose full name --table gives (default: the one of [columns])",
            )
        if statement.days:
            ago = f"{statement.days} days" if statement.days > 1 else "a day"
            one.add_argument(
                "--since",
                type=moment,
                metavar="WHEN",
                help=f"a date or an RFC 3339 time (default: {ago} before the end)",
            )
            one.add_argument(
                "--until", type=moment, metavar="WHEN", help="the same (default: now, when the query runs)"
            )


def run(options: argparse.Namespace) -> int:
    """Print the query that was asked for.

    Args:
        options: What `add_arguments` declared.

    Returns:
        The exit code: 0, or 2 if a name is missing or wrong.
    """
    given = vars(options)
    table = given["table"] or os.environ.get("BIGQUERY_TABLE", "")
    tables = {"table": table}
    if table:
        tables |= {"view": f"{table}_deduplicated", "dead_letters": f"{table}_dead_letters"}
    tables |= {gap: given[gap] for gap in _ABOUT_NAMES if given.get(gap)}
    try:
        times = given.get("since"), given.get("until")
        text = render(
            options.statement, tables, *times, given.get("pipeline", PIPELINE_FILE), given.get("of", "")
        )
    except SqlError as error:
        sys.stderr.write(f"sql {options.statement}: {error}\n")
        return 2
    sys.stdout.write(text)
    return 0


class _Columns:
    """The columns that a pipeline fills, by what they hold."""

    def __init__(self, pipeline: Path, of: str) -> None:
        self._file = pipeline
        try:
            document = tomllib.loads(pipeline.read_text(encoding="utf-8"))
        except OSError as error:
            raise SqlError(
                f"{pipeline} cannot be read: {error.strerror}; name another file with --pipeline"
            ) from None
        except ValueError as error:
            raise SqlError(f"{pipeline} is not TOML in UTF-8: {error}") from None
        event, columns = document.get("event", {}), document.get("columns", {})
        if of:
            tables = {str(table.get("name", "")): table for table in document.get("tables", [])}
            if of not in tables:
                raise SqlError(
                    f"{pipeline} has no table {of[:80]!r} in [[tables]]; it has {', '.join(tables) or 'none'}"
                )
            columns = tables[of].get("columns", {})
        named = event.get("id", "message.id")
        self._ids = [str(source) for source in (named if isinstance(named, list) else [named])]
        self._last_wins = event.get("on_conflict") == "last-wins"
        self._by_source: dict[str, str] = {}
        for column, source in columns.items():
            text = str(source.get("from", "")) if isinstance(source, dict) else str(source)
            self._by_source.setdefault(text, column)
        if _ROW_ID in self._by_source:
            self._ids = [_ROW_ID]

    def fill(self, gap: str) -> str:
        """Return what fills a gap for columns.

        Raises:
            SqlError: No column holds it.
        """
        if gap == "order":
            self._column("now")
            sources = _LAST_WINS_ORDER if self._last_wins else _ORDER
            descends = " DESC" if self._last_wins else ""
            return ", ".join(
                self._column(source) + descends for source in sources if source in self._by_source
            )
        if gap == "content":
            return self._content()
        if gap in _SOURCES:
            return self._column(_SOURCES[gap])
        ids = [self._column(source) for source in self._ids]
        if gap == "event_value" and len(ids) > 1:
            return f"TO_JSON_STRING(STRUCT({', '.join(ids)}))"
        return ", ".join(ids)

    def _content(self) -> str:
        """Return the columns that hold what the publisher sent: the whole event where there is a column of it."""
        whole = [_EVENT] if _EVENT in self._by_source else []
        sources = whole or [source for source in self._by_source if _OF_EVENT.match(source)]
        if not sources:
            raise SqlError(f'{self._file} fills no column from the event: add COLUMN = "event" to [columns]')
        return f"TO_JSON_STRING(STRUCT({', '.join(map(self._column, sources))}))"

    def _column(self, source: str) -> str:
        column = self._by_source.get(source, "")
        if not column:
            raise SqlError(
                f'{self._file} fills no column with {source}: add COLUMN = "{source}" to [columns]'
            )
        if not _COLUMN.fullmatch(column):
            raise SqlError(f"{self._file}: {column[:200]!r} is no name of a column")
        return f"`{column}`"


def _quoted(tables: Mapping[str, str], gap: str) -> str:
    name, flag = tables.get(gap, ""), f"--{gap.replace('_', '-')}"
    if not name:
        raise SqlError(f"give {flag}, or set BIGQUERY_TABLE")
    if not _TABLE.fullmatch(name):
        raise SqlError(f"{flag} must read project.dataset.table; it is {name[:200]!r}")
    return f"`{name}`"


def _timestamp(instant: datetime) -> str:
    return f"TIMESTAMP '{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"


def _read(name: str) -> str:
    try:
        return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SqlError("there is no function/sql/ beside the package; run this in a checkout") from None
