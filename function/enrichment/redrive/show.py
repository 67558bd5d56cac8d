"""What a run looks like: a bar where a person watches, a line now and then elsewhere, tables at the end."""

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
    """Shows how a run goes on, on stderr.

    Args:
        limit: How many letters are redriven at most, None if that is not known.
        dry_run: Whether they are only looked at.
    """
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Lines(dry_run)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("looking for letters", total=limit)

        def tell(report: Report) -> None:
            bar.update(task, description=_so_far(report, dry_run), completed=_done(report, dry_run))

        yield tell


def found(report: Report) -> None:
    """Prints what a dry run found."""
    rows = [
        (
            kind.reason,
            kind.stage,
            kind.version,
            str(span.letters),
            _instant(span.oldest),
            _instant(span.newest),
        )
        for kind, span in sorted(report.kinds.items())
    ]
    _print_table(("reason", "stage", "version", "letters", "oldest", "newest"), rows, numbers=(3,))
    _print_left(report)


def done(report: Report) -> None:
    """Prints what a run did."""
    left: Counter[str] = Counter()
    for (reason, _), letters in report.left.items():
        left[reason] += letters
    reasons = sorted(report.redriven.keys() | left.keys() | report.failed.keys())
    rows = [
        (reason or "(none)", str(report.redriven[reason]), str(left[reason]), str(report.failed[reason]))
        for reason in reasons
    ]
    _print_table(("reason", "redriven", "left", "failed"), rows, numbers=(1, 2, 3))
    _print_left(report)


def note(text: str) -> None:
    """Says something to a person, on stderr."""
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
        return sum(span.letters for span in report.kinds.values())
    return report.redriven.total() + report.failed.total()


def _so_far(report: Report, dry_run: bool) -> str:
    left = f"{report.left.total()} left"
    if dry_run:
        return f"{_done(report, dry_run)} found, {left}"
    failed = f", {report.failed.total()} failed" if report.failed else ""
    return f"{report.redriven.total()} redriven, {left}{failed}"


def _print_left(report: Report) -> None:
    why: Counter[Verdict] = Counter()
    for (_, verdict), letters in report.left.items():
        why[verdict] += letters
    for verdict, letters in sorted(why.items()):
        _console().print(Text(f"left as they are, {verdict}: {letters}"))


def _print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # what letters say is never taken for markup
    _console().print(table)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDTH_IN_A_PIPE, highlight=False)


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
