"""The problems of a case file: all are collected, then shown at once."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Literal

from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.bench.case import CasePlace

__all__ = ["CaseFileError", "CaseProblem", "Kind", "near_miss"]

Kind = Literal["yaml", "shape", "meaning", "mesh"]
"""`yaml`: not YAML, or YAML that two readers read differently. `shape`: the schema refuses it, too. `meaning`: a name
that is not declared, or words that exclude each other. `mesh`: a name that the manifests do not hold."""


@dataclass(frozen=True)
class CaseProblem:
    """One thing that is wrong with a case file.

    Attributes:
        place: Where.
        message: What is wrong, and what to do.
        kind: Which rule it breaks.
    """

    place: CasePlace
    message: str
    kind: Kind = "shape"

    def __str__(self) -> str:
        """Return `FILE:LINE: PATH: what is wrong, what to do`."""
        return f"{self.place}: {self.message}"


class CaseFileError(LabError):
    """A case file was refused.

    Attributes:
        problems: Everything that is wrong with it, by line.
    """

    def __init__(self, problems: Iterable[CaseProblem]) -> None:
        ordered = sorted(
            dict.fromkeys(problems), key=lambda problem: (problem.place.file, problem.place.line)
        )
        self.problems = tuple(ordered)
        super().__init__("\n".join(str(problem) for problem in ordered))


def near_miss(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` where a known word is like the given one, else an empty string."""
    choices = list(known)
    folded = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""
