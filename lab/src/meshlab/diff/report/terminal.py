"""A comparison for a terminal: the objects that differ, the requests by kind of change, and one line of counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from meshlab.bench.report.outcome_texts import printable
from meshlab.bench.report.terminal import print_on
from meshlab.diff.effect import Kind
from meshlab.diff.report.finding_texts import asked, before_and_now, not_known_because, summary
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from meshlab.diff.compare_meshes import Difference
    from meshlab.diff.object_changes import ObjectChange
    from meshlab.diff.result import Finding, Result

__all__ = ["print_result"]

_SHOWN = 30
"""How many requests of a kind, and how many objects, are shown where not all are asked for."""
_SHOWN_FIELDS = 3
_STYLES = {
    Kind.NOW_ALLOWED: "bold red",
    Kind.WITHOUT_MTLS: "bold red",
    Kind.NOW_REFUSED: "bold yellow",
}


def print_result(result: Result, on: Console, *, verbose: bool = False) -> None:
    """Print a comparison.

    Args:
        result: The comparison.
        on: Where to.
        verbose: Also print every request and object where there are many, what was not asked, and notes.
    """
    limit = None if verbose else _SHOWN
    for note in result.notes:
        print_on(on, Text(f"note: {note}", style="dim"), soft_wrap=True)
    named = {number for finding in result.findings for number in finding.because}
    if named or (verbose and result.objects):
        shown = [number for number in range(len(result.objects)) if verbose or number in named]
        _print_objects(result.objects, shown[:limit], len(shown), on)
    for kind in result.counts:
        _print_kind(kind, result.of(kind), limit, on)
    _print_not_known("could not be run:", result.failed, limit, on, "red")
    _print_not_known(
        "not judged, because a proxy on the way cannot be trusted:", result.not_judged, limit, on, "yellow"
    )
    if verbose:
        for heading, lines in (
            ("not asked:", list(result.not_covered)),
            (
                "neither side has the sender or the target of:",
                [question.case.name for question in result.nowhere],
            ),
            ("ends by chance, in the same way on both sides:", [each.case.name for each in result.by_chance]),
        ):
            _print_lines(heading, lines, on)
    print_on(on, Text(printable(summary(result)), style="bold"), soft_wrap=True)


def _print_objects(objects: Sequence[ObjectChange], numbers: Sequence[int], count: int, on: Console) -> None:
    print_on(on, Text("changed objects that are likely why:", style="bold"))
    for number in numbers:
        change = objects[number]
        head = Text.assemble(
            (f"  [{number + 1}] ", "cyan"), printable(change.subject), (f"  {one_line(change.place)}", "cyan")
        )
        print_on(on, head, soft_wrap=True)
        if not change.fields:
            print_on(on, Text(f"      {change.what}", style="dim"))
        for field in change.fields[:_SHOWN_FIELDS]:
            text = f"      {printable(field.path)}: {printable(field.old)}, now {printable(field.new)}"
            print_on(on, Text(text, style="dim"), soft_wrap=True)
        if len(change.fields) > _SHOWN_FIELDS:
            print_on(on, Text(f"      and {len(change.fields) - _SHOWN_FIELDS} more fields", style="dim"))
    if count > len(numbers):
        print_on(on, Text(f"  and {count - len(numbers)} more; -v shows all", style="dim"))
    on.print()


def _print_kind(kind: Kind, findings: Sequence[Finding], limit: int | None, on: Console) -> None:
    print_on(on, Text(f"{kind}: {len(findings)}", style=_STYLES.get(kind, "bold")))
    callers: dict[str, list[Finding]] = {}
    for finding in findings[:limit]:
        callers.setdefault(asked(finding.difference)[0], []).append(finding)
    for caller, found in callers.items():
        print_on(on, Text(f"  {printable(caller)}"), soft_wrap=True)
        print_on(on, _table(found))
    if limit is not None and len(findings) > limit:
        print_on(on, Text(f"  and {len(findings) - limit} more; -v shows all", style="dim"))
    on.print()


def _table(findings: Sequence[Finding]) -> Table:
    """Return the requests of one caller: what is asked, what became of it and what becomes of it now, and why."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(width=3)
    for ratio in (4, 5, 0, 5):
        table.add_column(overflow="fold", ratio=ratio or None)
    table.add_column(no_wrap=True)
    for finding in findings:
        before, now = before_and_now(finding)
        because = " ".join(f"[{number + 1}]" for number in finding.because[:_SHOWN_FIELDS])
        table.add_row(
            "",
            Text(printable(asked(finding.difference)[1])),
            Text(printable(before), style="dim"),
            "->",
            Text(printable(now)),
            Text(because, style="cyan"),
        )
    return table


def _print_not_known(
    heading: str, found: Sequence[Difference], limit: int | None, on: Console, style: str
) -> None:
    if not found:
        return
    print_on(on, Text(heading, style=f"bold {style}"))
    groups: dict[str, list[str]] = {}
    for difference in found:
        groups.setdefault(not_known_because(difference), []).append(difference.question.case.name)
    for reason, names in groups.items():
        print_on(on, Text(f"  {printable(reason)}", style=style), soft_wrap=True)
        for name in names[:limit]:
            print_on(on, Text(f"    {printable(name)}"), soft_wrap=True)
        if limit is not None and len(names) > limit:
            print_on(on, Text(f"    and {len(names) - limit} more; -v shows all", style="dim"))
    on.print()


def _print_lines(heading: str, lines: Sequence[str], on: Console) -> None:
    if lines:
        print_on(on, Text(heading, style="bold"))
        for line in lines:
            print_on(on, Text(f"  {printable(line)}", style="dim"), soft_wrap=True)
        on.print()
