"""The explanations of a changed request, of the old side and of the new one, as parts of a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.explain.as_json import explanations_as_json
from meshlab.html_report.explained import explained
from meshlab.html_report.report import Block

if TYPE_CHECKING:
    from meshlab.diff.explain_sides import BothSides, OneSide

__all__ = ["both_sides"]


def both_sides(sides: BothSides) -> tuple[Block, ...]:
    """Return what the proxies did on both sides, step by step, as parts of a panel.

    Args:
        sides: The explanations.
    """
    return (_side("before, step by step", sides.old), _side("now, step by step", sides.new))


def _side(heading: str, side: OneSide) -> Block:
    lines = [side.note]
    if side.explanation is None:
        return Block(heading, lines=tuple(filter(None, lines)))
    decision = side.explanation.decision
    lines += [decision.text] if decision else []
    lines += side.explanation.doubts
    (written,) = explanations_as_json([side.explanation])["explanations"]
    steps = tuple(step for block in explained(written) for step in block.steps)
    return Block(heading, lines=tuple(dict.fromkeys(filter(None, lines))), steps=steps)
