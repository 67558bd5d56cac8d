"""Cases that would have caught a survivor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshlab.bench.case import Case

__all__ = ["MissingCase"]


@dataclass(frozen=True)
class MissingCase:
    """A case that passes today and fails on a mutant.

    Attributes:
        case: The case, with today's verdict as its expectation.
        text: The same in the words of a case file, as an entry of `cases`.
        effect: What the mutant makes of its request, such as `now allowed`.
    """

    case: Case
    text: str
    effect: str
