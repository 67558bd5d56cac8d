"""What the proxies of a way distinguish, dimension by dimension: found once for all requests that are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.bits import numbers_in
from meshlab.battery.request_values import PEER, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.battery.clauses import Atom, Clause, Stage, Way
    from meshlab.battery.table import Assignment, Table

__all__ = ["WayConditions"]


class WayConditions:
    """What the proxies of a way distinguish.

    Args:
        way: The way.
        table: Its values, and what they meet.
    """

    def __init__(self, way: Way, table: Table) -> None:
        self._way, self._table = way, table
        stages = [each for first in way.stages for each in first.walk()]
        swept = [each for each in stages if each.swept]
        self._atoms = _by_dimension(stages, way.values)
        self._swept_atoms = _by_dimension(swept, way.values)
        self._watched_atoms = _distinct(atom for stage in swept for atom in stage.watched)
        self._clauses = list(dict.fromkeys(clause for stage in swept for clause in stage.clauses))
        self._looking: dict[str, list[Clause]] = {}
        self._kinds: dict[str, list[int]] = {}
        self._watched: dict[str, list[int]] = {}
        self._absorbed: dict[tuple[int | None, int | None], str] = {}

    def absorbed(self, numbers: Assignment) -> str:
        """Return why the first proxy refuses a request whatever else is in it; empty where it does not."""
        key = numbers.get(PEER), numbers.get(TOKEN)
        if key not in self._absorbed:
            values = {
                name: self._table.values[name][numbers[name]] for name in (PEER, TOKEN) if name in numbers
            }
            self._absorbed[key] = self._way.absorbed(values)
        return self._absorbed[key]

    def absorbed_with(self, numbers: Assignment, name: str) -> list[bool]:
        """Return for each value of a dimension whether a request is refused with it whatever else is in it."""
        count = len(self._table.values[name])
        if name not in (PEER, TOKEN):
            return [bool(self.absorbed(numbers))] * count
        return [bool(self.absorbed({**numbers, name: number})) for number in range(count)]

    def kinds(self, name: str) -> list[int]:
        """Return a number for each value: those of one number meet the same conditions and are spelt alike."""
        if name not in self._kinds:
            met = self._signatures(self._atoms.get(name, ()), name)
            known: dict[object, int] = {}
            self._kinds[name] = [
                known.setdefault((met[number], value.trait, value.trait and value.origin), len(known))
                for number, value in enumerate(self._table.values[name])
            ]
        return self._kinds[name]

    def swept(self, name: str) -> list[int]:
        """Return which conditions each value meets, of those that are missed on this way."""
        return self._signatures(self._swept_atoms.get(name, ()), name)

    def watched(self, name: str) -> list[int]:
        """Return what the proxies distinguish of each value whatever their policies are."""
        if name not in self._watched:
            atoms = [atom for atom in self._watched_atoms if atom.dimension == name]
            self._watched[name] = self._signatures(atoms, name)
        return self._watched[name]

    def deciding(self, numbers: Assignment, name: str) -> list[Clause]:
        """Return the clauses that can decide by one dimension while everything else is as in an assignment."""
        if name not in self._looking:
            self._looking[name] = [
                clause
                for clause in self._clauses
                if any(requirement.dimension == name for requirement in clause.requirements)
            ]
        return [clause for clause in self._looking[name] if self._table.holds(clause, numbers, without=name)]

    def _signatures(self, atoms: Iterable[Atom], name: str) -> list[int]:
        """Return for each value the atoms that it meets, as a set of bits."""
        found = [0] * len(self._table.values[name])
        for at, atom in enumerate(atoms):
            for number in numbers_in(self._table.bits(atom)):
                found[number] |= 1 << at
        return found


def _by_dimension(stages: Iterable[Stage], dimensions: Iterable[str]) -> dict[str, list[Atom]]:
    """Return all atoms of stages by dimension, each once."""
    found: dict[str, dict[Atom, None]] = {name: {} for name in dimensions}
    for stage in stages:
        for atom in (*stage.watched, *(atom for clause in stage.clauses for atom in clause.atoms)):
            if atom.dimension in found:
                found[atom.dimension][atom] = None
    return {name: list(atoms) for name, atoms in found.items()}


def _distinct(atoms: Iterable[Atom]) -> list[Atom]:
    return list(dict.fromkeys(atoms))
