"""A report as plain values, before it becomes HTML.

Entries are what a click shows. They stand in the page as JSON, and `data/html_report/report.js` renders them. Tables
and the drawing stand in the page as HTML, so that they can be read without a script.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.html_report.drawing.graph import Graph

__all__ = [
    "TONES",
    "Block",
    "Cell",
    "Count",
    "Entry",
    "Fact",
    "Report",
    "Row",
    "Section",
    "Step",
    "Table",
    "Tone",
]


@dataclass(frozen=True)
class Tone:
    """What a cell says beside its colour.

    Attributes:
        mark: A symbol.
        word: A word.
    """

    mark: str
    word: str


TONES = {
    "failed": Tone("✗", "failed"),
    "error": Tone("!", "could not be run"),
    "not_judged": Tone("?", "not judged"),
    "seen": Tone("·", "seen"),
    "passed": Tone("✓", "passed"),
    "allowed": Tone("✓", "allowed"),
    "refused": Tone("✗", "refused"),
    "stopped": Tone("✗", "refused"),
    "opened": Tone("+", "now allowed"),
    "closed": Tone("−", "now refused"),  # noqa: RUF001 - the minus sign is as wide as the plus
    "changed": Tone("~", "changed"),
    "same": Tone("=", "unchanged"),
    "matches": Tone("✓", "matches"),
    "misses": Tone("✗", "does not match"),
    "holds": Tone("✓", "holds"),
    "lacks": Tone("✗", "does not hold"),
    "unreached": Tone("·", "not reached"),
}
"""The tones by the name that is their class in `data/html_report/report.css`."""


@dataclass(frozen=True)
class Fact:
    """One line of a panel.

    Attributes:
        label: What it is about.
        value: What is so.
        tone: The name of a tone; empty for none.
    """

    label: str
    value: str
    tone: str = ""


@dataclass(frozen=True)
class Step:
    """One step of a list in a panel, such as a proxy, a policy, a rule or a condition.

    Attributes:
        title: What it is.
        tone: The name of a tone; empty for none.
        facts: What is known of it.
        steps: The steps inside of it.
        opened: Whether it is open at first.
    """

    title: str
    tone: str = ""
    facts: tuple[Fact, ...] = ()
    steps: tuple[Step, ...] = ()
    opened: bool = True


@dataclass(frozen=True)
class Block:
    """A part of a panel, with any of these.

    Attributes:
        heading: Its heading; empty for none.
        facts: Labels and values.
        rows: Parts that are compared: its name, two values, and whether they agree.
        heads: What the two values are; empty for what was expected and what was got.
        lines: Sentences.
        code: A text whose lines are kept.
        steps: Steps in their order.
    """

    heading: str = ""
    facts: tuple[Fact, ...] = ()
    rows: tuple[tuple[str, str, str, bool], ...] = ()
    heads: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    code: str = ""
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Entry:
    """What a click shows.

    Attributes:
        title: The heading of the panel.
        tone: The name of a tone; empty for none.
        place: `FILE:LINE`; empty for none.
        blocks: The parts of the panel.
        nodes: The nodes of the drawing on its way, by their ids, in their order.
        node: The node that it describes; empty where it is about a request.
        words: More words that a search finds it by.
    """

    title: str
    tone: str = ""
    place: str = ""
    blocks: tuple[Block, ...] = ()
    nodes: tuple[str, ...] = ()
    node: str = ""
    words: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell that can be opened.

    Attributes:
        entry: The index of its entry.
        text: What it says, in a word or two.
    """

    entry: int
    text: str


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
        name: Its heading.
        cells: Its cells in the order of the columns; `None` for none, and a text for what cannot be opened.
    """

    name: str
    cells: tuple[Cell | str | None, ...]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Its caption.
        corner: What its rows are, such as `from`.
        columns: The headings of its columns.
        rows: Its rows.
        listed: Whether it is a list with one cell a row that opens, rather than a matrix.
    """

    name: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    listed: bool = False


@dataclass(frozen=True)
class Section:
    """Tables under one heading.

    Attributes:
        heading: The heading, such as the name of a case file.
        tables: Its tables.
    """

    heading: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Count:
    """How many entries of one tone there are."""

    tone: str
    count: int


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes:
        title: The result in one sentence.
        tone: The name of the tone of the whole.
        subtitle: The command, its inputs and its time, in short texts.
        counts: The counts of its tones, the worst first; only those that occur.
        entries: What clicks show.
        sections: The tables.
        graph: The drawing; `None` for none.
        further: Tables below the results, which no filter concerns and whose cells open nothing.
        remarks: Headings to sentences, such as what is not covered.
        unit: What the cells of its tables are.
    """

    title: str
    tone: str
    subtitle: tuple[str, ...] = ()
    counts: tuple[Count, ...] = ()
    entries: tuple[Entry, ...] = ()
    sections: tuple[Section, ...] = ()
    graph: Graph | None = None
    further: tuple[Section, ...] = ()
    remarks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unit: str = "cases"
