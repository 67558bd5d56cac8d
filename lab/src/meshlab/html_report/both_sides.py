"""The explanations of a changed request, of the old side and of the new one, as parts of a panel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.explain.as_json import explanations_as_json
from meshlab.html_report.explained import explained
from meshlab.html_report.report import Block

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshlab.diff.explain_sides import BothSides, OneSide
    from meshlab.html_report.report import Step

__all__ = ["both_sides"]

_PLACE = "at"


def both_sides(sides: BothSides) -> tuple[Block, ...]:
    """Return what the proxies did on both sides, step by step; what both sides have alike is folded.

    Args:
        sides: The explanations.
    """
    old, new = _steps(sides.old), _steps(sides.new)
    return (
        Block("before, step by step", lines=_lines(sides.old), steps=_folded_alike(old, new)),
        Block("now, step by step", lines=_lines(sides.new), steps=_folded_alike(new, old)),
    )


def _lines(side: OneSide) -> tuple[str, ...]:
    found = side.explanation
    decided = [found.decision.text] if found and found.decision else []
    lines = (side.note, *decided, *(found.doubts if found else ()))
    return tuple(dict.fromkeys(filter(None, lines)))


def _steps(side: OneSide) -> tuple[Step, ...]:
    if side.explanation is None:
        return ()
    (written,) = explanations_as_json([side.explanation])["explanations"]
    return tuple(step for block in explained(written) for step in block.steps)


def _folded_alike(hops: Iterable[Step], others: Iterable[Step]) -> tuple[Step, ...]:
    """Return the proxies of one side. Folded in them is each step that the other side has, too, wherever it stands."""
    known = set(_every(map(_without_places, others)))
    return tuple(replace(hop, steps=tuple(_folded(step, known) for step in hop.steps)) for hop in hops)


def _folded(step: Step, known: set[Step]) -> Step:
    if _without_places(step) in known:
        return replace(step, opened=False)
    return replace(step, steps=tuple(_folded(inner, known) for inner in step.steps))


def _every(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _every(step.steps)


def _without_places(step: Step) -> Step:
    """Return a step as it can be compared: the files of two sides have other names and other lines."""
    facts = tuple(fact for fact in step.facts if fact.label != _PLACE)
    return replace(step, facts=facts, steps=tuple(map(_without_places, step.steps)), opened=True)
