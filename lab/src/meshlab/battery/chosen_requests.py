"""Choice of requests on one way, so that each condition decides about one of them.

A request that satisfies a clause, with everything else on its way, is a base. From it one dimension at a time is
changed. Only conditions can see the change whose clauses the rest of the base satisfies, so values that those treat
alike are one class, and one of them is kept. This is the criterion of modified condition/decision coverage: whether a
condition holds, or is there at all, changes what becomes of one request.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

from meshlab.battery.bases import Base, bases
from meshlab.battery.clause_matches import MatchCache
from meshlab.battery.request_values import CHANGED
from meshlab.battery.table import Table
from meshlab.battery.way_conditions import WayConditions
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.battery.clauses import Way
    from meshlab.battery.request_values import Value
    from meshlab.battery.table import Assignment

__all__ = ["Chosen", "KnownChoices", "chosen"]

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
    choice = _Choice(way, table)
    for base in found_bases:
        choice.keep(base.numbers, base, is_base=True)
    small = choice.classes([*found_bases, usual])
    if prod(map(len, small.values())) <= _SMALL_PRODUCT:
        for combined in product(*small.values()):
            numbers = dict(zip(small, combined, strict=True))
            choice.keep(numbers, (found_bases or [usual])[0], is_base=False)
    for base in (*found_bases, usual):
        for numbers in choice.deviations(base):
            choice.keep(numbers, base, is_base=False)
        choice.keep(base.numbers, base, is_base=True)
    return list(choice.found.values())


class KnownChoices:
    """The requests of ways that may come again: of two meshes that differ by one object, most ways are equal."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Way, list[Chosen]]] = {}

    def of(self, way: Way) -> list[Chosen]:
        """Return the requests of a way, as `chosen` does."""
        kept = self._kept.get(way.key)
        if kept is not None and kept[0] == way:
            return kept[1]
        found = chosen(way)
        # Of several ways with one key the first is kept: it is of the mesh that all others are compared with.
        self._kept.setdefault(way.key, (way, found))
        return found


class _Choice:
    """The requests of a way that are kept so far, and what was tried on it once.

    Attributes:
        found: What distinguishes a request to the request.
    """

    def __init__(self, way: Way, table: Table) -> None:
        self.found: dict[tuple[object, ...], Chosen] = {}
        self._table = table
        self._matches = MatchCache(table)
        self._conditions = WayConditions(way, table)
        # An unusual spelling, and what only the proxies themselves distinguish, need not be tried from every base.
        self._spelt: set[tuple[str, int]] = set()
        self._watched: set[tuple[str, int]] = set()

    def keep(self, numbers: Assignment, base: Base, *, is_base: bool) -> None:
        """Keep a request, unless one that every condition treats alike is kept already."""
        conditions = self._conditions
        refused = conditions.absorbed(numbers)
        key: tuple[object, ...] = (
            ("refused", refused)
            if refused
            else tuple(conditions.kinds(name)[number] for name, number in numbers.items())
        )
        # What a route does to headers is seen with them alone, though no condition looks at them.
        key = (*key, numbers.get(CHANGED, 0))
        if key not in self.found:
            values = {name: self._table.values[name][number] for name, number in numbers.items()}
            self.found[key] = Chosen(values, base.target, is_base, base.answerers)

    def classes(self, starts: Sequence[Base]) -> dict[str, list[int]]:
        """Return one value of each class by dimension: that of a base, one that looks like a word, or the first."""
        found: dict[str, list[int]] = {}
        for name, values in self._table.values.items():
            if name == CHANGED:
                found[name] = [0]
                continue
            kept: dict[object, int] = {}
            usual = [base.numbers[name] for base in starts[:-1]]
            near = [number for number, value in enumerate(values) if value.origin]
            swept = self._conditions.swept(name)
            for number in (*usual, *near, *range(len(values))):
                if not values[number].trait:
                    kept.setdefault(swept[number], number)
            found[name] = list(kept.values())
        return found

    def deviations(self, base: Base) -> Iterator[Assignment]:
        """Yield the base with one dimension changed, one value for each class.

        An unusual spelling, and what only the proxies themselves distinguish, is tried from the first base that
        shows it.
        """
        for name, values in self._table.values.items():
            if name == CHANGED:
                if name in base.dimensions:
                    yield {**base.numbers, name: len(values) - 1}
                continue
            for number in self._deviating(base, name, values):
                yield {**base.numbers, name: number}

    def _deviating(self, base: Base, name: str, values: Sequence[Value]) -> Iterator[int]:
        usual = base.numbers[name]
        clauses = self._conditions.deciding(base.numbers, name)
        meeting = self._matches.of(clauses, name)
        watched = self._conditions.watched(name)
        kept = {meeting.kinds[usual]}
        absorbed = self._conditions.absorbed_with(base.numbers, name)
        self._watched.add((name, watched[usual]))
        for number in meeting.order:
            value = values[number]
            if value.trait:
                near = name in base.dimensions and value.origin in meeting.near(usual)
                if near and (name, number) not in self._spelt:
                    self._spelt.add((name, number))
                    yield number
                continue
            kind = (name, watched[number])
            if absorbed[number]:
                # It is refused for another reason, so it is no example of what misses a condition.
                if kind not in self._watched:
                    self._watched.add(kind)
                    yield number
                continue
            missed = name in base.dimensions and meeting.kinds[number] not in kept
            if missed or kind not in self._watched:
                kept.add(meeting.kinds[number])
                self._watched.add(kind)
                yield number
