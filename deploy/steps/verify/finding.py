"""Findings: what is unsafe, differs, is missing or could not be read."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Severity(Enum):
    """How a finding is weighed; the order is the order of the report."""

    UNSAFE = "unsafe"  # more can get in than the contract says, or events, rows or keys can be lost
    MISSING = "missing"  # something that the deployment needs does not exist
    DIFFERS = "differs"  # something is not as the contract says
    UNREADABLE = "unreadable"  # nothing is known, so nothing is fine


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Attributes:
        name: Its id.
        severity: Its weight.
        group: The part of the deployment that it is about.
        title: What is found, in a few words.
        why: Why it matters, in one or two sentences.
        action: What to do, in one or two sentences; the finding has the exact command.
    """

    name: str
    severity: Severity
    group: str
    title: str
    why: str
    action: str


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        kind: Its kind.
        subject: What it is about.
        found: What is there.
        expected: What should be there.
        commands: The commands that mend it, word by word; empty if no single command does.
    """

    kind: Kind
    subject: str
    found: str
    expected: str
    commands: tuple[tuple[str, ...], ...] = ()

    def shell(self) -> list[str]:
        """Return the commands as shell text, every word quoted.

        A word with a control character is not shown: it came from an API, and could change what a terminal shows.
        """
        return [shlex.join(words) for words in self.commands if all(word.isprintable() for word in words)]

    def as_json(self) -> dict[str, object]:
        """Return the finding as an object of the report."""
        return {
            "id": self.kind.name,
            "severity": self.kind.severity.value,
            "subject": printable(self.subject),
            "found": printable(self.found),
            "expected": printable(self.expected),
            "why": self.kind.why,
            "commands": self.shell(),
        }


_LONGEST = 300


def printable(text: str) -> str:
    """Return a text of an API without control characters, and not longer than a few lines."""
    shown = "".join(char if char.isprintable() else "?" for char in text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence; "none" if there are none."""
    return ", ".join(words) or "none"


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings sorted by severity, id and subject, each once."""
    weights = {severity: weight for weight, severity in enumerate(Severity)}
    return sorted(
        dict.fromkeys(findings),
        key=lambda finding: (
            weights[finding.kind.severity],
            finding.kind.name,
            finding.subject,
            finding.found,
        ),
    )
