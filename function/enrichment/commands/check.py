"""`python -m enrichment check`: what `pipeline.toml` makes of events, before any of it is deployed."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from enrichment.commands.inspection import Report, SampleRow, check
from enrichment.commands.steps import shown
from enrichment.commands.trial import Line
from enrichment.settings.environment import PIPELINE_FILE, TABLE_FILE

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["Line", "Report", "add_arguments", "check", "run"]

_PIPE_WIDTH = 150  # wide enough for the widest table; a pipe has no width of its own
_MAX_VALUE = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "--pipeline", type=Path, default=PIPELINE_FILE, metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--table", type=Path, default=TABLE_FILE, metavar="FILE", help="default: %(default)s")
    parser.add_argument(
        "--event",
        metavar="FILE",
        help="an event, a JSON array of events, or one on each line; - for standard input; default: one is made up",
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
    parser.add_argument(
        "--explain", action="store_true", help="show each column's way from its source to its value"
    )


def run(options: argparse.Namespace) -> int:
    """Check, and print what was found.

    Args:
        options: The command's arguments.

    Returns:
        The exit code: 0 all is well, 1 there are mistakes, or something that the command needs is missing.
    """
    try:
        import rich  # noqa: F401
    except ImportError:
        return _complain('the command needs a package that is not installed: pip install "rich>=15"')
    unread: list[str] = []
    sample, profile = _contents(options.event, unread), _contents(options.profile, unread)
    report = check(options.pipeline, options.table, sample, profile, dict(options.attribute))
    report = replace(report, problems=(*unread, *report.problems))
    _show(report, made_up=sample is None, explain=options.explain)
    return 1 if report.problems else 0


def _attribute(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _contents(name: str | None, unread: list[str]) -> bytes | None:
    """Return what a file holds; None for no file, and for one that cannot be read, which is noted."""
    if name is None:
        return None
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        unread.append(f"{name} cannot be read: {error.strerror}.")
    return None


def _complain(problem: str) -> int:
    sys.stderr.write(f"python -m enrichment check: {problem}\n")
    return 1


def _show(report: Report, *, made_up: bool, explain: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    _list(console, report.problems, "to correct:", "bold red")
    if not report.problems:
        console.print(Text("The pipeline fits the table.", "bold green"))
        if report.events > 1:
            written = report.events - report.dropped
            which = f"{written} of" if report.dropped else "All"
            console.print(Text(f"{which} {report.events} events would be written."))
    _list(console, report.warnings, "to look at:", "bold yellow")
    for row in report.rows if explain or not report.problems else ():
        what = "an event made up of the declared fields" if made_up else "the sample event"
        what = f"sample event {row.event}" if report.events > 1 else what
        what += f" for table {row.table}" if row.table else ""
        console.print(_explained(row, what) if explain else _rendered(row, what))


def _list(console: "Console", sentences: tuple[str, ...], heading: str, style: str) -> None:
    from rich.text import Text

    if sentences:
        console.print(Text(f"{len(sentences)} {heading}", style))
    for sentence in sentences:
        console.print(Text(f"  - {_visible(sentence)}"), soft_wrap=True)


def _rendered(row: SampleRow, what: str) -> "Table":
    from rich.text import Text

    table = _table(f"The row of {what}", ("column", "type", "source", "value"), row)
    for line in row.lines:
        table.add_row(
            Text(line.column),
            Text(line.type, "dim"),
            Text(line.source or "not written", "" if line.source else "dim"),
            Text("" if line.value is None else _short(shown(line.value))),
        )
    return table


def _explained(row: SampleRow, what: str) -> "Table":
    """Return the way of each column; a line for each step."""
    from rich.text import Text

    table = _table(f"The way of {what} into its row", ("column", "step", "gives"), row)
    for line in row.lines:
        if not line.steps:
            table.add_row(Text(line.column), Text("not written", "dim"), Text(""))
        for number, step in enumerate(line.steps):
            gave = line.problem if step.gave == "error" else step.gave
            table.add_row(
                Text(line.column if number == 0 else ""),
                Text(_visible(step.what)),
                Text(_short(gave), "red" if line.problem and number == len(line.steps) - 1 else ""),
            )
    return table


def _table(title: str, headings: tuple[str, ...], row: SampleRow) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=heading in ("column", "type"), overflow="fold")
    table.caption = Text(f"insertId: {_visible(row.insert_id)}", justify="left")
    return table


def _short(text: str) -> str:
    return _visible(text[:_MAX_VALUE] + ("..." if len(text) > _MAX_VALUE else ""))


def _visible(text: str) -> str:
    """Return the text with everything that a terminal would act on, or hide, written as an escape."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
