"""Explanations of requests that end otherwise: why each ended as it did, on the old mesh and on the new one.

The requests are sent once more to both meshes, on a bench whose proxies record conditions one by one. So the comparison
itself needs no such proxies. A request that chance decides is sent until it ends as the comparison found it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.diff.effect import change_of, effect_of
from meshlab.explain.explained_outcome import explain
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.local_bench import LocalBench
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.diff.ask import Asker
    from meshlab.diff.compare_meshes import Difference
    from meshlab.diff.effect import Effect
    from meshlab.diff.result import Result
    from meshlab.diff.side import Side
    from meshlab.explain.explanation import Explanation

__all__ = ["MOST_EXPLAINED", "BothSides", "OneSide", "explain_both_sides"]

MOST_EXPLAINED = 100
"""How many requests are explained. More take too long, and a report of them would be too large."""
_AGAIN = 1
_AGAIN_BY_CHANCE = 16
"""An effect in five requests is missed in one of thirty such rounds."""


@dataclass(frozen=True)
class OneSide:
    """Why a request ended as it did on one mesh.

    Attributes:
        explanation: The explanation; `None` where nothing could be sent.
        note: Why there is none, or why it is of another ending than the comparison found; empty for nothing to say.
    """

    explanation: Explanation | None = None
    note: str = ""


@dataclass(frozen=True)
class BothSides:
    """Why a request ended as it did before, and why it ends as it does now."""

    old: OneSide
    new: OneSide


def explain_both_sides(
    bench: LocalBench,
    result: Result,
    *,
    most: int = MOST_EXPLAINED,
    stepped: Callable[[], None] = lambda: None,
) -> list[BothSides]:
    """Send the first requests that end otherwise once more to both meshes, and return their explanations in order.

    Args:
        bench: A bench with `condition_probes`.
        result: The comparison.
        most: How many of its findings are explained.
        stepped: Called twice for each finding, once for each mesh.

    Raises:
        BenchError: Something did not start.
    """
    first = [finding.difference for finding in result.findings[:most]]
    numbers = {id(difference): number for number, difference in enumerate(first)}
    found: dict[int, BothSides] = {}
    for compared, asker in result.comparisons:
        # By identity: a request of another setup can be equal.
        own = [difference for difference in compared.differences if id(difference) in numbers]
        before, now = (_Sender(bench, asker, side) for side in compared.sides)
        olds = _of_one_side(before, own, [each.old for each in own], stepped)
        news = _of_one_side(now, own, [each.new for each in own], stepped)
        for difference, old, new in zip(own, olds, news, strict=True):
            found[numbers[id(difference)]] = BothSides(old, new)
    return [found[number] for number in range(len(first))]


def _of_one_side(
    sender: _Sender,
    differences: Sequence[Difference],
    effects: Sequence[Effect],
    stepped: Callable[[], None],
) -> list[OneSide]:
    """Return the explanations of requests on one mesh, in their order."""
    found = {
        number: OneSide(note=f"not there: {effect.absent}")
        for number, effect in enumerate(effects)
        if effect.absent
    }
    for _ in found:
        stepped()
    sent = [number for number in range(len(effects)) if number not in found]
    cases = {number: [replace(differences[number].question.case)] for number in sent}
    found |= sender.send(cases, effects, stepped)
    # On a busy machine a line of evidence may come too late, and chance may decide otherwise.
    copies = {number: _AGAIN_BY_CHANCE if differences[number].chance else _AGAIN for number in sent}
    again = {
        number: [replace(cases[number][0]) for _ in range(copies[number])]
        for number in sent
        if found[number].note
    }
    found |= sender.send(again, effects)
    return [found[number] for number in range(len(effects))]


@dataclass(frozen=True)
class _Sender:
    """Sends requests to one mesh on a bench with probes."""

    bench: LocalBench
    asker: Asker
    side: Side

    def send(
        self,
        cases: Mapping[int, Sequence[Case]],
        effects: Sequence[Effect],
        stepped: Callable[[], None] = lambda: None,
    ) -> dict[int, OneSide]:
        """Return the explanation of each request: of its first outcome that the comparison found, else of the first."""
        found: dict[int, OneSide] = {}
        if not cases:
            return found
        numbers = {id(case): number for number, copies in cases.items() for case in copies}
        every = [case for copies in cases.values() for case in copies]
        with self.asker.running(self.side, every, bench=self.bench) as engine:
            for outcome in engine.run(every):
                number = numbers[id(outcome.case)]
                note = _otherwise(outcome, effects[number])
                if number not in found or (found[number].note and not note):
                    found[number] = OneSide(explain(outcome, engine.mesh, engine.under_test), note)
                stepped()
        return found


def _otherwise(outcome: Outcome, wanted: Effect) -> str:
    """Return how a request ended otherwise than the comparison found; empty where it did not."""
    effect = effect_of(outcome)
    if not effect.unknown and change_of(wanted, effect) is None:
        return ""
    return f"sent once more for this explanation, it ended otherwise: {effect.summary}"
