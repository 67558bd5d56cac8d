"""A comparison as GitHub flavoured Markdown, for a comment on a pull request.

Every text of a manifest, a case file or a response stands in a code span on one line, where Markdown, HTML, mentions,
links and references mean nothing. Long lists are folded, and the whole stays below what a comment may hold.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING

from meshlab.diff.effect import Kind
from meshlab.diff.report.finding_texts import asked, before_and_now, not_known_because, summary
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.diff.compare_meshes import Difference
    from meshlab.diff.object_changes import ObjectChange
    from meshlab.diff.result import Finding, Result

__all__ = ["MOST_CHARACTERS", "as_markdown", "code", "code_in_cell"]

MOST_CHARACTERS = 60_000
"""GitHub takes comments of up to 65,536 characters."""
_CELL_CHARACTERS = 240
_OPEN_ROWS = 15
"""How many rows of a kind are shown without being unfolded."""
_LIMITS = (1000, 300, 100, 30, 10, 3, 1, 0)


def as_markdown(result: Result) -> str:
    """Return a comparison as Markdown of at most `MOST_CHARACTERS`."""
    for limit in _LIMITS:
        text = "\n".join(_lines(result, limit)) + "\n"
        if len(text) <= MOST_CHARACTERS:
            break
    return text


def code(text: str) -> str:
    """Return a text as a code span, for any place but the cell of a table.

    Args:
        text: Any text of the user's or of a response.
    """
    return _span(one_line(text, _CELL_CHARACTERS) or " ")


def code_in_cell(text: str) -> str:
    """Return a text as a code span that a table's cell can hold.

    Args:
        text: Any text of the user's or of a response.
    """
    return _span("".join(_without_bars(one_line(text, _CELL_CHARACTERS) or " ")))


def _span(line: str) -> str:
    runs = {len(run) for run in re.findall("`+", line)}
    fence = "`" * next(length for length in count(1) if length not in runs)
    room = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{room}{line}{room}{fence}"


def _without_bars(line: str) -> Iterator[str]:
    r"""Yield characters, a bar as `\|`, which a table's cell takes for a bar of its text and not for its end.

    After an odd number of backslashes it would be the cell's end again, so another character stands there.
    """
    backslashes = 0
    for character in line:
        if character == "|":
            yield "\N{BROKEN BAR}" if backslashes % 2 else "\\|"
        else:
            yield character
        backslashes = backslashes + 1 if character == "\\" else 0


def _lines(result: Result, limit: int) -> Iterator[str]:
    yield f"### meshlab diff: {code(result.old)} to {code(result.new)}"
    yield ""
    yield f"**{_sentence(summary(result))}**"
    for note in result.notes:
        yield f"- {code(note)}"
    for kind in result.counts:
        yield from _kind(kind, result.of(kind), limit)
    named = sorted({number for finding in result.findings for number in finding.because})
    if named:
        yield from _folded(
            "Changed objects that are likely why", list(_objects(result.objects, named)), limit
        )
    for title, found in (
        ("Requests that could not be run", result.failed),
        ("Requests that are not judged", result.not_judged),
    ):
        if found:
            yield from _folded(f"{title}: {len(found)}", list(map(_not_known, found)), limit)
    if result.not_covered:
        yield from _folded("What was not asked", [f"- {code(text)}" for text in result.not_covered], limit)


def _kind(kind: Kind, findings: Sequence[Finding], limit: int) -> Iterator[str]:
    yield ""
    yield f"#### {_sentence(kind)}: {len(findings)}"
    open_rows = min(limit, _OPEN_ROWS) if kind is Kind.NOW_ALLOWED else 0
    yield from _table(findings[:open_rows])
    if rest := findings[open_rows:]:
        yield from _folded("Requests" if open_rows == 0 else "More requests", list(_rows(rest)), limit, _HEAD)


_HEAD = ("| caller | request | before | now | because of |", "|---|---|---|---|---|")


def _table(findings: Sequence[Finding]) -> Iterator[str]:
    if findings:
        yield ""
        yield from _HEAD
        yield from _rows(findings)


def _rows(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        cells = [code_in_cell(text) for text in (*asked(finding.difference), *before_and_now(finding))]
        because = ", ".join(str(number + 1) for number in finding.because)
        yield f"| {' | '.join(cells)} | {because} |"


def _objects(objects: Sequence[ObjectChange], numbers: Sequence[int]) -> Iterator[str]:
    for number in numbers:
        change = objects[number]
        text = f"- {number + 1}: {code(change.subject)} at {code(change.place)}"
        yield f"{text}: {code(change.summary)}" if change.fields else f"{text}: {change.what}"


def _not_known(difference: Difference) -> str:
    return f"- {code(difference.question.case.name)}: {code(not_known_because(difference))}"


def _folded(title: str, lines: Sequence[str], limit: int, head: Sequence[str] = ()) -> Iterator[str]:
    """Yield lines that a reader unfolds; of many, the first."""
    yield ""
    yield f"<details><summary>{title}</summary>"
    yield ""
    if lines[:limit]:
        yield from head
        yield from lines[:limit]
        yield ""
    if len(lines) > limit:
        yield f"and {len(lines) - limit} more; `meshlab diff --json` has all"
        yield ""
    yield "</details>"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
