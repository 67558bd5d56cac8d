"""Requests that satisfy a clause and everything else on their way: where the search for near misses begins."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from meshlab.battery.request_values import CHANGED
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.battery.clauses import Clause, Stage, Way
    from meshlab.battery.table import Assignment, Table

__all__ = ["Base", "bases"]

_MOST_CHAINS = 200
_MOST_STAGES = 5
_REPAIRS = 4


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
class Base:
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


def bases(way: Way, table: Table) -> list[Base]:
    """Return a request for each clause of a way, each once."""
    found: dict[tuple[object, ...], Base] = {}
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


def _base_for(table: Table, chains: Sequence[_Chain], stage: Stage, clause: Clause) -> Base | None:
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
    alone = table.both({}, clause, tolerant=True)
    if alone is None:
        return None
    best: tuple[int, Base] | None = None
    for chain in fitting:
        met, bits = _along(table, chain, clause, alone)
        target = chain.stages[-1].target
        # A way that ends at an application shows more than one that ends at a proxy.
        met += len(chain.stages)
        if best is None or met > best[0]:
            numbers = _repaired(table, chain, clause, bits)
            best = met, Base(numbers, target, answerers=chain.answerers)
    return best[1] if best else Base(_lowest(table, alone), stage.target)


def _along(table: Table, chain: _Chain, clause: Clause, bits: dict[str, int]) -> tuple[int, dict[str, int]]:
    """Return how many conditions of a chain can be met beside a clause, and the values that meet them."""
    met = 1
    for route in chain.routes:
        if route is not clause and (more := table.both(bits, route)) is not None:
            bits, met = more, met + 2
    for stage in chain.stages:
        if stage.allow and not any(clause is each for each in stage.allow):
            # A rule that asks for the same part of a request would hide what almost meets the clause.
            for allowed in sorted(stage.allow, key=partial(_shared, clause)):
                if (more := table.both(bits, allowed)) is not None:
                    bits, met = more, met + 1
                    break
    return met, bits


def _shared(clause: Clause, allowed: Clause) -> int:
    """Return at how many parts of a request two clauses look."""
    looked_at = {each.dimension for each in clause.requirements}
    return len(looked_at & {each.dimension for each in allowed.requirements})


def _lowest(table: Table, bits: Mapping[str, int]) -> Assignment:
    """Return the first value of each dimension that is left."""
    found: Assignment = {}
    for name in table.values:
        left = bits.get(name, table.everything[name])
        found[name] = (left & -left).bit_length() - 1 if left else 0
    return found


def _repaired(table: Table, chain: _Chain, clause: Clause, bits: dict[str, int]) -> Assignment:
    """Return values that meet no DENY clause and no earlier route of the chain, as far as that is possible.

    Where the clause is one of several that let in, the values meet none of the others either: what two rules let in
    shows nothing of one of them.
    """
    avoided = [
        each
        for stage in chain.stages
        for each in (*stage.deny, *_earlier(stage, chain.routes))
        if each is not clause
    ]
    numbers = _avoiding(table, bits, avoided)
    others = [
        each
        for stage in chain.stages
        if any(clause is own for own in stage.allow or ())
        for each in stage.allow or ()
        if each is not clause
    ]
    if not any(table.holds(each, numbers) for each in others):
        return numbers
    alone = _avoiding(table, bits, [*avoided, *others])
    spoilt = any(table.holds(each, alone) for each in avoided if not table.holds(each, numbers))
    return numbers if spoilt else alone


def _avoiding(table: Table, bits: Mapping[str, int], avoided: Sequence[Clause]) -> Assignment:
    """Return values that meet none of some clauses, as far as that is possible."""
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
