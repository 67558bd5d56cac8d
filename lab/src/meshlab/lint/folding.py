"""Objects that are not read for one and the same reason, as one finding with a count.

A directory of alternatives, such as Istio's samples, has most of its objects several times.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.lint.rules import NOT_READ
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.lint.rule import Finding

__all__ = ["Fold", "folds_of"]

_FEWEST = 4
"""Fewer are shown one by one."""
_TWICE = re.compile(r".*:\d+ has the same object; keep one\.", re.DOTALL)
_ALTERNATIVES = (
    "another file has the same object, and only the first one is read. Name the files that are applied together,"
    " or keep one of each."
)


@dataclass(frozen=True)
class Fold:
    """Findings of one kind.

    Attributes:
        text: What is wrong with all of them.
        findings: The findings, in order.
    """

    text: str
    findings: tuple[Finding, ...]


def folds_of(findings: Sequence[Finding]) -> list[Fold]:
    """Return the kinds of objects that are not read, those with many findings alone.

    Args:
        findings: All findings.
    """
    by_text: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.rule is NOT_READ:
            text = finding.problem.text
            by_text.setdefault(_ALTERNATIVES if _TWICE.fullmatch(text) else text, []).append(finding)
    return [Fold(text, tuple(found)) for text, found in by_text.items() if len(found) >= _FEWEST]
