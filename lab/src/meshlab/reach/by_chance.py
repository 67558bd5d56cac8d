"""Answers to requests whose end is left to chance, where each was asked several times."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.reach.outcome import Answer

__all__ = ["combined"]


def combined(answers: Sequence[Sequence[Answer]]) -> Answer:
    """Return one answer to a question that was asked several times.

    Args:
        answers: The answers for each destination that a route chooses by weight, at least one for each.
    """
    every = list(chain.from_iterable(answers))
    unknown = next((each for each in every if each.access in ("not judged", "error")), None)
    if unknown is not None:
        return unknown
    allowed = [each for each in every if each.access == "allowed"]
    shown = min(allowed or every, key=lambda each: (each.by != each.question.target, each.by))
    if len({(each.access, each.word) for each in every}) == 1:
        return shown
    settled = all(len({(each.access, each.word) for each in alone}) == 1 for alone in answers)
    why = "by weight" if settled else "by chance"
    words = sorted({each.word for each in every})
    reasons = sorted({f"{each.word} by {each.by or 'an unknown proxy'}" for each in every})
    word = f"{' or '.join(words)}, {why}"
    return replace(shown, word=word, policy="", reason=f"{why}: {', '.join(reasons)}", varies=True)
