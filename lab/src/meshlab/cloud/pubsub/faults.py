"""Injected faults, ordered by a test; none by default. Pure: time is an argument."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from .errors import REFUSALS, InvalidArgumentError, RefusedCallError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STREAM_STATUSES = frozenset(
    {"ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNKNOWN"}
)
"""What the service may end a stream with although nothing is wrong with the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullFaults:
    """What goes wrong for the consumers of a subscription, from the order on and until the next one.

    Args:
        unavailable_s: For so many seconds pulls, acknowledgements and streams are answered UNAVAILABLE; streams that
            are open end so.
        refusal: The same calls and streams are answered with this status: one of `errors.REFUSALS`; empty for none.
        stream_life_s: Each stream ends when it is so old, in seconds; 0 for no end. The service ends its streams
            after some 30 minutes.
        idle_stream_s: A stream ends when its client has sent nothing for so long, in seconds; 0 for no end. The
            service ends an idle stream after a minute or two, so clients send an empty request now and then.
        stream_status: What such a stream ends with, one of `STREAM_STATUSES`.
        ack_delay_s: Acknowledgements and changes of deadlines take effect, and are answered, so much later.
        lost_ack_share: The share of ack IDs, 0 to 1, that have no effect. They are answered OK, as the service may
            do: it calls acknowledgements best effort. With exactly-once delivery they fail instead, with
            `TRANSIENT_FAILURE_SERVICE_UNAVAILABLE`.
        lost_answer_share: The share of Acknowledge requests, 0 to 1, that take effect and are answered UNAVAILABLE.
        seed: Decides which ack IDs and which requests.

    Raises:
        ValueError: A value is out of its bounds, or of another type.
    """

    unavailable_s: float = 0.0
    refusal: str = ""
    stream_life_s: float = 0.0
    idle_stream_s: float = 0.0
    stream_status: str = "UNAVAILABLE"
    ack_delay_s: float = 0.0
    lost_ack_share: float = 0.0
    lost_answer_share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check_stream_status(self.stream_status)
        if self.refusal and self.refusal not in REFUSALS:
            raise ValueError(f"refusal must be empty or one of {', '.join(sorted(REFUSALS))}.")
        if type(self.seed) is not int:
            raise ValueError("seed must be a whole number.")
        for name in (item.name for item in fields(self) if item.name.endswith(("_s", "_share"))):
            value = getattr(self, name)
            most = 1.0 if name.endswith("_share") else math.inf
            if type(value) not in (int, float) or not 0 <= value <= most or value == math.inf:
                raise ValueError(f"{name} must be a number, 0 or more{'' if most > 1 else ' and at most 1'}.")

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> PullFaults:
        """Read an order.

        Raises:
            ValueError: It names something else than a fault, or has a bad value.
        """
        known = {item.name for item in fields(cls)}
        if unknown := sorted(document.keys() - known):
            raise ValueError(f"There is no fault {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
        return cls(**document)  # type: ignore[arg-type]  # the values are checked as they are taken


@dataclass(slots=True)
class PullCounts:
    """What the consumers of a subscription met so far.

    Attributes:
        streams: Streams that are open now.
        streams_opened: Streams that were opened.
        streams_ended: Streams that ended by a fault.
        unavailable: Calls and streams that were answered UNAVAILABLE on order.
        refused: Calls and streams that were refused on order.
        lost_acks: Ack IDs that had no effect on order.
        lost_answers: Acknowledge requests whose answer was lost on order.
    """

    streams: int = 0
    streams_opened: int = 0
    streams_ended: int = 0
    unavailable: int = 0
    refused: int = 0
    lost_acks: int = 0
    lost_answers: int = 0


class PullPlan:
    """The faults of a subscription as ordered, and how far they have come.

    Attributes:
        faults: What was ordered last.
        counts: What came of it, and of the orders before.
        ends: How often all streams were ended at once, and the status of the last time.
    """

    def __init__(self) -> None:
        self.faults = PullFaults()
        self.counts = PullCounts()
        self.ends: tuple[int, str] = (0, "")
        self._unavailable_until_s = 0.0
        self._random = random.Random(0)  # noqa: S311 - no secret depends on it

    def order(self, faults: PullFaults, now_s: float) -> None:
        """Replace what was ordered before."""
        self.faults = faults
        self._unavailable_until_s = now_s + faults.unavailable_s
        self._random = random.Random(faults.seed)  # noqa: S311 - no secret depends on it

    def end_streams(self, status: str) -> None:
        """End all streams that are open now.

        Raises:
            ValueError: The service ends no stream with this status.
        """
        check_stream_status(status)
        self.ends = (self.ends[0] + 1, status)

    def check_available(self, now_s: float) -> None:
        """Raise UnavailableError or RefusedCallError while everything is to fail."""
        if now_s < self._unavailable_until_s:
            self.counts.unavailable += 1
            raise UnavailableError
        if self.faults.refusal:
            self.counts.refused += 1
            raise RefusedCallError(self.faults.refusal)

    def lost(self, ack_ids: Iterable[str]) -> set[str]:
        """Return those of the ack IDs that shall have no effect, and count them."""
        share = self.faults.lost_ack_share
        if not share:
            return set()
        lost = {ack_id for ack_id in ack_ids if self._random.random() < share}
        self.counts.lost_acks += len(lost)
        return lost

    def loses_answer(self) -> bool:
        """Return whether the answer to this Acknowledge request shall be lost; counts it."""
        share = self.faults.lost_answer_share
        loses = bool(share) and self._random.random() < share
        self.counts.lost_answers += loses
        return loses


def check_stream_status(status: object) -> None:
    """Raise ValueError for a status that the service ends no stream with."""
    if status not in STREAM_STATUSES:
        raise ValueError(
            f"A stream ends with one of {', '.join(sorted(STREAM_STATUSES))}; not with {status!r}."
        )


class PublishFaults:
    """The topics to which nothing can be published for now.

    Attributes:
        refused: How many requests were refused so, by topic.
    """

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self._until_s: dict[str, float] = {}

    def order(self, topic: str, seconds: float | None, now_s: float) -> None:
        """Make publishing to a topic fail, in place of what was ordered for it before.

        Args:
            topic: The full name.
            seconds: How long from now; None until the next order, 0 not any more.
            now_s: The time.

        Raises:
            InvalidArgumentError: `seconds` is no number, or a negative one.
        """
        if seconds is None:
            self._until_s[topic] = math.inf
        elif type(seconds) in (int, float) and 0 <= seconds < math.inf:
            self._until_s[topic] = now_s + seconds
        else:
            raise InvalidArgumentError("seconds must be 0 or more, or null for no end.")

    def check(self, topic: str, now_s: float) -> None:
        """Raise UnavailableError while publishing to the topic is to fail."""
        if now_s < self._until_s.get(topic, 0.0):
            self.refused[topic] += 1
            raise UnavailableError
