"""What a mutation run found, and which mutants it asks.

`make test` asks one mutant of each operator and kind of object; with `MUTANTS=all`, as `make mutants` sets it, all of
them are asked, those that are listed as equivalent included.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshlab.mutate.order import likeness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.mutate.mutants import Mutant

    from tests.infra.mutation.equivalents import Equivalent
    from tests.infra.mutation.own import OwnRun

ALL = os.environ.get("MUTANTS") == "all"


@dataclass
class Tally:
    """Counts by what became of the mutants, and those that must not be.

    Attributes:
        counts: Mutants by state.
        survivors: Mutants that no case notices and that no proof covers.
        disproved: Mutants that are listed as equivalent, and that a case notices.
        unused: Proofs that cover no mutant of the whole list.
    """

    counts: Counter[str] = field(default_factory=Counter)
    survivors: list[str] = field(default_factory=list)
    disproved: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the counts, such as `9 mutants: 7 caught, 2 equivalent`."""
        counts = ", ".join(f"{number} {state}" for state, number in sorted(self.counts.items()))
        return f"{self.counts.total()} mutants: {counts}"


def tally(run: OwnRun, mutants: Sequence[Mutant], equivalents: Sequence[Equivalent]) -> Tally:
    """Ask the mutants of a mesh, all or a part of them, and count."""
    objects, found = run.bodies, Tally()
    proven = {str(mutant): any(known.covers(mutant, objects) for known in equivalents) for mutant in mutants}
    found.unused = [
        known.mutants for known in equivalents if not any(known.covers(mutant, objects) for mutant in mutants)
    ]
    if not ALL:
        mutants = first_of_each([mutant for mutant in mutants if not proven[str(mutant)]])
    for result in run.run(mutants):
        name, equivalent = str(result.mutant), proven[str(result.mutant)]
        found.counts["equivalent" if equivalent else result.state] += 1
        if equivalent and result.state == "caught":
            found.disproved.append(f"{name}: {result.caught_by}")
        elif not equivalent and result.state == "survived":
            found.survivors.append(name)
    return found


def first_of_each(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Return the first mutant of each operator and kind."""
    found: dict[str, Mutant] = {}
    for mutant in mutants:
        found.setdefault(likeness(mutant), mutant)
    return list(found.values())
