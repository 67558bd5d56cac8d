"""How the values of a dimension meet clauses: by which conditions, or which one they miss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.bits import numbers_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshlab.battery.clauses import Atom, Clause
    from meshlab.battery.table import Table

__all__ = ["ClauseMatches", "MatchCache"]


class ClauseMatches:
    """How each value of a dimension meets some clauses.

    Attributes:
        kinds: For each value, how it meets each clause or which condition it misses first. Equal numbers are alike.
        order: The values, first those that miss one condition alone and look like what it names.
    """

    def __init__(self, table: Table, clauses: Sequence[Clause], name: str, each: Sequence[_OfClause]) -> None:
        values = table.values[name]
        self._table, self._clauses = table, clauses
        self._near: dict[int, frozenset[str]] = {}
        self.kinds: list[tuple[int, ...]] = (
            list(zip(*(found.kinds for found in each), strict=True)) if each else [()] * len(values)
        )
        more = [sum(found.more[number] for found in each) for number in range(len(values))]
        own = {atom.name for clause in clauses for atom in clause.atoms if atom.dimension == name}
        self.order: list[int] = sorted(
            range(len(values)), key=lambda number: (more[number], values[number].origin not in own, number)
        )

    def near(self, number: int) -> frozenset[str]:
        """Return the names of the conditions that a value meets, and of those that it must not meet."""
        if number not in self._near:
            self._near[number] = frozenset(
                name
                for clause in self._clauses
                for requirement in clause.requirements
                for name in (
                    *(atom.name for atom in requirement.any_of if self._table.bits(atom) >> number & 1),
                    *(atom.name for atom in requirement.none_of),
                )
            )
        return self._near[number]


class MatchCache:
    """The matches of a way, each found once.

    Args:
        table: The values, and what they meet.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        # By identity, with the clauses beside it, which keep the identity from being given to others.
        self._of_clauses: dict[tuple[int, str], tuple[Clause, _OfClause]] = {}
        self._found: dict[tuple[object, ...], tuple[tuple[Clause, ...], ClauseMatches]] = {}

    def of(self, clauses: Sequence[Clause], name: str) -> ClauseMatches:
        """Return how the values of a dimension meet some clauses."""
        key = (name, *map(id, clauses))
        if key not in self._found:
            each = [self._of_clause(clause, name) for clause in clauses]
            self._found[key] = tuple(clauses), ClauseMatches(self._table, clauses, name, each)
        return self._found[key][1]

    def _of_clause(self, clause: Clause, name: str) -> _OfClause:
        key = id(clause), name
        if key not in self._of_clauses:
            self._of_clauses[key] = clause, _OfClause(self._table, clause, name)
        return self._of_clauses[key][1]


class _OfClause:
    """How each value of a dimension meets one clause.

    Attributes:
        kinds: For each value, how it meets the clause or which condition it misses first; equal numbers are alike.
        more: For each value, how many conditions it misses beyond one.
    """

    def __init__(self, table: Table, clause: Clause, name: str) -> None:
        count = len(table.values[name])
        missed: list[list[object]] = [[] for _ in range(count)]
        met: list[list[object]] = [[] for _ in range(count)]
        for index, requirement in enumerate(clause.requirements):
            if requirement.dimension != name:
                continue
            some = _by_value(table, requirement.any_of, count)
            none = _by_value(table, requirement.none_of, count)
            for number in range(count):
                if requirement.any_of and not some[number]:
                    missed[number].append(("none of", index))
                missed[number] += [("one of", index, at) for at in none[number]]
                met[number].append((index, tuple(some[number])))
        known: dict[object, int] = {}
        self.kinds = [
            known.setdefault(missed[number][0] if missed[number] else tuple(met[number]), len(known))
            for number in range(count)
        ]
        self.more = [max(0, len(each) - 1) for each in missed]


def _by_value(table: Table, atoms: Iterable[Atom], count: int) -> list[list[int]]:
    """Return for each value the places of the atoms that it meets."""
    found: list[list[int]] = [[] for _ in range(count)]
    for at, atom in enumerate(atoms):
        for number in numbers_in(table.bits(atom)):
            found[number].append(at)
    return found
