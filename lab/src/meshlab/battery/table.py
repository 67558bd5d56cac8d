"""Which value of which dimension meets which condition, as sets of bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.battery.clauses import Atom, Clause, Way
    from meshlab.battery.values import Value

__all__ = ["Assignment", "Table", "ways_to_meet"]

Assignment = dict[str, int]
"""Dimension to the number of its value."""


class Table:
    """The values of a way, and which of them meet what.

    Args:
        way: The way.
    """

    """Which value of which dimension meets which atom, as sets of bits."""

    def __init__(self, way: Way) -> None:
        self.values: Mapping[str, Sequence[Value]] = way.values
        self.everything = {name: (1 << len(values)) - 1 for name, values in way.values.items()}
        self._bits: dict[Atom, int] = {}
        # By identity, with the clause beside it, which keeps the identity from being given to another one.
        self._clauses: dict[int, tuple[Clause, dict[str, int]]] = {}

    def bits(self, atom: Atom) -> int:
        """Return the values that meet an atom."""
        if atom not in self._bits:
            found = 0
            for number, value in enumerate(self.values.get(atom.dimension, ())):
                if atom.holds(value):
                    found |= 1 << number
            self._bits[atom] = found
        return self._bits[atom]

    def of(self, clause: Clause) -> dict[str, int]:
        """Return the values that meet a clause, by dimension; dimensions that it does not look at are left out."""
        found: dict[str, int] = {}
        for requirement in clause.requirements:
            name = requirement.dimension
            if name not in self.everything:
                continue
            bits = self.everything[name]
            if requirement.any_of:
                any_bits = 0
                for atom in requirement.any_of:
                    any_bits |= self.bits(atom)
                bits &= any_bits
            for atom in requirement.none_of:
                bits &= ~self.bits(atom)
            found[name] = found.get(name, self.everything[name]) & bits
        return found

    def both(
        self, known: Mapping[str, int], clause: Clause, *, tolerant: bool = False
    ) -> dict[str, int] | None:
        """Return the values that meet a clause and what is known; `None` where a dimension has none.

        Args:
            known: What is left of each dimension.
            clause: The clause.
            tolerant: Whether a dimension with one value is left as it is: that value is not ours to choose.
        """
        found = dict(known)
        for name, bits in self.of_cached(clause).items():
            left = found.get(name, self.everything[name]) & bits
            if not left and not (tolerant and len(self.values[name]) == 1):
                return None
            found[name] = left or self.everything[name]
        return found

    def holds(self, clause: Clause, numbers: Assignment, *, without: str = "") -> bool:
        """Return whether an assignment meets a clause, whatever it says about one dimension."""
        return all(
            bits >> numbers[name] & 1
            for name, bits in self.of_cached(clause).items()
            if name != without and len(self.values[name]) > 1
        )

    def of_cached(self, clause: Clause) -> dict[str, int]:
        """The same as `of`, kept."""
        key = id(clause)
        if key not in self._clauses:
            self._clauses[key] = (clause, self.of(clause))
        return self._clauses[key][1]


def ways_to_meet(
    table: Table, clauses: Sequence[Clause], name: str, number: int
) -> tuple[tuple[object, ...], int]:
    """Return how a value meets each clause or which condition it misses first, and how many it misses beyond one."""
    found: list[object] = []
    more = 0
    for clause in clauses:
        missed: list[object] = []
        met: list[object] = []
        for index, requirement in enumerate(clause.requirements):
            if requirement.dimension != name:
                continue
            some = [at for at, atom in enumerate(requirement.any_of) if table.bits(atom) >> number & 1]
            none = [at for at, atom in enumerate(requirement.none_of) if table.bits(atom) >> number & 1]
            if requirement.any_of and not some:
                missed.append(("none of", index))
            missed += [("one of", index, at) for at in none]
            met.append((index, tuple(some)))
        found.append(missed[0] if missed else tuple(met))
        more += max(0, len(missed) - 1)
    return tuple(found), more
