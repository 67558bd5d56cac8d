"""Tables of a report as HTML: with headings, and with a symbol and a word beside each colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.html_report.markup import Markup, element
from meshlab.html_report.report import TONES, Cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.html_report.report import Entry, Row, Section, Table

__all__ = ["plain_section", "section"]


def section(found: Section, entries: Sequence[Entry]) -> Markup:
    """Return the tables under one heading.

    Args:
        found: The tables.
        entries: The entries that the cells open.
    """
    heading = element("h3", {}, found.heading)
    return element("div", {"class": "file"}, heading, *(_table(table, entries) for table in found.tables))


def plain_section(found: Section) -> Markup:
    """Return tables under a heading of their own, whose cells are texts and open nothing.

    Args:
        found: The tables.
    """
    tables = (_plain_table(table) for table in found.tables)
    return element("section", {"class": "remarks further"}, element("h2", {}, found.heading), *tables)


def _plain_table(table: Table) -> Markup:
    rows = (
        element(
            "tr",
            {},
            element("th", {"scope": "row"}, _name(row.name)),
            *(element("td", {"class": "text"}, cell) for cell in row.cells if isinstance(cell, str)),
        )
        for row in table.rows
    )
    return element(
        "div",
        {"class": "scroll"},
        element(
            "table",
            {},
            element("caption", {}, table.name),
            element("thead", {}, element("tr", {}, *map(_head, (table.corner, *table.columns)))),
            element("tbody", {}, *rows),
        ),
    )


def _table(table: Table, entries: Sequence[Entry]) -> Markup:
    names = ["verdict", table.corner] if table.listed else [table.corner]
    heads = [_head(name) for name in (*names, *table.columns)]
    return element(
        "div",
        {"class": "scroll list" if table.listed else "scroll"},
        element(
            "table",
            {"role": "grid", "aria-readonly": "true"},
            element("caption", {}, table.name),
            element("thead", {}, element("tr", {}, *heads)),
            element("tbody", {}, *(_row(row, table, entries) for row in table.rows)),
        ),
    )


def _row(row: Row, table: Table, entries: Sequence[Entry]) -> Markup:
    head = element("th", {"scope": "row"}, _name(row.name))
    cells = list(_cells(row, entries))
    first = [cells.pop(0)] if table.listed and cells else []
    return element("tr", {}, *first, head, *cells)


def _head(text: str) -> Markup:
    return element("th", {"scope": "col"}, _name(text)) if text else element("td")


def _name(text: str) -> Markup:
    """Return a heading in a box of its own, so that a style can say how wide it may become before it breaks."""
    return element("span", {"class": "name"}, text)


def _cells(row: Row, entries: Sequence[Entry]) -> Iterator[Markup]:
    for cell in row.cells:
        if isinstance(cell, Cell):
            yield element("td", {}, _button(cell, entries[cell.entry]))
        elif cell is None:
            hidden = element("span", {"aria-hidden": "true"}, "–")  # noqa: RUF001 - a dash for nothing
            yield element("td", {"class": "none"}, hidden, element("span", {"class": "sr"}, "no case"))
        else:
            yield element("td", {"class": "text"}, cell)


def _button(cell: Cell, entry: Entry) -> Markup:
    tone = TONES[entry.tone]
    # The word is heard where it is not written.
    word = () if tone.word in cell.text else (element("span", {"class": "sr"}, f"{tone.word}: "),)
    return element(
        "button",
        {"type": "button", "class": f"cell {entry.tone}", "data-entry": cell.entry},
        element("span", {"class": "mark", "aria-hidden": "true"}, tone.mark),
        element("span", {}, *word, cell.text),
    )
