"""One finished run as reports see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshlab.bench.case import CaseFile
    from meshlab.bench.case_coverage.coverage import Coverage
    from meshlab.bench.protocol import LoadedMesh
    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["STATES", "Run"]

STATES = ("failed", "error", "not judged", "seen", "passed")
"""The states of outcomes, the worst first."""


@dataclass(frozen=True)
class Run:
    """What was run, and what came of it.

    Attributes:
        case_files: The case files.
        outcomes: The outcomes, in the order of the cases.
        left_out: How many cases were not chosen, or not reached after `-x`.
        refusals: What the compiler does not know in the manifests.
        notes: What was passed over or is old in the inputs.
        files: The files of manifests that were read, for a watch.
        duration_s: Seconds from the first start to the last outcome.
        coverage: What the cases exercised; `None` where that was not asked for.
        loaded: The manifests that were run; `None` where they are not known.
    """

    case_files: Sequence[CaseFile]
    outcomes: Sequence[Outcome]
    left_out: int = 0
    refusals: Sequence[str] = ()
    notes: Sequence[str] = ()
    files: Sequence[Path] = ()
    duration_s: float = 0.0
    coverage: Coverage | None = None
    loaded: LoadedMesh | None = None

    def having(self, state: str) -> list[Outcome]:
        """Return the outcomes of one state."""
        return [outcome for outcome in self.outcomes if outcome.state == state]

    def of(self, case_file: CaseFile) -> list[Outcome]:
        """Return the outcomes of one file."""
        return [outcome for outcome in self.outcomes if outcome.case.place.file == str(case_file.path)]

    @property
    def counts(self) -> dict[str, int]:
        """How many outcomes each state has, the worst first."""
        return {state: len(self.having(state)) for state in STATES}
