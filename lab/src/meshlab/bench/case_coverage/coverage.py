"""Coverage of the cases of one run: counts, and what no case exercised."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

from meshlab.bench.case_coverage.items import KINDS
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.case_coverage.items import Item, ItemPlace, Kind

__all__ = ["Count", "Coverage", "Missed"]


@dataclass(frozen=True)
class Missed:
    """Something that no case exercised.

    Attributes:
        item: What.
        reason: Why it is missed.
    """

    item: Item
    reason: str


@dataclass(frozen=True)
class Count:
    """How many of a number of items were exercised."""

    exercised: int = 0
    total: int = 0

    @property
    def percent(self) -> float:
        """The share, rounded down to a tenth: 100 means every one. Of nothing, nothing is missed."""
        return floor(1000 * self.exercised / self.total) / 10 if self.total else 100.0

    def reaches(self, percent: float) -> bool:
        """Return whether the share is at least so many percent; nothing is rounded."""
        return self.exercised * 100 >= percent * self.total


@dataclass(frozen=True)
class Coverage:
    """What the cases of a run exercised.

    Attributes:
        items: Everything that a case can exercise.
        missed: What none exercised, in the order of the items.
    """

    items: Sequence[Item]
    missed: Sequence[Missed]

    @property
    def total(self) -> Count:
        """The count of all items."""
        return self._count(self.items)

    def of(self, kind: Kind, owner: ItemPlace | None = None) -> Count:
        """Return the count of one kind, of all objects or of one of them."""
        return self._count([item for item in self.items if item.kind == kind and owner in (None, item.owner)])

    @property
    def kinds(self) -> dict[Kind, Count]:
        """The count of each kind."""
        return {kind: self.of(kind) for kind in KINDS}

    @property
    def objects(self) -> list[ItemPlace]:
        """The objects that have items, in their order."""
        return list(dict.fromkeys(item.owner for item in self.items))

    def _count(self, items: Sequence[Item]) -> Count:
        missed = {(each.item.kind, each.item.place) for each in self.missed}
        return Count(sum((item.kind, item.place) not in missed for item in items), len(items))
