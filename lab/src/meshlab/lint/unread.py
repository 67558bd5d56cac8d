"""Findings that something is missing, where an object that was not read may be what is missing.

One field that is not known costs the whole object. What names that object would then be reported as well, with advice
that is wrong. The object itself is a finding (ML000).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.lint.rules import BY_CODE

if TYPE_CHECKING:
    from meshlab.manifest import Problem

__all__ = ["Unread"]

_NAME = "metadata.name"
"""The field that is named where two files have one object. The first of them is read."""


@dataclass(frozen=True)
class Unread:
    """The objects that were not read.

    Attributes:
        problems: Why they were not.
        root_namespace: The namespace whose policies count everywhere.
    """

    problems: tuple[Problem, ...]
    root_namespace: str

    def may_explain(self, finding: Problem) -> bool:
        """Return whether a finding may be there only because some object was not read."""
        missed = BY_CODE[finding.code].missed
        if missed is None:
            return False
        unread = (each for each in self.problems if each.path != _NAME)
        found = {namespace for kind, namespace in map(_kind_and_namespace, unread) if kind in missed.kinds}
        _, own = _kind_and_namespace(finding)
        if missed.anywhere or own == self.root_namespace:
            return bool(found)
        return bool(found & {own, self.root_namespace})


def _kind_and_namespace(problem: Problem) -> tuple[str, str]:
    kind, _, name = problem.subject.partition(" ")
    namespace, slash, _ = name.partition("/")
    return kind, namespace if slash else ""
