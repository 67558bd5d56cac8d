"""Choice of requests on one way, so that each condition decides about one of them.

A request that satisfies a clause, with everything else on its way, is a base. From it one dimension at a time is
changed. Only conditions can see the change whose clauses the rest of the base satisfies, so values that those treat
alike are one class, and one of them is kept. This is the criterion of modified condition/decision coverage: whether a
condition holds, or is there at all, changes what becomes of one request.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from meshlab.battery.values import CHANGED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshlab.battery.clauses import Atom, Clause, Stage, Way
    from meshlab.battery.values import Value

__all__ = ["Chosen", "chosen"]

_SMALL_PRODUCT = 24
_MOST_CHAINS = 200
_MOST_STAGES = 5
_REPAIRS = 4

Assignment = dict[str, int]
"""Dimension to the number of its value."""


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


@dataclass(frozen=True)
class _Chain:
    """A way through: proxies in order, each with the route that leads on."""

    stages: tuple[Stage, ...]
    routes: tuple[Clause, ...]

    @property
    def answerers(self) -> tuple[str, ...]:
        """Who may answer at its end: one of several workloads behind a route, or of several servers behind a host."""
        last = self.stages[-1]
        found = dict.fromkeys(last.servers)
        if len(self.stages) > 1 and self.routes:
            for clause, stage in self.stages[-2].routes:
                if clause is self.routes[-1] and stage is not None:
                    found[stage.target] = None
        return tuple(name for name in found if name != last.target)


@dataclass(frozen=True)
class _Base:
    """A request that satisfies a clause.

    Attributes:
        numbers: Its values.
        target: What it is for.
        dimensions: What the clause looks at, so that each of its conditions is missed once from here.
        answerers: Who may answer in place of the target.
    """

    numbers: Assignment
    target: str
    dimensions: frozenset[str] = frozenset()
    answerers: tuple[str, ...] = ()


class _Table:
    """Which value of which dimension meets which atom, as sets of bits."""

    def __init__(self, way: Way) -> None:
        self.values: Mapping[str, Sequence[Value]] = way.values
        self.everything = {name: (1 << len(values)) - 1 for name, values in way.values.items()}
        self._bits: dict[Atom, int] = {}

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

    def both(self, known: Mapping[str, int], clause: Clause) -> dict[str, int] | None:
        """Return the values that meet a clause and what is known; `None` where a dimension has none."""
        found = dict(known)
        for name, bits in self.of(clause).items():
            found[name] = found.get(name, self.everything[name]) & bits
            # A dimension with one value is not ours to choose.
            if not found[name] and len(self.values[name]) > 1:
                return None
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

    @property
    def _clauses(self) -> dict[int, tuple[Clause, dict[str, int]]]:
        found: dict[int, tuple[Clause, dict[str, int]]] = self.__dict__.setdefault("_kept", {})
        return found


def chosen(way: Way) -> list[Chosen]:
    """Return the requests of one way: those that satisfy its clauses first, then those that miss a condition."""
    table = _Table(way)
    bases = _bases(way, table)
    # The request that asks for nothing of all this comes last: what almost meets a condition says more.
    usual = _Base(dict.fromkeys(way.values, 0), way.stages[0].target, frozenset(way.values))
    atoms = _atoms(way)
    found: dict[tuple[object, ...], Chosen] = {}
    for base in bases:
        _keep(found, way, table, atoms, base.numbers, base, is_base=True)
    seen = _Seen(set(), set())
    small = _classes(table, _atoms(way, swept=True), [*bases, usual])
    if prod(map(len, small.values())) <= _SMALL_PRODUCT:
        for combined in product(*small.values()):
            numbers = dict(zip(small, combined, strict=True))
            _keep(found, way, table, atoms, numbers, (bases or [usual])[0], is_base=False)
    for base in (*bases, usual):
        for numbers in _deviations(way, table, base, seen):
            _keep(found, way, table, atoms, numbers, base, is_base=False)
        _keep(found, way, table, atoms, base.numbers, base, is_base=True)
    return list(found.values())


def _keep(
    found: dict[tuple[object, ...], Chosen],
    way: Way,
    table: _Table,
    atoms: Mapping[str, Sequence[Atom]],
    numbers: Assignment,
    base: _Base,
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


def _kind(table: _Table, atoms: Sequence[Atom], name: str, number: int) -> tuple[object, ...]:
    """Return what tells a value from others: which conditions it meets, and how it is spelt."""
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


def _vector(table: _Table, atoms: Iterable[Atom], number: int) -> tuple[bool, ...]:
    return tuple(bool(table.bits(atom) >> number & 1) for atom in atoms)


def _classes(
    table: _Table, atoms: Mapping[str, Sequence[Atom]], bases: Sequence[_Base]
) -> dict[str, list[int]]:
    """Return one value of each class by dimension: that of a base, one that looks like a word, or the first."""
    found: dict[str, list[int]] = {}
    for name, values in table.values.items():
        if name == CHANGED:
            found[name] = [0]
            continue
        kept: dict[object, int] = {}
        usual = [base.numbers[name] for base in bases[:-1]]
        near = [number for number, value in enumerate(values) if value.origin]
        for number in (*usual, *near, *range(len(values))):
            if not values[number].trait:
                kept.setdefault(_vector(table, atoms.get(name, ()), number), number)
        found[name] = list(kept.values())
    return found


def _bases(way: Way, table: _Table) -> list[_Base]:
    found: dict[tuple[object, ...], _Base] = {}
    for first in way.stages:
        chains = list(_chains(first))[:_MOST_CHAINS]
        for stage, clause in _elements(first):
            base = _base_for(table, chains, stage, clause)
            if base:
                key = tuple(base.numbers.items())
                known = found.get(key, base)
                looks = (
                    frozenset(each.dimension for each in clause.requirements) if stage.swept else frozenset()
                )
                looks |= {CHANGED} if clause.headers and stage.swept else set()
                found[key] = replace(known, dimensions=known.dimensions | looks)
    return list(found.values())


def _elements(first: Stage) -> Iterator[tuple[Stage, Clause]]:
    for stage in first.walk():
        for clause in stage.clauses:
            yield stage, clause


def _chains(
    stage: Stage, before: tuple[Stage, ...] = (), routes: tuple[Clause, ...] = ()
) -> Iterator[_Chain]:
    stages = (*before, stage)
    if len(stages) > _MOST_STAGES or any(stage is known for known in before):
        return
    for clause, behind in stage.routes:
        if behind is None:
            yield _Chain(stages, (*routes, clause))
        else:
            yield from _chains(behind, stages, (*routes, clause))
    if not stage.routes:
        yield _Chain(stages, routes)


def _base_for(table: _Table, chains: Sequence[_Chain], stage: Stage, clause: Clause) -> _Base | None:
    """Return a request that meets a clause and, as far as that is possible, everything else on its way."""
    fitting = [
        chain
        for chain in chains
        if any(each is stage for each in chain.stages)
        and (
            not any(clause is route for route, _ in stage.routes)
            or any(clause is each for each in chain.routes)
        )
    ]
    alone = table.both({}, clause)
    if alone is None:
        return None
    best: tuple[int, _Base] | None = None
    for chain in fitting:
        met, bits = _along(table, chain, clause, alone)
        target = chain.stages[-1].target
        # A way that ends at an application shows more than one that ends at a proxy.
        met += len(chain.stages)
        if best is None or met > best[0]:
            numbers = _repaired(table, chain, clause, bits)
            best = met, _Base(numbers, target, answerers=chain.answerers)
    return best[1] if best else _Base(_lowest(table, alone), stage.target)


def _along(table: _Table, chain: _Chain, clause: Clause, bits: dict[str, int]) -> tuple[int, dict[str, int]]:
    """Return how many conditions of a chain can be met beside a clause, and the values that meet them."""
    met = 1
    for route in chain.routes:
        if route is not clause and (more := table.both(bits, route)) is not None:
            bits, met = more, met + 2
    for stage in chain.stages:
        if stage.allow and not any(clause is each for each in stage.allow):
            for allowed in stage.allow:
                if (more := table.both(bits, allowed)) is not None:
                    bits, met = more, met + 1
                    break
    return met, bits


def _lowest(table: _Table, bits: Mapping[str, int]) -> Assignment:
    """Return the first value of each dimension that is left."""
    found: Assignment = {}
    for name in table.values:
        left = bits.get(name, table.everything[name])
        found[name] = (left & -left).bit_length() - 1 if left else 0
    return found


def _repaired(table: _Table, chain: _Chain, clause: Clause, bits: dict[str, int]) -> Assignment:
    """Return values that meet no DENY clause and no earlier route of the chain, as far as that is possible."""
    avoided = [
        each
        for stage in chain.stages
        for each in (*stage.deny, *_earlier(stage, chain.routes))
        if each is not clause
    ]
    numbers = _lowest(table, bits)
    for _ in range(_REPAIRS):
        hit = next((each for each in avoided if table.holds(each, numbers)), None)
        if hit is None:
            return numbers
        for name, denied in table.of_cached(hit).items():
            left = bits.get(name, table.everything[name]) & ~denied
            if left:
                bits = {**bits, name: left}
                numbers = _lowest(table, bits)
                break
        else:
            return numbers
    return numbers


def _earlier(stage: Stage, routes: Sequence[Clause]) -> Iterator[Clause]:
    for clause, _ in stage.routes:
        if any(clause is route for route in routes):
            return
        yield clause


@dataclass
class _Seen:
    """What was tried on a way once, and need not be tried from every base."""

    spelt: set[tuple[str, Value]]
    watched: set[tuple[str, tuple[bool, ...]]]


def _deviations(way: Way, table: _Table, base: _Base, seen: _Seen) -> Iterator[Assignment]:
    """Yield the base with one dimension changed, one value for each class.

    An unusual spelling, and what only the proxies themselves tell apart, is tried from the first base that shows it.
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
        kept = {_ways_to_meet(table, clauses, name, usual)[0]}
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
            found = _ways_to_meet(table, clauses, name, number)[0]
            missed = name in base.dimensions and found not in kept
            if missed or kind not in seen.watched:
                kept.add(found)
                seen.watched.add(kind)
                yield {**base.numbers, name: number}


def _ordered(table: _Table, clauses: Sequence[Clause], name: str) -> list[int]:
    """Return the values of a dimension, first those that miss one condition alone and look like what it names."""
    own = {atom.name for clause in clauses for atom in clause.atoms if atom.dimension == name}
    values = table.values[name]
    ranks = [
        (_ways_to_meet(table, clauses, name, number)[1], value.origin not in own, number)
        for number, value in enumerate(values)
    ]
    return [number for *_, number in sorted(ranks)]


def _ways_to_meet(
    table: _Table, clauses: Sequence[Clause], name: str, number: int
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


def _watched(way: Way, name: str) -> list[Atom]:
    """Return what the proxies of a way tell apart in a dimension whatever their policies are."""
    found: dict[Atom, None] = {}
    for stage in (each for first in way.stages for each in first.walk()):
        if stage.swept:
            found |= {atom: None for atom in stage.watched if atom.dimension == name}
    return list(found)


def _relevant(way: Way, table: _Table, numbers: Assignment, name: str) -> list[Clause]:
    """Return the clauses that can decide by one dimension while everything else is as in an assignment."""
    found: dict[Clause, None] = {}
    for stage in (each for first in way.stages for each in first.walk()):
        for clause in stage.clauses if stage.swept else ():
            looks = any(requirement.dimension == name for requirement in clause.requirements)
            if looks and clause not in found and table.holds(clause, numbers, without=name):
                found[clause] = None
    return list(found)
