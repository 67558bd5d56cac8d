"""A run as a person reads it: failures first, then what was not judged, then one line of counts."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from meshlab.bench.report.matrix import matrix_tables
from meshlab.bench.report.outcome_texts import (
    expected,
    hop_lines,
    observed,
    place,
    printable,
    reasons,
    request,
)
from meshlab.visible_text import one_line, visible, without_log_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

    from rich.console import ConsoleOptions, RenderableType

    from meshlab.bench.report.run import Run
    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["SafeConsole", "block", "changes", "console", "counts", "full", "print_on"]

# Without a terminal there is no width to fit into; logs of CI systems show about this much.
_PIPE_WIDTH = 100
_LABEL_WIDTH = 10
_HOP_INDENT = 3
_FILLING = re.compile(r"[ ]+((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)
_EVIDENT = ("status", "refused", "answered", "app", "proxy", "subset", "policy", "rule", "says")
"""Parts of an expectation that the lines `expected` and `got` show."""
_STYLES = {"failed": "red", "error": "red", "not judged": "yellow", "seen": "cyan", "passed": "green"}


class SafeConsole(Console):
    """A console that writes no control characters but its own, and no command to a CI system that reads the log."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the parts of what is printed, each as visible text."""
        for part in super().render(renderable, options):
            yield part if part.control else Segment(visible(part.text), part.style)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        # The only place where rich has the lines as they are printed, wrapped and side by side.
        return without_log_commands(super()._render_buffer(buffer))


def console(file: TextIO | None = None) -> Console:
    """Return a console that honours NO_COLOR, COLUMNS and pipes."""
    stream = sys.stdout if file is None else file
    plain = SafeConsole(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=False)
    if plain.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return plain
    return SafeConsole(file=stream, width=_PIPE_WIDTH, markup=False, highlight=False, emoji=False)


def full(run: Run, on: Console, *, verbose: bool = False) -> None:
    """Print a run.

    Args:
        run: The run.
        on: Where to.
        verbose: Also print every case, every matrix, and everything that the compiler does not know.
    """
    if verbose:
        _print_all(run, on)
    for outcome in run.having("failed"):
        print_on(on, block(outcome, on))
    _print_errors(run, on, verbose=verbose)
    for case_file in run.case_files:
        for matrix in case_file.matrices:
            shown = {
                outcome.case.name: outcome
                for outcome in run.outcomes
                if outcome.case.place.file == str(case_file.path)
            }
            for table in matrix_tables(matrix, shown, on, only_broken=not verbose):
                print_on(on, table)
    _print_not_judged(run, on, verbose=verbose)
    print_on(on, counts(run))


def counts(run: Run) -> Text:
    """Return the last line: how many cases had which outcome, and how long it took."""
    line = Text()
    for state, count in run.counts.items():
        if count:
            line.append(", " if line else "")
            name = "could not be run" if state == "error" else state
            line.append(f"{count} {name}", style=f"bold {_STYLES[state]}")
    if not line:
        line.append("no case was run", style="bold yellow")
    if run.left_out:
        line.append(f", {run.left_out} left out")
    line.append(f" in {run.duration_s:.2f} s")
    return line


def changes(before: Run, after: Run, on: Console) -> None:
    """Print what another run changed: cases that broke, pass again, appeared or are gone; then the counts."""
    old = {_key(outcome): outcome for outcome in before.outcomes}
    new = {_key(outcome): outcome for outcome in after.outcomes}
    for key, outcome in new.items():
        if key in old and _same(old[key], outcome):
            continue
        if outcome.state in ("failed", "error"):
            print_on(on, block(outcome, on))
            continue
        line = Text.assemble((outcome.state, _STYLES[outcome.state]), f"  {printable(outcome.case.name)}")
        if outcome.state == "not judged":
            line.append(f": {reasons(outcome)[0]}")
        print_on(on, line)
    for key in old:
        if key not in new:
            print_on(on, Text.assemble(("gone", "dim"), f"  {printable(key[1])}"))
    print_on(on, counts(after))


def print_on(on: Console, what: RenderableType, *, soft_wrap: bool = False) -> None:
    """Print without the spaces that fill lines up; they would be copied, and break in narrower windows.

    Args:
        on: Where to.
        what: What to print.
        soft_wrap: Whether a line that is too long is left to the terminal, so that a path in it stays whole.
    """
    with on.capture() as captured:
        on.print(what, soft_wrap=soft_wrap)
    on.file.write(_FILLING.sub(r"\1", captured.get()))


def _key(outcome: Outcome) -> tuple[str, str]:
    return outcome.case.place.file, outcome.case.name


def _same(before: Outcome, after: Outcome) -> bool:
    return (before.state, before.mismatches, before.reasons) == (
        after.state,
        after.mismatches,
        after.reasons,
    )


def block(outcome: Outcome, on: Console, *, named: bool = True) -> RenderableType:
    """Return everything about one case that has not passed.

    Args:
        outcome: The outcome of the case.
        on: The console, whose encoding counts.
        named: Whether it begins with the name of the case.
    """
    mark = "✗" if _has_marks(on) else "x"
    head = Text(f"{mark} {printable(outcome.case.name)}", style=f"bold {_STYLES[outcome.state]}")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=_LABEL_WIDTH, style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in _lines(outcome):
        grid.add_row(f"  {label}", text)
    return Group(head, grid, "") if named else grid


def _lines(outcome: Outcome) -> Iterator[tuple[str, RenderableType]]:
    """Yield the lines of one case that has not passed, each with its label."""
    yield "at", Text(place(outcome.case), style="cyan")
    yield "request", Text(request(outcome.case))
    if outcome.state == "error":
        yield from _labelled("error", reasons(outcome), "red")
        return
    if outcome.state == "not judged":
        yield from _labelled("reason", reasons(outcome), "yellow")
    yield "expected", Text(expected(outcome.case.expect), style="green")
    yield "got", Text(observed(outcome.verdict), style="red")
    evident = [mismatch.part for mismatch in outcome.mismatches if mismatch.part in _EVIDENT]
    others = [printable(str(mismatch)) for mismatch in outcome.mismatches if mismatch.part not in _EVIDENT]
    differs = [", ".join(evident)] if evident else []
    yield from _labelled("differs", [*differs, *others], "")
    for number, hop in enumerate(outcome.verdict.hops if outcome.verdict else (), start=1):
        first, *more = hop_lines(hop)
        yield "hops" if number == 1 else "", Text(f"{number}. {first}")
        for line in more:
            yield "", Padding(Text(line, style="dim"), (0, 0, 0, _HOP_INDENT))


def _labelled(label: str, texts: Sequence[str], style: str) -> Iterator[tuple[str, Text]]:
    for index, text in enumerate(texts):
        yield label if index == 0 else "", Text(text, style=style)


def _print_not_judged(run: Run, on: Console, *, verbose: bool) -> None:
    """Print the cases that were not judged, grouped by their reasons."""
    groups = _by_reasons(run.having("not judged"))
    if groups:
        print_on(on, Text("not judged, because a proxy on the way cannot be trusted:", style="bold yellow"))
    for why, outcomes in groups.items():
        print_on(on, _group(why, outcomes, "yellow", verbose=verbose))
    if groups:
        on.print()


def _print_errors(run: Run, on: Console, *, verbose: bool) -> None:
    """Print the cases that could not be run, each by itself unless several have the same reasons."""
    groups = _by_reasons(run.having("error"))
    shared = {why: outcomes for why, outcomes in groups.items() if len(outcomes) > 1}
    for why, outcomes in groups.items():
        if why not in shared:
            print_on(on, block(outcomes[0], on))
    if shared:
        print_on(on, Text("could not be run:", style="bold red"))
    for why, outcomes in shared.items():
        print_on(on, _group(why, outcomes, "red", verbose=verbose))
    if shared:
        on.print()


def _by_reasons(outcomes: Sequence[Outcome]) -> dict[tuple[str, ...], list[Outcome]]:
    groups: dict[tuple[str, ...], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(reasons(outcome), []).append(outcome)
    return groups


def _group(why: Sequence[str], outcomes: Sequence[Outcome], style: str, *, verbose: bool) -> Table:
    """Return reasons and the cases that share them."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(overflow="fold")
    for reason in why:
        grid.add_row("", Text(reason, style=style))
    limit = len(outcomes) if verbose else _SHOWN_OF_A_GROUP
    for outcome in outcomes[:limit]:
        grid.add_row("", f"  {printable(outcome.case.name)}  ({place(outcome.case)})")
    if len(outcomes) > limit:
        grid.add_row("", f"  and {len(outcomes) - limit} more; -v shows all")
    return grid


_SHOWN_OF_A_GROUP = 5


def _print_all(run: Run, on: Console) -> None:
    for note in run.notes:
        print_on(on, Text(f"note: {note}", style="dim"))
    for refusal in run.refusals:
        print_on(on, Text(f"refused: {refusal}", style="yellow"))
    for case_file in run.case_files:
        outcomes = run.of(case_file)
        if outcomes:
            print_on(on, _table(one_line(str(case_file.path)), outcomes))
            on.print()


def _table(title: str, outcomes: Sequence[Outcome]) -> Table:
    table = Table(
        box=None, pad_edge=False, title=title, title_justify="left", title_style="bold", header_style="bold"
    )
    table.add_column("verdict", no_wrap=True)
    table.add_column("case", overflow="fold", ratio=3)
    table.add_column("outcome", overflow="fold", ratio=3)
    table.add_column("ms", justify="right", no_wrap=True)
    for outcome in outcomes:
        style = _STYLES[outcome.state]
        what = printable(outcome.verdict.summary) if outcome.verdict else reasons(outcome)[0]
        table.add_row(
            Text(outcome.state, style=style),
            printable(outcome.case.name),
            what,
            f"{outcome.duration_s * 1000:.0f}",
        )
    return table


def _has_marks(on: Console) -> bool:
    return on.encoding.lower().startswith("utf")
