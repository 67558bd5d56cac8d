"""Whether two meshes differ about a question that was asked several times, so that chance is not taken for a change."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from meshlab.diff.effect import Kind, change_of
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.diff.effect import Change, Effect

__all__ = ["Answers", "Judgement"]

_ONCE_MORE = 1
"""Where nothing is left to chance, a second time shows that the machine was not merely too busy."""
_EVEN_ODDS = 8
_UNEVEN_ODDS = 64
"""One effect in ten requests is missed in one of a thousand such rounds."""


@dataclass(frozen=True)
class Judgement:
    """What several requests show.

    Attributes:
        old: The effect before that stands for the change, or the first.
        new: The effect now.
        change: How they differ; `None` where they do not, or where that is not known.
        chance: How often they were seen, in words; empty where each request of a side had the same effect.
        varies: Whether the requests of one side had several effects.
    """

    old: Effect
    new: Effect
    change: Change | None
    chance: str = ""
    varies: bool = False


@dataclass
class Answers:
    """The effects of one question, asked several times on both sides.

    Attributes:
        old: The effects on the old mesh, at least one.
        new: Those on the new one, at least one.
        odds: What chance has a say in, on the old mesh and on the new one; empty texts where it has none.
    """

    old: list[Effect]
    new: list[Effect]
    odds: tuple[str, str] = ("", "")

    @property
    def is_doubtful(self) -> bool:
        """Whether the question has to be asked again."""
        first, now = self.old[0], self.new[0]
        if first.unknown or now.unknown or (first.absent and now.absent):
            return False
        return self._is_uneven or change_of(first, now) is not None

    @property
    def repeats(self) -> int:
        """How often it has to be asked again."""
        if self._is_uneven:
            return _UNEVEN_ODDS
        return _EVEN_ODDS if any(self.odds) else _ONCE_MORE

    def add(self, effect: Effect, *, is_new: bool) -> None:
        """Take another effect; one that is not known says nothing beside those that are."""
        if not effect.unknown:
            (self.new if is_new else self.old).append(effect)

    @property
    def judgement(self) -> Judgement:
        """What they show.

        Effects that both sides have seen are none of a change where the odds are even. Where they are not, each effect
        that only one side has seen is one.
        """
        old, new = _classes(self.old), _classes(self.new)
        if self.old[0].unknown or self.new[0].unknown:
            return Judgement(self.old[0], self.new[0], None)
        varies = len(old) > 1 or len(new) > 1
        is_shared = any(_is_same(before, now) for before in old for now in new)
        if is_shared and not self._is_uneven:
            return Judgement(self.old[0], self.new[0], None, varies=varies)
        pairs = [
            (before, now, change) for before, now in _pairs(old, new) if (change := change_of(before, now))
        ]
        if not pairs:
            return Judgement(self.old[0], self.new[0], None, varies=varies)
        order = list(Kind)
        before, now, change = min(pairs, key=lambda pair: order.index(pair[2].kind))
        chance = ""
        if varies:
            chance = (
                f"in {_times(now, self.new)} of {len(self.new)} requests, "
                f"before in {_times(now, self.old)} of {len(self.old)}"
            )
        return Judgement(before, now, change, chance, varies)

    @property
    def _is_uneven(self) -> bool:
        return self.odds[0] != self.odds[1]


def _pairs(old: Sequence[Effect], new: Sequence[Effect]) -> Iterator[tuple[Effect, Effect]]:
    """Yield what to compare: each effect that one side alone has, with the most frequent of the other side."""
    for now in new:
        if not any(_is_same(before, now) for before in old):
            yield old[0], now
    for before in old:
        if not any(_is_same(before, now) for now in new):
            yield before, new[0]


def _classes(effects: Sequence[Effect]) -> list[Effect]:
    """Return one effect for all that are the same, the most frequent first."""
    found: list[Effect] = []
    counts: Counter[int] = Counter()
    for effect in effects:
        index = next((number for number, known in enumerate(found) if _is_same(known, effect)), len(found))
        if index == len(found):
            found.append(effect)
        counts[index] += 1
    return [found[index] for index, _ in counts.most_common()]


def _times(effect: Effect, effects: Sequence[Effect]) -> int:
    return sum(_is_same(effect, other) for other in effects)


def _is_same(one: Effect, other: Effect) -> bool:
    return change_of(one, other) is None
