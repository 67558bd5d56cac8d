"""Choice of requests on one way, so that each condition decides about one of them.

A request that satisfies a clause, with everything else on its way, is a base. From it one dimension at a time is
changed. Only conditions can see the change whose clauses the rest of the base satisfies, so values that those treat
alike are one class, and one of them is kept. This is the criterion of modified condition/decision coverage: whether a
condition holds, or is there at all, changes what becomes of one request.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from meshlab.battery.bases import Base, bases
from meshlab.battery.table import Table, ways_to_meet
from meshlab.battery.values import CHANGED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshlab.battery.clauses import Atom, Clause, Way
    from meshlab.battery.table import Assignment
    from meshlab.battery.values import Value

__all__ = ["Chosen", "chosen"]

_SMALL_PRODUCT = 24


@dataclass(frozen=True)
class Chosen:
    """One request.

    Attributes:
        values: Dimension to value.
        target: What it is for.
        base: Whether it satisfies a clause, rather than missing one.
        answerers: Who may answer in place of the target.
    """

    values: dict[str, Value]
    target: str
    base: bool
    answerers: tuple[str, ...] = ()


def chosen(way: Way) -> list[Chosen]:
    """Return the requests of one way: those that satisfy its clauses first, then those that miss a condition."""
    table = Table(way)
    found_bases = bases(way, table)
    # The request that asks for nothing of all this comes last: what almost meets a condition says more.
    usual = Base(dict.fromkeys(way.values, 0), way.stages[0].target, frozenset(way.values))
    atoms = _atoms(way)
    found: dict[tuple[object, ...], Chosen] = {}
    for base in found_bases:
        _keep(found, way, table, atoms, base.numbers, base, is_base=True)
    seen = _Seen(set(), set())
    small = _classes(table, _atoms(way, swept=True), [*found_bases, usual])
    if prod(map(len, small.values())) <= _SMALL_PRODUCT:
        for combined in product(*small.values()):
            numbers = dict(zip(small, combined, strict=True))
            _keep(found, way, table, atoms, numbers, (found_bases or [usual])[0], is_base=False)
    for base in (*found_bases, usual):
        for numbers in _deviations(way, table, base, seen):
            _keep(found, way, table, atoms, numbers, base, is_base=False)
        _keep(found, way, table, atoms, base.numbers, base, is_base=True)
    return list(found.values())


def _keep(
    found: dict[tuple[object, ...], Chosen],
    way: Way,
    table: Table,
    atoms: Mapping[str, Sequence[Atom]],
    numbers: Assignment,
    base: Base,
    *,
    is_base: bool,
) -> None:
    """Keep a request, unless one that every condition treats alike is kept already."""
    values = {name: table.values[name][number] for name, number in numbers.items()}
    refused = way.absorbed(values)
    key: tuple[object, ...] = (
        ("refused", refused)
        if refused
        else tuple(_kind(table, atoms.get(name, ()), name, number) for name, number in numbers.items())
    )
    # What a route does to headers is seen with them alone, though no condition looks at them.
    key = (*key, numbers.get(CHANGED, 0))
    if key not in found:
        found[key] = Chosen(values, base.target, is_base, base.answerers)


def _kind(table: Table, atoms: Sequence[Atom], name: str, number: int) -> tuple[object, ...]:
    """Return what distinguishes a value from others: which conditions it meets, and how it is spelt."""
    value = table.values[name][number]
    return _vector(table, atoms, number), value.trait, value.trait and value.origin


def _atoms(way: Way, *, swept: bool = False) -> dict[str, list[Atom]]:
    """Return all atoms of a way by dimension, each once; or those whose conditions are missed on this way."""
    found: dict[str, dict[Atom, None]] = {name: {} for name in way.values}
    stages = [each for first in way.stages for each in first.walk()]
    for stage in stages if not swept else [each for each in stages if each.swept]:
        for atom in (*stage.watched, *(atom for clause in stage.clauses for atom in clause.atoms)):
            if atom.dimension in found:
                found[atom.dimension][atom] = None
    return {name: list(atoms) for name, atoms in found.items()}


def _vector(table: Table, atoms: Iterable[Atom], number: int) -> tuple[bool, ...]:
    return tuple(bool(table.bits(atom) >> number & 1) for atom in atoms)


def _classes(
    table: Table, atoms: Mapping[str, Sequence[Atom]], starts: Sequence[Base]
) -> dict[str, list[int]]:
    """Return one value of each class by dimension: that of a base, one that looks like a word, or the first."""
    found: dict[str, list[int]] = {}
    for name, values in table.values.items():
        if name == CHANGED:
            found[name] = [0]
            continue
        kept: dict[object, int] = {}
        usual = [base.numbers[name] for base in starts[:-1]]
        near = [number for number, value in enumerate(values) if value.origin]
        for number in (*usual, *near, *range(len(values))):
            if not values[number].trait:
                kept.setdefault(_vector(table, atoms.get(name, ()), number), number)
        found[name] = list(kept.values())
    return found


@dataclass
class _Seen:
    """What was tried on a way once, and need not be tried from every base."""

    spelt: set[tuple[str, Value]]
    watched: set[tuple[str, tuple[bool, ...]]]


def _deviations(way: Way, table: Table, base: Base, seen: _Seen) -> Iterator[Assignment]:
    """Yield the base with one dimension changed, one value for each class.

    An unusual spelling, and what only the proxies themselves distinguish, is tried from the first base that shows it.
    """
    values_now = {name: table.values[name][number] for name, number in base.numbers.items()}
    for name, values in table.values.items():
        usual = base.numbers[name]
        if name == CHANGED:
            if name in base.dimensions:
                yield {**base.numbers, name: len(values) - 1}
            continue
        clauses = _relevant(way, table, base.numbers, name)
        watched = _watched(way, name)
        kept = {ways_to_meet(table, clauses, name, usual)[0]}
        seen.watched.add((name, _vector(table, watched, usual)))
        for number in _ordered(table, clauses, name):
            value = values[number]
            if value.trait:
                near = any(
                    atom.name == value.origin
                    and (table.bits(atom) >> usual & 1 or atom in requirement.none_of)
                    for clause in clauses
                    for requirement in clause.requirements
                    for atom in requirement.atoms
                )
                if near and name in base.dimensions and (name, value) not in seen.spelt:
                    seen.spelt.add((name, value))
                    yield {**base.numbers, name: number}
                continue
            kind = (name, _vector(table, watched, number))
            if way.absorbed({**values_now, name: value}):
                # It is refused for another reason, so it is no example of what misses a condition.
                if kind not in seen.watched:
                    seen.watched.add(kind)
                    yield {**base.numbers, name: number}
                continue
            found = ways_to_meet(table, clauses, name, number)[0]
            missed = name in base.dimensions and found not in kept
            if missed or kind not in seen.watched:
                kept.add(found)
                seen.watched.add(kind)
                yield {**base.numbers, name: number}


def _ordered(table: Table, clauses: Sequence[Clause], name: str) -> list[int]:
    """Return the values of a dimension, first those that miss one condition alone and look like what it names."""
    own = {atom.name for clause in clauses for atom in clause.atoms if atom.dimension == name}
    values = table.values[name]
    ranks = [
        (ways_to_meet(table, clauses, name, number)[1], value.origin not in own, number)
        for number, value in enumerate(values)
    ]
    return [number for *_, number in sorted(ranks)]


def _watched(way: Way, name: str) -> list[Atom]:
    """Return what the proxies of a way distinguish in a dimension whatever their policies are."""
    found: dict[Atom, None] = {}
    for stage in (each for first in way.stages for each in first.walk()):
        if stage.swept:
            found |= {atom: None for atom in stage.watched if atom.dimension == name}
    return list(found)


def _relevant(way: Way, table: Table, numbers: Assignment, name: str) -> list[Clause]:
    """Return the clauses that can decide by one dimension while everything else is as in an assignment."""
    found: dict[Clause, None] = {}
    for stage in (each for first in way.stages for each in first.walk()):
        for clause in stage.clauses if stage.swept else ():
            looks = any(requirement.dimension == name for requirement in clause.requirements)
            if looks and clause not in found and table.holds(clause, numbers, without=name):
                found[clause] = None
    return list(found)
