"""Output of a run: a progress bar on a terminal, a line every few seconds elsewhere, tables at the end."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from enrichment.redrive.report import Report

if TYPE_CHECKING:
    from enrichment.redrive.dead_letters import Verdict

_LINE_EVERY_S = 5.0
# Without a terminal there is no width to fit into, and a table must not be folded for it.
_WIDTH_IN_A_PIPE = 200


@contextmanager
def progress(limit: int | None, dry_run: bool) -> Iterator[Callable[[Report], None]]:
    """Show how a run goes on, on stderr.

    Args:
        limit: How many dead letters are redriven at most, None if that is not known.
        dry_run: Whether they are only looked at.
    """
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Lines(dry_run)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("looking for dead letters", total=limit)

        def show(report: Report) -> None:
            bar.update(task, description=_so_far(report, dry_run), completed=_done(report, dry_run))

        yield show


def found(report: Report) -> None:
    """Print what a dry run found."""
    rows = [
        (
            kind.reason,
            kind.function,
            kind.stage,
            kind.version,
            str(span.count),
            _instant(span.oldest),
            _instant(span.newest),
        )
        for kind, span in sorted(report.kinds.items())
    ]
    _print_table(("reason", "function", "stage", "version", "count", "oldest", "newest"), rows, numbers=(4,))
    _print_left(report)
    if report.acknowledged:
        _print_line(f"published by an earlier run, to be acknowledged: {report.acknowledged}")


def done(report: Report) -> None:
    """Print what a run did."""
    left: Counter[str] = Counter()
    for (reason, _), count in report.left.items():
        left[reason] += count
    reasons = sorted(report.redriven.keys() | left.keys() | report.failed.keys())
    rows = [
        (reason or "(none)", str(report.redriven[reason]), str(left[reason]), str(report.failed[reason]))
        for reason in reasons
    ]
    _print_table(("reason", "redriven", "left", "failed"), rows, numbers=(1, 2, 3))
    _print_left(report)
    if report.acknowledged:
        _print_line(f"published by an earlier run, acknowledged now: {report.acknowledged}")


def note(text: str) -> None:
    """Print a sentence for people on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class _Lines:
    def __init__(self, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._next_s = time.monotonic() + _LINE_EVERY_S

    def __call__(self, report: Report) -> None:
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _LINE_EVERY_S
            note(_so_far(report, self._dry_run))


def _done(report: Report, dry_run: bool) -> int:
    if dry_run:
        return sum(span.count for span in report.kinds.values())
    return report.redriven.total() + report.failed.total()


def _so_far(report: Report, dry_run: bool) -> str:
    # Nothing is said of what is left while it may still be leased to another run.
    left = f", {report.left.total()} left" if report.left else ""
    if dry_run:
        return f"{_done(report, dry_run)} found{left}"
    failed = f", {report.failed.total()} failed" if report.failed else ""
    return f"{report.redriven.total()} redriven{left}{failed}"


def _print_left(report: Report) -> None:
    why: Counter[Verdict] = Counter()
    for (_, verdict), count in report.left.items():
        why[verdict] += count
    for verdict, count in sorted(why.items()):
        _print_line(f"left as they are, {verdict}: {count}")


def _print_line(text: str) -> None:
    _console().print(Text(text))


def _print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # text of a dead letter is never markup
    _console().print(table)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDTH_IN_A_PIPE, highlight=False)


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
