"""The explanations of a changed request, of the old side and of the new one, as parts of a panel.

It reads an object of both sides, as `explain.as_json` describes it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshlab.html_report.explained import explained
from meshlab.html_report.report import Block

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshlab.html_report.report import Step

    Json = Mapping[str, Any]

__all__ = ["both_sides"]

_PLACE = "at"


def both_sides(sides: Json) -> tuple[Block, ...]:
    """Return what the proxies did on both sides, step by step; what both sides have alike is folded.

    Args:
        sides: The explanations.
    """
    old, new = _steps(sides["old"]), _steps(sides["new"])
    return (
        Block("before, step by step", lines=_lines(sides["old"]), steps=_folded_alike(old, new)),
        Block("now, step by step", lines=_lines(sides["new"]), steps=_folded_alike(new, old)),
    )


def _lines(side: Json) -> tuple[str, ...]:
    found = side.get("explanation") or {}
    lines = (side.get("note"), (found.get("decision") or {}).get("text"), *found.get("doubts", ()))
    return tuple(dict.fromkeys(str(line) for line in lines if line))


def _steps(side: Json) -> tuple[Step, ...]:
    return tuple(step for block in explained(side.get("explanation") or {}) for step in block.steps)


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
