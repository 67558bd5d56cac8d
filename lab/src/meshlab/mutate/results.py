"""Results of mutants: what cases made of each, and what would show those that no case caught."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.mutate.missing import MissingCase
    from meshlab.mutate.mutants import Mutant

__all__ = ["STATES", "Result", "State"]

State = Literal["caught", "same configuration", "equivalent", "not judged", "survived"]

STATES: tuple[State, ...] = ("survived", "caught", "equivalent", "same configuration", "not judged")
"""What may become of a mutant, the gravest first."""


@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    Attributes:
        mutant: The mutant.
        state: `survived` where no case failed; `caught` by a case; `equivalent` where no request of the battery ended
            otherwise; `same configuration` where every Envoy is configured as without the change, so that no request
            differs; `not judged` where Istio, Envoy or meshlab does not take the object, where no request of the bench
            can show the change, or where the verdict of one that might is not known.
        caught_by: The case that failed.
        reason: Why it is not judged, or why a survivor has no case.
        missing: The case that would have caught a survivor.
        effect: What a survivor makes of some request, such as `now allowed`.
    """

    mutant: Mutant
    state: State
    caught_by: str = ""
    reason: str = ""
    missing: MissingCase | None = None
    effect: str = ""
