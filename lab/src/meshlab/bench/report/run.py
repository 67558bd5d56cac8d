"""One finished run as reports see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.case import CaseFile
    from meshlab.bench.outcome import Outcome, Status
    from meshlab.bench.protocol import Refusal

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """What was run, and what came of it.

    Attributes:
        case_files: The case files.
        outcomes: The outcomes, in the order of the cases.
        left_out: How many cases were not chosen, or not reached after `-x`.
        refusals: What the compiler does not know in the manifests.
        notes: What was passed over or is old in the inputs.
        duration_s: Seconds from the first start to the last outcome.
    """

    case_files: Sequence[CaseFile]
    outcomes: Sequence[Outcome]
    left_out: int = 0
    refusals: Sequence[Refusal] = ()
    notes: Sequence[str] = ()
    duration_s: float = 0.0

    def having(self, status: Status) -> list[Outcome]:
        """Return the outcomes of one status."""
        return [outcome for outcome in self.outcomes if outcome.status == status]

    @property
    def counts(self) -> dict[Status, int]:
        """How many outcomes each status has."""
        return {
            "failed": len(self.having("failed")),
            "error": len(self.having("error")),
            "not_judged": len(self.having("not_judged")),
            "passed": len(self.having("passed")),
        }
