"""A rule, and what it finds."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.fields import Where
    from meshlab.lint.facts import Facts
    from meshlab.lint.missed import Missed
    from meshlab.manifest import Problem

__all__ = ["Check", "Finding", "Rule", "Severity"]


class Severity(StrEnum):
    """How grave a finding is, the gravest first."""

    ERROR = "error"
    """It does not work, or it lets in what is meant to be kept out."""
    WARNING = "warning"
    """It may work and is hardly meant."""
    INFO = "info"
    """It is old, or something is not known."""

    @property
    def rank(self) -> int:
        """Its place in the order of gravity, 0 for the gravest."""
        return list(Severity).index(self)


class Check(Protocol):
    """What a rule looks for."""

    def __call__(self, facts: Facts, /) -> Iterator[Problem]:
        """Yield what is wrong."""


@dataclass(frozen=True)
class Rule:
    """One kind of mistake.

    Attributes:
        code: Stable, such as `ML302`. The hundreds stand for a topic.
        name: Stable, in kebab-case.
        severity: How grave a finding is.
        summary: What is wrong, a noun phrase.
        why: What comes of it.
        fix: What to do.
        source: Where Istio or Kubernetes decides this: a file of istio/istio, or a page.
        check: Finds it; `None` where reading the mesh finds it.
        missed: What is not there where it finds something; `None` where nothing is missing.
    """

    code: str
    name: str
    severity: Severity
    summary: str
    why: str
    fix: str
    source: str
    check: Check | None = None
    missed: Missed | None = None

    def at(self, where: Where, text: str) -> Problem:
        """Return a problem that this rule found.

        Args:
            where: The place.
            text: What is wrong there, one or two sentences that name the values.
        """
        return where.manifest.problem(where.keys, text, code=self.code)


@dataclass(frozen=True)
class Finding:
    """One problem that a rule found.

    Attributes:
        rule: The rule.
        problem: What and where.
        suppressed: The reason of the comment that suppresses it; empty where none does.
    """

    rule: Rule
    problem: Problem
    suppressed: str = ""
