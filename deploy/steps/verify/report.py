"""The report: text for a reader, JSON for a program."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from typing import TYPE_CHECKING, TextIO

from .finding import Severity, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .finding import Finding

_COLORS = {
    Severity.UNSAFE: "1;31",
    Severity.MISSING: "31",
    Severity.DIFFERS: "33",
    Severity.UNREADABLE: "35",
}
_WIDTH = 100
_NARROWEST = 40


def wants_color(stream: TextIO) -> bool:
    """Return whether a stream takes colors: a terminal, and NO_COLOR is not set.

    Source: https://no-color.org
    """
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width(stream: TextIO) -> int:
    """Return after how many characters a line of words is wrapped: a narrow terminal has fewer."""
    return max(_NARROWEST, min(_WIDTH, shutil.get_terminal_size().columns)) if stream.isatty() else _WIDTH


def text(findings: Sequence[Finding], *, read: int, color: bool, width: int = 100) -> str:
    """Return the report as plain text.

    Args:
        findings: The findings, in order.
        read: How many questions were asked.
        color: Whether the severities are colored.
        width: After how many characters a line of words is wrapped.
    """
    if not findings:
        return f"{read} reads: everything is as the contract says\n"
    blocks = [_block(found, color=color, width=width) for found in findings]
    return "\n".join([*blocks, _summary(findings, read)])


def as_json(findings: Sequence[Finding], *, project: str, read: int) -> str:
    """Return the report as JSON."""
    report = {
        "project": project,
        "reads": read,
        "clean": not findings,
        "counts": {severity.value: _count(findings, severity) for severity in Severity},
        "findings": [found.as_json() for found in findings],
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def _block(found: Finding, *, color: bool, width: int) -> str:
    severity = found.kind.severity
    shown = f"{severity.value:<10}"
    head = f"\033[{_COLORS[severity]}m{shown}\033[0m" if color else shown
    lines = [f"{head} {found.kind.name}: {printable(found.subject)}"]
    rows = [
        ("found", printable(found.found)),
        ("expected", printable(found.expected)),
        ("why", found.kind.why),
        ("do", found.kind.action),
    ]
    for label, words in rows:
        lines += textwrap.wrap(
            words,
            width,
            initial_indent=f"  {label:<9}",
            subsequent_indent=" " * 11,
            break_long_words=False,
            break_on_hyphens=False,
        )
    # A command is not wrapped: it is to be copied.
    lines += [f"  {'mend':<9}{command}" for command in found.shell()]
    return "\n".join(lines) + "\n"


def _summary(findings: Sequence[Finding], read: int) -> str:
    counts = [
        f"{_count(findings, severity)} {severity.value}"
        for severity in Severity
        if _count(findings, severity)
    ]
    word = "finding" if len(findings) == 1 else "findings"
    return f"{read} reads, {len(findings)} {word}: {', '.join(counts)}. What each means: docs/verify.md\n"


def _count(findings: Sequence[Finding], severity: Severity) -> int:
    return sum(found.kind.severity is severity for found in findings)
