"""Injected faults of insertAll and AppendRows: none by default, and the same ones for the same seed. Pure.

Each request has its own random numbers from the seed and its number since the order, whatever came before it. So a run
with the same order meets the same faults at the same requests, however its requests are cut.
"""

from __future__ import annotations

import enum
import math
import random
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from meshlab.cloud.bigquery.errors import REFUSALS

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSING_REASONS = ("backendError", "timeout", "internalError")
"""What the service says of a row that it may well take the next time.

Source: https://cloud.google.com/bigquery/docs/error-messages
"""

_MOST_BAD_ROWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong with insertAll and AppendRows, from the order on and until the next one.

    Args:
        unavailable_s: For so many seconds every request is answered 503 `backendError`, and nothing is written.
            AppendRows ends with UNAVAILABLE.
        partial_share: The share of requests, 0 to 1, of which one to three rows fail for a reason that will pass. As
            always without `skipInvalidRows`, the others are reported as `stopped` and nothing is written. AppendRows
            has no such errors by row: it answers with the error INTERNAL, and goes on.
        lost_answer_share: The share of requests, 0 to 1, whose rows are written while the client does not learn it:
            half of them end with 503 `backendError`, half with a closed connection. AppendRows ends with UNAVAILABLE.
        aborted_share: The share of requests, 0 to 1, of which nothing is written and whose connection is closed.
            AppendRows ends with ABORTED.
        delay_s: How long each request takes, in seconds; its rows are written at the end of that.
        refusal: Every request is answered with this 403: one of `errors.REFUSALS`; empty for none. AppendRows answers
            with the error RESOURCE_EXHAUSTED and goes on if it is a quota, else it ends with PERMISSION_DENIED.
        lag_s: For how long neither of them knows of a change of a table, in seconds. Rows for a table that was
            deleted and made anew go into the old one, where they are lost, and the answer is 200; a table that is new
            under its name is not found.
        seed: Decides which requests and which rows.

    Raises:
        ValueError: A value is out of its bounds, or of another type.
    """

    unavailable_s: float = 0.0
    partial_share: float = 0.0
    lost_answer_share: float = 0.0
    aborted_share: float = 0.0
    delay_s: float = 0.0
    refusal: str = ""
    lag_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        problems = [_problem(item.name, getattr(self, item.name)) for item in fields(self)]
        if found := " ".join(filter(None, problems)):
            raise ValueError(found)
        if self.partial_share + self.lost_answer_share + self.aborted_share > 1:
            raise ValueError("partial_share, lost_answer_share and aborted_share must not exceed 1 together.")

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> Faults:
        """Read an order.

        Raises:
            ValueError: It names something else than a fault, or has a bad value.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(document.keys() - known)
        if unknown:
            raise ValueError(f"There is no fault {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
        return cls(**document)  # type: ignore[arg-type]  # the values are checked as they are taken


class FaultKind(enum.StrEnum):
    """What happens to one request."""

    NONE = "none"
    UNAVAILABLE = "unavailable"
    PARTIAL = "partial"
    ANSWER_REPLACED = "answer_replaced"
    ANSWER_CUT = "answer_cut"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """The fault that is injected into one request.

    Attributes:
        kind: Its kind.
        bad_rows: For a partial failure, the reason by the row's place in the request.
    """

    kind: FaultKind
    bad_rows: Mapping[int, str] = field(default_factory=dict)


class FaultPlan:
    """An order, and how far it has come.

    Args:
        faults: What was ordered.
        ordered_at_s: When, by the clock of `next`.
    """

    def __init__(self, faults: Faults, ordered_at_s: float) -> None:
        self._unavailable_until_s = ordered_at_s + faults.unavailable_s
        self._requests = 0
        self.faults = faults

    def is_unavailable(self, now_s: float) -> bool:
        """Return whether every request is refused at this time."""
        return now_s < self._unavailable_until_s

    def next(self, row_count: int, now_s: float) -> InjectedFault:
        """Decide about the next request.

        Args:
            row_count: How many rows it has.
            now_s: The time.
        """
        if self.is_unavailable(now_s):
            return InjectedFault(FaultKind.UNAVAILABLE)
        self._requests += 1
        faults = self.faults
        if not faults.partial_share and not faults.lost_answer_share and not faults.aborted_share:
            return InjectedFault(FaultKind.NONE)
        # No secret depends on it, and a text is the same seed in every Python.
        generator = random.Random(f"{self.faults.seed}:{self._requests}")  # noqa: S311
        drawn = generator.random()
        if drawn < faults.partial_share:
            return InjectedFault(FaultKind.PARTIAL, _bad_rows(generator, row_count))
        drawn -= faults.partial_share
        if drawn < faults.lost_answer_share:
            return InjectedFault(generator.choice((FaultKind.ANSWER_REPLACED, FaultKind.ANSWER_CUT)))
        if drawn < faults.lost_answer_share + faults.aborted_share:
            return InjectedFault(FaultKind.ABORTED)
        return InjectedFault(FaultKind.NONE)


def _problem(name: str, value: Any) -> str:  # noqa: ANN401 - whatever stood in the order
    """Return what is wrong with the value of a fault; empty if nothing is."""
    if name == "seed":
        return "" if type(value) is int else "seed must be an integer."
    if name == "refusal":
        return "" if value in ("", *REFUSALS) else f"refusal must be one of {', '.join(REFUSALS)}."
    if type(value) not in (int, float) or not math.isfinite(value):
        return f"{name} must be a number."
    if name.endswith("_share"):
        return "" if 0 <= value <= 1 else f"{name} must be from 0 to 1."
    return "" if value >= 0 else f"{name} must be 0 or more."


def _bad_rows(generator: random.Random, row_count: int) -> dict[int, str]:
    count = min(generator.randint(1, _MOST_BAD_ROWS), row_count)
    return {index: generator.choice(PASSING_REASONS) for index in generator.sample(range(row_count), count)}
