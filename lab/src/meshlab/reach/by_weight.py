"""Answers to requests whose destination a route chooses by weight, where each destination was asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.reach.outcome import Answer

__all__ = ["combined"]


def combined(answers: Sequence[Answer]) -> Answer:
    """Return one answer to a question that was asked for each destination.

    Args:
        answers: What each destination made of it, at least one.
    """
    unknown = next((each for each in answers if each.access in ("not judged", "error")), None)
    if unknown is not None:
        return unknown
    words = dict.fromkeys(each.word for each in answers)
    if len({(each.access, each.word) for each in answers}) == 1:
        return answers[0]
    shown = next((each for each in answers if each.access == "allowed"), answers[0])
    reasons = dict.fromkeys(f"{each.word} by {each.by or 'an unknown proxy'}" for each in answers)
    word = f"{' or '.join(words)}, by weight"
    return replace(shown, word=word, policy="", reason=f"by weight: {', '.join(reasons)}", by_weight=True)
