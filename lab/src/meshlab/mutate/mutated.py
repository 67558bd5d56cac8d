"""Outcome of a whole run of mutants."""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.mutate.results import STATES
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.mutate.chosen_mutants import Chosen
    from meshlab.mutate.results import Result, State

__all__ = ["Mutated"]


@dataclass(frozen=True)
class Mutated:
    """What a run found.

    Attributes:
        results: What became of each mutant, in the order of the objects.
        chosen: Which mutants were asked.
        cases: How many cases there are.
        duration_s: Seconds that the mutants took, without the start of the mesh.
        not_covered: What the battery does not ask, one sentence each.
    """

    results: Sequence[Result]
    chosen: Chosen
    cases: int
    duration_s: float
    not_covered: Sequence[str] = field(default=())

    @property
    def counts(self) -> dict[State, int]:
        """How many mutants came to each state."""
        found = Counter(result.state for result in self.results)
        return {state: found[state] for state in STATES}

    @property
    def per_second(self) -> float:
        """Mutants a second."""
        return len(self.results) / self.duration_s if self.duration_s else 0.0

    def having(self, state: State) -> list[Result]:
        """Return the results of one state."""
        return [result for result in self.results if result.state == state]
