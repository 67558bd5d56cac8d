"""Result of a check as text for a person."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from meshlab.bench.check.refusal_texts import traffic
from meshlab.bench.report.terminal import print_on
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from meshlab.bench.check.checked import Checked
    from meshlab.bench.check.each import CheckedInput, State, Totals
    from meshlab.istio.model.trust import Refusal
    from meshlab.manifest import Problem

__all__ = ["print_checked", "print_each", "summary"]

_STYLES = {"read": "green", "refused": "yellow", "template": "dim"}


def print_checked(checked: Checked, on: Console) -> None:
    """Print the refusals by file, then notes and what is passed over, then one line of counts."""
    for file, refusals in _by_file(checked.refusals).items():
        print_on(on, Text(one_line(file), style="bold"), soft_wrap=True)
        for refusal in refusals:
            _print_problems(refusal.problems, on, style="yellow")
            for what in traffic(refusal):
                print_on(on, _indented(f"not judged: {what}", on, "dim", 4), soft_wrap=True)
        on.print()
    if checked.notes:
        print_on(on, Text("legal in Istio, and perhaps not meant:", style="bold"))
        for note in checked.notes:
            print_on(on, _indented(str(note), on, "cyan", 2), soft_wrap=True)
        on.print()
    for heading, lines in (
        ("not enforced:", checked.not_enforced),
        ("passed over:", tuple(_passed_over(checked))),
    ):
        if lines:
            print_on(on, Text(heading, style="bold"))
            for line in lines:
                print_on(on, _indented(line, on, "dim", 2), soft_wrap=True)
            on.print()
    print_on(on, Text(summary(checked), style="bold"))


def summary(checked: Checked) -> str:
    """Return the counts in one line, such as `12 objects: 1 refused, 2 notes`."""
    parts = [f"{len(checked.refusals)} refused" if checked.refusals else "nothing refused"]
    if checked.notes:
        parts.append(_count(len(checked.notes), "note"))
    return f"{_count(len(checked.objects), 'object')}: {', '.join(parts)}"


def print_each(checked: Sequence[CheckedInput], counted: Totals, on: Console, noun: str) -> None:
    """Print a table of inputs, the reasons by frequency, and the totals.

    Args:
        checked: The inputs.
        counted: Their totals.
        on: Where to.
        noun: What an input is, such as `file`.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(noun, overflow="fold", ratio=3)
    table.add_column("objects", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("first reason", overflow="fold", ratio=4)
    for found in checked:
        first = _reason_of(found.problems[0]) if found.problems else ""
        state = Text(found.state, style=_STYLES[found.state])
        table.add_row(one_line(found.name), str(found.objects) if found.objects else "", state, first)
    print_on(on, table)
    on.print()
    if counted.reasons:
        print_on(
            on, Text("reasons, with the number of inputs that each keeps from being read:", style="bold")
        )
        for why, count in counted.reasons:
            print_on(on, _indented(f"{count:>4}  {why}", on, "yellow", 0, hanging=6), soft_wrap=True)
        on.print()
    nouns = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    for label, counts in (
        (f"{nouns} with objects of Istio or the Gateway API", counted.inputs),
        (f"{nouns} with policies", counted.policies),
        (f"{nouns} with workloads and Services beside them", counted.applications),
    ):
        if counts:
            print_on(on, _totals_line(label, counts))


def _totals_line(label: str, counts: Counter[State]) -> Text:
    judged = counts["read"] + counts["refused"]
    share = f" ({100 * counts['read'] / judged:.0f} %)" if judged else ""
    templates = f", and {counts['template']} templates" if counts["template"] else ""
    return Text(f"{label}: {counts['read']} of {judged} read{share}{templates}", style="bold")


def _by_file(refusals: Sequence[Refusal]) -> dict[str, list[Refusal]]:
    found: dict[str, list[Refusal]] = {}
    for refusal in refusals:
        found.setdefault(refusal.problems[0].source, []).append(refusal)
    return found


def _print_problems(problems: Sequence[Problem], on: Console, *, style: str) -> None:
    for problem in problems:
        line = f"{problem.line}: " if problem.line else ""
        print_on(on, _indented(f"{line}{_reason_of(problem)}", on, style, 2), soft_wrap=True)


def _reason_of(problem: Problem) -> str:
    return one_line(": ".join(part for part in (problem.subject, problem.path, problem.text) if part))


def _passed_over(checked: Checked) -> Iterator[str]:
    kinds = Counter(found.kind for found in checked.mesh.passed_over)
    if kinds:
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        yield f"{listed}: kinds that never decide a request"
    for file in checked.inputs.passed_over:
        yield f"{file.file}: {file.reason}"


def _indented(text: str, on: Console, style: str, indent: int, hanging: int = 2) -> Text:
    import textwrap

    room = " " * indent
    wrapped = textwrap.fill(
        text,
        max(on.width, 40),
        initial_indent=room,
        subsequent_indent=room + " " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return Text(wrapped, style=style)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
