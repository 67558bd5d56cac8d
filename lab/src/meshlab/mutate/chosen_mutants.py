"""Which mutants are asked."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from meshlab.bench.close_names import known_names
from meshlab.bench.selection import SelectionError, selector
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshlab.mutate.mutants import Mutant

__all__ = ["SEED", "Chosen", "Wanted", "choose"]

SEED = 14
"""What a sample is drawn with, so that the next run draws the same."""


@dataclass(frozen=True)
class Wanted:
    """Which mutants to ask.

    Attributes:
        kinds: Kinds of objects; empty for all.
        expression: As `-k`: words of an object, a field, a change or a file; empty for all.
        all: Whether also those that can only refuse more, or break what worked.
        limit: The most mutants; 0 for all.
        seed: What a sample is drawn with.
    """

    kinds: tuple[str, ...] = ()
    expression: str = ""
    all: bool = False
    limit: int = 0
    seed: int = SEED


@dataclass(frozen=True)
class Chosen:
    """The mutants to ask, in the order of the objects.

    Attributes:
        mutants: The mutants.
        only_break: How many were left out because they can only refuse more, or break what worked.
        sampled_out: How many were left out because of the limit.
        seed: What the sample was drawn with.
    """

    mutants: tuple[Mutant, ...]
    only_break: int = 0
    sampled_out: int = 0
    seed: int = SEED


def choose(mutants: Iterable[Mutant], wanted: Wanted) -> Chosen:
    """Return the mutants that are wanted.

    Raises:
        SelectionError: There is none, or the expression cannot be read.
    """
    found = list(mutants)
    matches = selector(wanted.expression) if wanted.expression else lambda _text: True
    kinds = {kind.lower() for kind in wanted.kinds}
    named = [
        mutant
        for mutant in found
        if (not kinds or mutant.kind.lower() in kinds)
        and matches(f"{mutant} {mutant.field} {mutant.manifest.source}")
    ]
    if found and not named:
        raise SelectionError(_none_selected(found, wanted))
    asked = named if wanted.all else [mutant for mutant in named if mutant.weakens]
    kept = asked
    if 0 < wanted.limit < len(asked):
        drawn = random.Random(wanted.seed).sample(range(len(asked)), wanted.limit)  # noqa: S311 - no secret
        kept = [asked[index] for index in sorted(drawn)]
    return Chosen(tuple(kept), len(named) - len(asked), len(asked) - len(kept), wanted.seed)


def _none_selected(found: Sequence[Mutant], wanted: Wanted) -> str:
    kinds = {mutant.kind for mutant in found}
    unknown = [kind for kind in wanted.kinds if kind.lower() not in {each.lower() for each in kinds}]
    if unknown:
        return f"--kind {unknown[0]!r} selects no mutant; {known_names(unknown[0], kinds)}"
    objects = list(dict.fromkeys(mutant.manifest.subject for mutant in found))[:3]
    words = f"-k {wanted.expression!r}{' and --kind' if wanted.kinds else ''}"
    return f"{words} selects none of the {len(found)} mutants; use words of an object, such as {', '.join(objects)}"
