"""Coverage of the cases as a person reads it: a table by object, then what is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from meshlab.bench.case_coverage.items import KINDS
from meshlab.bench.report.outcome_texts import printable
from meshlab.bench.report.terminal import print_on
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from meshlab.bench.case_coverage.coverage import Count, Coverage, Missed

__all__ = ["print_coverage"]

_WIDE = 100
_HEADS = {"rule": "rules", "condition": "conditions", "route": "routes", "server": "servers"}


def print_coverage(coverage: Coverage, on: Console) -> None:
    """Print the coverage of a run.

    Args:
        coverage: The coverage.
        on: Where to.
    """
    on.print()
    if not coverage.items:
        print_on(on, Text("coverage: the manifests have no rule, route or server that a case can exercise"))
        return
    print_on(on, _table(coverage, narrow=on.width < _WIDE))
    if coverage.missed:
        on.print()
        print_on(on, Text("no case exercises:", style="bold yellow"))
    for missed in coverage.missed:
        print_on(on, _missed(missed), soft_wrap=True)
    total = coverage.total
    style = "bold green" if not coverage.missed else "bold yellow"
    print_on(on, Text(f"coverage {total.percent:g} %: {total.exercised} of {total.total}", style=style))


def _table(coverage: Coverage, *, narrow: bool) -> Table:
    """Return a line for each object; a narrow one has the place below the object."""
    table = Table(
        box=None, pad_edge=False, title="coverage of the cases", title_justify="left", title_style="bold",
        header_style="bold",
    )  # fmt: skip
    table.add_column("object", overflow="fold")
    if not narrow:
        table.add_column("at", overflow="fold", style="cyan")
    for kind in KINDS:
        table.add_column(_HEADS[kind], justify="right", no_wrap=True)
    for owner in coverage.objects:
        place = one_line(f"{owner.file}:{owner.line}")
        cells = (_cell(coverage.of(kind, owner)) for kind in KINDS)
        what = (f"{printable(owner.object)}\n  {place}",) if narrow else (printable(owner.object), place)
        table.add_row(*what, *cells)
    head = ("all",) if narrow else ("all", "")
    table.add_row(*head, *(_cell(count, percent=True) for count in coverage.kinds.values()), style="bold")
    return table


def _cell(count: Count, *, percent: bool = False) -> Text:
    if not count.total:
        return Text("")
    share = f"  {count.percent:g} %" if percent else ""
    style = "" if count.exercised == count.total else "yellow"
    return Text(f"{count.exercised}/{count.total}{share}", style=style)


def _missed(missed: Missed) -> Text:
    place = missed.item.place
    what = f"{place.object}: {place.path}" + (f": {missed.item.text}" if missed.item.text else "")
    return Text.assemble(
        (f"  {one_line(f'{place.file}:{place.line}')}  ", "cyan"),
        f"{missed.item.kind} of {printable(what)}\n      {printable(missed.reason)}",
    )
