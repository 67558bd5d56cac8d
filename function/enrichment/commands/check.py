"""`python -m enrichment check`: what `pipeline.toml` makes of an event, before any of it is deployed."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from enrichment import event, row
from enrichment.errors import BadEventError, FaultError
from enrichment.event.message import Message
from enrichment.expressions import Scope, message_root
from enrichment.lookup.sample import sample_profile
from enrichment.settings import lookup_notes, pipeline_file, table_file
from enrichment.settings.environment import PIPELINE_FILE, TABLE_FILE
from enrichment.settings.model import EventShape, Field, FieldType, PipelineConfig

if TYPE_CHECKING:
    from rich.table import Table

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"  # the example of https://www.w3.org/TR/trace-context/
_PIPE_WIDTH = 150  # wide enough for the widest table; a pipe has no width of its own
_MAX_VALUE = 60


@dataclass(frozen=True, slots=True)
class Line:
    """A column of the table.

    Args:
        column: Its name.
        type: Its type and mode.
        source: Where its value comes from, empty where it is not written.
        value: What the sample event gives it, None for nothing.
    """

    column: str
    type: str
    source: str
    value: object


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Args:
        problems: The mistakes, one sentence each.
        lines: The row that the sample event makes, column by column; empty if there are mistakes.
        insert_id: What names that row.
        warnings: What is lost by settings that are left out, one or two sentences each.
    """

    problems: tuple[str, ...]
    lines: tuple[Line, ...] = ()
    insert_id: str = ""
    warnings: tuple[str, ...] = ()


def check(
    pipeline: Path,
    table: Path,
    sample: bytes | None = None,
    profile: bytes | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Report:
    """Validates a pipeline, and builds the row of a sample event as the function would.

    Args:
        pipeline: `pipeline.toml`.
        table: `table.json`.
        sample: An event; None makes one up of the declared fields.
        profile: The profile to join it with, None for one with nothing but the key.
        attributes: The message's attributes.

    Returns:
        The mistakes of the files, all of them; or else those of the sample; or else its row.
    """
    try:
        config = pipeline_file.read(pipeline, table)
    except pipeline_file.PipelineFileError as error:
        return Report(tuple(error.problems))
    data = _made_up(config.event) if sample is None else sample
    message = Message(data, dict(attributes or {}), "1234567890", _NOW)
    try:
        found = event.decode(message, config.event)
        root = message_root(
            message.message_id, message.publish_time, message.ordering_key, message.attributes
        )
        scope = Scope({"event": found.document, "message": root}, found.values)
        joined = {rules.name: sample_profile(rules, scope, profile) for rules in config.lookups}
        built = row.build(config.columns, found, joined.get("profile"), message, _TRACE_ID, _NOW)
    except BadEventError as error:
        return Report((f"the event would be dead-lettered: {error}.",))
    except FaultError as error:
        return Report((f"the profile would be refused: {error}.",))
    lost = tuple(note for rules in config.lookups for note in lookup_notes.notes(rules))
    return Report((), _lines(config, table, built), built.insert_id, lost)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument(
        "--pipeline", type=Path, default=PIPELINE_FILE, metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--table", type=Path, default=TABLE_FILE, metavar="FILE", help="default: %(default)s")
    parser.add_argument(
        "--event", metavar="FILE", help="an event, - for standard input; default: one is made up"
    )
    parser.add_argument(
        "--profile", metavar="FILE", help="the profile to join it with; default: the key alone"
    )
    parser.add_argument(
        "--attribute",
        action="append",
        default=[],
        type=_attribute,
        metavar="NAME=VALUE",
        help="an attribute of the message; may be given again",
    )


def run(options: argparse.Namespace) -> int:
    """Checks, and prints what was found.

    Args:
        options: The command's arguments.

    Returns:
        The exit code: 0 all is well, 1 there are mistakes, or something that the command needs is missing.
    """
    try:
        import rich  # noqa: F401
    except ImportError:
        return _complain('the command needs a package that is not installed: pip install "rich>=15"')
    try:
        sample, profile = _contents(options.event), _contents(options.profile)
    except OSError as error:
        return _complain(f"{error.filename} cannot be read: {error.strerror}")
    report = check(options.pipeline, options.table, sample, profile, dict(options.attribute))
    _show(report, made_up=sample is None)
    return 1 if report.problems else 0


def _made_up(shape: EventShape) -> bytes:
    """An event with every declared field in it."""
    document: dict[str, Any] = {}
    for field in shape.fields:
        inner = document
        for key in field.path[:-1]:
            inner = inner.setdefault(key, {})
        inner.setdefault(field.path[-1], _example(field))
    return msgspec.json.encode(document)


def _example(field: Field) -> object:
    match field.type:
        case FieldType.STRING:
            return f"sample {field.name}"[: field.max_length].strip()
        case FieldType.INTEGER:
            return 1
        case FieldType.NUMBER:
            return 1.5
        case FieldType.BOOLEAN:
            return True
        case FieldType.TIMESTAMP:
            return _NOW
        case FieldType.JSON:
            return {}


def _lines(config: PipelineConfig, table: Path, built: row.Row) -> tuple[Line, ...]:
    columns = {column.name: column for column in config.columns}
    return tuple(
        Line(
            column=field.name,
            type=f"{field.type} {'REQUIRED' if field.required else 'REPEATED' if field.repeated else ''}".strip(),
            source=columns[field.name].source if field.name in columns else "",
            value=built.columns.get(field.name),
        )
        for field in (table_file.read(table, []) or {}).values()
    )


def _attribute(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _contents(name: str | None) -> bytes | None:
    if name is None:
        return None
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def _complain(problem: str) -> int:
    sys.stderr.write(f"python -m enrichment check: {problem}\n")
    return 1


def _show(report: Report, *, made_up: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    if report.problems:
        console.print(Text(f"{len(report.problems)} to correct:", "bold red"))
        for problem in report.problems:
            console.print(Text(f"  - {_visible(problem)}"), soft_wrap=True)
        return
    console.print(Text("The pipeline fits the table.", "bold green"))
    for warning in report.warnings:
        console.print(Text(f"  - {_visible(warning)}"), soft_wrap=True)
    console.print(
        _rendered(report, "an event made up of the declared fields" if made_up else "the sample event")
    )


def _rendered(report: Report, what: str) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"The row of {what}", title_justify="left", box=box.SIMPLE, pad_edge=False)
    for heading in ("column", "type", "source", "value"):
        table.add_column(heading, no_wrap=heading != "value", overflow="fold")
    for line in report.lines:
        value = "" if line.value is None else line.value if isinstance(line.value, str) else str(line.value)
        table.add_row(
            Text(line.column),
            Text(line.type, "dim"),
            Text(line.source or "not written", "" if line.source else "dim"),
            Text(_visible(value[:_MAX_VALUE] + ("..." if len(value) > _MAX_VALUE else ""))),
        )
    table.caption = Text(f"insertId: {_visible(report.insert_id)}", justify="left")
    return table


def _visible(text: str) -> str:
    """The text with everything that a terminal would act on, or hide, written as an escape."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
