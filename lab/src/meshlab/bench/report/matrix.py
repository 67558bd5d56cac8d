"""Matrix of cases as a table as wide as the terminal; columns that do not fit go below the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from meshlab.bench.report.outcome_texts import ending, printable, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from meshlab.bench.case import Matrix
    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["matrix_tables"]

_GAP = 2
_MAX_NAME = 32
_MARKS = {"passed": "✓", "seen": "·", "failed": "✗", "error": "!", "not judged": "?"}
_PLAIN_MARKS = {"passed": "+", "seen": ".", "failed": "x", "error": "!", "not judged": "?"}
_STYLES = {
    "passed": "green",
    "seen": "cyan",
    "failed": "bold red",
    "error": "bold red",
    "not judged": "yellow",
}


def matrix_tables(
    matrix: Matrix, outcomes: Mapping[str, Outcome], on: Console, *, only_broken: bool
) -> Iterator[Table]:
    """Return a matrix as one table, or as several where its columns do not fit into one.

    Args:
        matrix: The matrix.
        outcomes: The outcomes of its file, by name.
        on: The console, whose width and encoding count.
        only_broken: Whether a matrix whose every cell passed is left out.
    """
    found = {cell: outcomes[name] for cell, name in matrix.cells.items() if name in outcomes}
    if not found or (only_broken and all(outcome.state == "passed" for outcome in found.values())):
        return
    cells = {cell: _cell(outcome, on) for cell, outcome in found.items()}
    for columns in _packed(matrix, cells, on.width):
        yield _table(matrix, columns, cells)


def _table(matrix: Matrix, columns: Sequence[str], cells: Mapping[tuple[str, str], Text]) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, _GAP, 0, 0),
        title=printable(matrix.name),
        title_justify="left",
        title_style="bold",
        header_style="bold",
    )
    table.add_column("", overflow="fold")
    for column in columns:
        table.add_column(_name(column), no_wrap=True)
    for row in matrix.rows:
        table.add_row(_name(row), *(cells.get((row, column), Text("-", style="dim")) for column in columns))
    table.add_row("")
    return table


def _packed(matrix: Matrix, cells: Mapping[tuple[str, str], Text], width: int) -> Iterator[list[str]]:
    """Return the columns in groups, each of which fits beside the names of the rows."""
    room = width - max(len(_name(row)) for row in matrix.rows) - _GAP
    group: list[str] = []
    used = 0
    for column in matrix.columns:
        widths = [len(cells[row, column]) for row in matrix.rows if (row, column) in cells]
        needed = max(len(_name(column)), *widths, 1) + _GAP
        if group and used + needed > room:
            yield group
            group, used = [], 0
        group.append(column)
        used += needed
    yield group


def _cell(outcome: Outcome, on: Console) -> Text:
    marks = _MARKS if on.encoding.lower().startswith("utf") else _PLAIN_MARKS
    got = ending(outcome.verdict)
    text = f"{marks[outcome.state]} {got}"
    if outcome.state == "failed" and outcome.case.expect is not None:
        expected = wanted(outcome.case.expect)
        text += f", not {expected}" if expected != got else ", see above"
    if outcome.state == "not judged":
        text = f"{marks['not judged']} not judged"
    if outcome.state == "error":
        text = f"{marks['error']} error"
    return Text(text, style=_STYLES[outcome.state])


def _name(text: str) -> str:
    line = printable(text)
    return line if len(line) <= _MAX_NAME else f"{line[: _MAX_NAME - 1]}…"
