"""Progress of a backfill and its closing table, on a terminal or in a log."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from enrichment_beam.backfill.report import InputReport, Report

LINE_EVERY_S = 10.0
"""Time between two lines of progress where the output is no terminal, in seconds."""

PLAIN_WIDTH = 160
"""Width where the output is no terminal, in characters."""

MAX_INPUTS = 40
"""Inputs in the closing table; the report has all of them."""


class Show:
    """Progress to a terminal as a bar, elsewhere as lines.

    Args:
        out: Where to.
        clock: The monotonic time, in seconds.
        line_every_s: Time between two lines, in seconds.
    """

    def __init__(
        self,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        line_every_s: float = LINE_EVERY_S,
    ) -> None:
        self._console = Console(file=out or sys.stderr, highlight=False)
        if not self._console.is_terminal:
            self._console.width = PLAIN_WIDTH
        self._clock = clock
        self._every_s = line_every_s
        self._began_at = self._line_at = clock()
        self._first: tuple[int, int] | None = None
        self._bar: Progress | None = None

    def note(self, text: str) -> None:
        """Show one sentence."""
        self._console.print(Text(_plain(text)), soft_wrap=True)

    def progress(self, done: int, whole: int, so_far: InputReport) -> None:
        """Show how far it is.

        Args:
            done: How much of the input is done, in bytes or rows.
            whole: How much it is; 0 if unknown.
            so_far: The counts.
        """
        now = self._clock()
        if self._first is None:
            self._first = so_far.records, done
        elapsed_s = max(now - self._began_at, 1e-3)
        rate = (so_far.records - self._first[0]) / elapsed_s
        counts = f"{so_far.records:,} events, {rate:,.0f}/s, {so_far.bad:,} dead-lettered"
        if self._console.is_terminal:
            self._show_bar(done, whole, counts)
        elif now - self._line_at >= self._every_s:
            self._line_at = now
            share = f"{100 * done / whole:.0f} %, " if whole else ""
            gained = done - self._first[1]
            left = (
                f", about {(whole - done) / gained * elapsed_s:,.0f} s left" if whole and gained > 0 else ""
            )
            self.note(f"backfill: {share}{counts}{left}")

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def report(self, report: Report) -> None:
        """Show the closing table."""
        self.close()
        verb = "would be written" if report.is_dry_run else "written"
        table = Table(title="Dry run: nothing was written" if report.is_dry_run else None)
        table.add_column("input", overflow="fold")
        for name in ("records", "rows", verb, "dead-lettered", "dropped", "unreadable", "retries"):
            table.add_column(name, justify="right")
        table.add_column("state")
        shown = report.inputs[:MAX_INPUTS]
        folder = _common_folder([one.name for one in report.inputs])
        for one in (*shown, *([report.total] if len(report.inputs) > 1 else [])):
            table.add_row(
                Text(
                    _short(one.name, folder)
                ),  # a name may have brackets, which are markup in a plain string
                *(
                    f"{n:,}"
                    for n in (one.records, one.rows, one.written, one.bad, one.dropped, one.unreadable)
                ),
                f"{one.retries:,}",
                one.state,
            )
        self._console.print(table)
        if len(report.inputs) > len(shown):
            self.note(f"{len(report.inputs) - len(shown)} more inputs are in the report.")
        for about, found in (
            ("dead-lettered", report.total.dead_lettered),
            ("lookups", report.total.lookups),
            ("without the time that --publish-time names", {"events": report.total.undated}),
            ("longer than a message can be, and left out", {"records": report.total.unreadable}),
        ):
            if any(found.values()):
                listed = ", ".join(
                    f"{count:,} {name}" for name, count in sorted(found.items(), key=_most_first)
                )
                self.note(f"{about}: {listed}")
        for reason, example in sorted(report.total.examples.items()):
            self.note(f"{reason}, as in {example}")
        for sentence in report.total.failed[:5]:
            self.note(f"failed: {sentence}")

    def _show_bar(self, done: int, whole: int, counts: str) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("backfill"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[counts]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._bar.add_task("", total=whole or None, counts=counts)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, counts=counts)


def _plain(text: str) -> str:
    """Return a text without what a terminal would take for a command: names of files may hold anything."""
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


def _common_folder(names: Sequence[str]) -> str:
    """Return the folder that all inputs lie in, empty for none."""
    try:
        return os.path.commonpath(names) if len(names) > 1 else ""
    except ValueError:  # some are on this machine and some in a bucket
        return ""


def _short(name: str, folder: str) -> str:
    """Return the name of an input without what all have in common, or without its folder."""
    name = _plain(name)
    if folder and name.startswith(f"{folder}/"):
        return name[len(folder) + 1 :]
    return name.rpartition("/")[2] if name.startswith("/") else name


def _most_first(item: tuple[str, int]) -> int:
    return -item[1]
