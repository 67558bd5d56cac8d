"""Who reaches what, as a person reads it: a summary first, then a matrix for each target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from meshlab.bench.report.outcome_texts import printable
from meshlab.bench.report.terminal import print_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from meshlab.reach.matrix import Block, Matrix
    from meshlab.reach.outcome import Answer

__all__ = ["print_reach"]

_MARKS = {"allowed": "✓", "refused": "✗", "not judged": "?", "error": "!"}
_PLAIN_MARKS = {"allowed": "+", "refused": "x", "not judged": "?", "error": "!"}
_STYLES = {"allowed": "bold green", "refused": "red", "not judged": "yellow", "error": "bold red"}
_MOST_CALLERS = 8
_MOST_REASONS = 5
_MOST_NAMES = 2
_BLANKS = ("·", "-")
_STRANGER = "stranger"
_STRANGERS = "stranger/stranger, stranger.example, 203.0.113.9: a workload and hosts that no manifest names"
_GAP = 2
_LEAST_NAME = 24


def print_reach(
    matrices: Sequence[Matrix], on: Console, *, not_covered: Sequence[str] = (), verbose: bool = False
) -> None:
    """Print who reaches what.

    Args:
        matrices: A matrix for each target.
        on: Where to.
        not_covered: What was not asked, one sentence each.
        verbose: Whether every name of a group is shown.
    """
    asked = sum(len(matrix.answers) for matrix in matrices)
    targets = "1 target" if len(matrices) == 1 else f"{len(matrices)} targets"
    requests = "1 request" if asked == 1 else f"{asked} requests"
    print_on(on, Text(f"{requests} for {targets}{_doubtful(matrices)}", style="bold"))
    on.print()
    for matrix in matrices:
        _print_summary(matrix, on, verbose=verbose)
    for matrix in matrices:
        _print_matrix(matrix, on, verbose=verbose)
    print_on(on, Text(_legend(on), style="dim"))
    if any(_STRANGER in name for matrix in matrices for name in (matrix.target, *matrix.callers)):
        print_on(on, Text(_STRANGERS, style="dim"))
    if not_covered:
        on.print()
        print_on(on, Text("Not asked:", style="bold"))
        for sentence in not_covered:
            print_on(on, Text(f"  {printable(sentence)}"))


def _doubtful(matrices: Sequence[Matrix]) -> str:
    """Return how many requests have no verdict, for the first line."""
    states = [answer.access for matrix in matrices for answer in matrix.answers]
    parts = ((states.count("not judged"), "not judged"), (states.count("error"), "could not be run"))
    return "".join(f"; {count} {what}" for count, what in parts if count)


def _print_summary(matrix: Matrix, on: Console, *, verbose: bool) -> None:
    who = matrix.reached_by
    count = f"reached by {len(who)} of {len(matrix.callers)} callers"
    print_on(on, Text.assemble((printable(matrix.target), "bold"), f"  {count}"))
    shown = who if verbose else who[:_MOST_CALLERS]
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=3, justify="right", style="green")
    grid.add_column(overflow="fold")
    for name in shown:
        grid.add_row(_marks(on)["allowed"], Text(printable(name)))
    if shown:
        print_on(on, grid)
    if len(who) > len(shown):
        print_on(on, Text(f"    and {len(who) - len(shown)} more; -v shows all", style="dim"))
    for answer in _elsewhere(matrix):
        text = f"  {printable(answer.question.caller)}: {printable(answer.question.request_class)}"
        print_on(on, Text(f"{text} was answered by {printable(answer.by)}", style="yellow"))
    doubts: dict[str, int] = {}
    for answer in matrix.answers:
        if answer.access in ("not judged", "error"):
            what = "not judged" if answer.access == "not judged" else "could not be run"
            key = f"{what}: {printable(answer.reason)}"
            doubts[key] = doubts.get(key, 0) + 1
    for text, number in list(doubts.items())[: None if verbose else _MOST_REASONS]:
        noun = "request" if number == 1 else "requests"
        print_on(on, Text(f"  {number} {noun} {text}", style="yellow"))
    on.print()


def _elsewhere(matrix: Matrix) -> list[Answer]:
    """Return one answer for each other application that answered a caller."""
    found: dict[tuple[str, str], Answer] = {}
    for answer in matrix.answers:
        if answer.elsewhere:
            found.setdefault((answer.question.caller, answer.by), answer)
    return list(found.values())


def _print_matrix(matrix: Matrix, on: Console, *, verbose: bool) -> None:
    for block in matrix.blocks:
        title = Text.assemble((printable(matrix.target), "bold"), f"  {printable(block.title)}")
        print_on(on, title)
        _print_block(block, on, verbose=verbose)
        on.print()


def _print_block(block: Block, on: Console, *, verbose: bool) -> None:
    names = [
        _group([block.short(each) for each in block.everyone(row)], "callers", verbose=verbose)
        for row in block.rows
    ]
    cells = [[_cell(block.at(row, column), on) for column in block.columns] for row in block.rows]
    widths = [
        max(len(str(index + 1)), *(len(row[index]) for row in cells)) for index in range(len(block.columns))
    ]
    for part in _packed(widths, on.width):
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        table.add_column("", overflow="fold", min_width=_LEAST_NAME)
        for index in part:
            table.add_column(str(index + 1), no_wrap=True, width=widths[index])
        for name, row in zip(names, cells, strict=True):
            if any(row[index].plain not in _BLANKS for index in part):
                table.add_row(Text(name), *(row[index] for index in part))
        print_on(on, table)
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    grid.add_column(justify="right", style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for index, column in enumerate(block.columns):
        grid.add_row(str(index + 1), Text(_group(column, "requests", verbose=verbose)))
    print_on(on, grid)


def _packed(widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """Yield the columns in groups that fit beside the names of the rows."""
    room = max(width - 2 * _LEAST_NAME, width // 3)
    group: list[int] = []
    used = 0
    for index, needed in enumerate(widths):
        if group and used + needed + _GAP > room:
            yield group
            group, used = [], 0
        group.append(index)
        used += needed + _GAP
    yield group


def _cell(answer: Answer | None, on: Console) -> Text:
    if answer is None:
        return Text("·" if _marks(on) is _MARKS else "-", style="dim")
    mark = _marks(on)[answer.access]
    if answer.access in ("not judged", "error"):
        return Text(mark, style=_STYLES[answer.access])
    where = "*" if answer.elsewhere else ""
    return Text(f"{mark} {answer.word}{where}", style=_STYLES[answer.access])


def _group(names: Sequence[str], what: str, *, verbose: bool) -> str:
    """Return the first names of a group, and how many more there are."""
    shown = names if verbose else names[:_MOST_NAMES] if len(names) <= _MOST_NAMES else names[:1]
    text = "; ".join(map(printable, shown))
    more = len(names) - len(shown)
    return f"{text} (and {more} more {what})" if more else text


def _legend(on: Console) -> str:
    marks = _marks(on)
    blank = "·" if marks is _MARKS else "-"
    return (
        f"{marks['allowed']} an application or a host outside answered, * another one than the target\n"
        f"{marks['refused']} a proxy answered, or the connection ended without an answer\n"
        f"{marks['not judged']} not judged  {marks['error']} could not be run  {blank} not asked"
    )


def _marks(on: Console) -> dict[str, str]:
    return _MARKS if on.encoding.lower().startswith("utf") else _PLAIN_MARKS
