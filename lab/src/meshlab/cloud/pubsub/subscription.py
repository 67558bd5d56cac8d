"""The state machine of one subscription: waiting, leased, acknowledged. No I/O, and time is an argument.

A message is *ready*, *resting* (its backoff has not passed) or *leased* (delivered, its deadline not
reached). A lease ends by an ack, a nack or its deadline. The last two are failures: the message rests and
becomes ready again, or is forwarded as a dead letter once its attempts are used up.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .delivery import Policy

_ACK_ID = re.compile(r"\d+-\d+-\d+")


@dataclass(frozen=True, slots=True)
class Message:
    """A published message; all subscriptions of its topic share it.

    Attributes:
        message_id: The number the service gave it, as text.
        publish_time_s: Seconds since the epoch.
        size: Bytes of data, attributes and ordering key, as flow control counts them.
    """

    message_id: str
    publish_time_s: float
    data: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)
    ordering_key: str = ""
    size: int = 0


@dataclass(slots=True, eq=False)
class Consumer:
    """One puller's share of a subscription, counted for flow control."""

    messages: int = 0
    size: int = 0


@dataclass(slots=True, eq=False)
class Lease:
    """A delivery in flight.

    Attributes:
        ack_id: What the consumer answers with.
        attempt: 1 for the first delivery of this message by this subscription.
        deadline_s: When the subscription takes the message back.
    """

    ack_id: str
    message: Message
    attempt: int
    deadline_s: float
    consumer: Consumer


@dataclass(frozen=True, slots=True)
class Backlog:
    """A subscription's messages, counted.

    Attributes:
        undelivered: Ready or resting.
        outstanding: Delivered, and neither settled nor timed out.
        acked: Acknowledged since the subscription was created.
        dead_lettered: Forwarded to the dead-letter topic since then.
    """

    undelivered: int
    outstanding: int
    acked: int
    dead_lettered: int

    @property
    def unacked(self) -> int:
        """All that is not settled; Cloud Monitoring calls it `num_undelivered_messages`."""
        return self.undelivered + self.outstanding


class Subscription:
    """The messages of one subscription.

    Args:
        policy: Deadlines, backoff and dead letters; may be replaced while messages are in flight.
        forward: Takes a message out of attempts, its number of attempts and the time. It returns whether the
            dead-letter topic took it; if not, the message stays here and is delivered again.
        number: Different for each subscription of a server, so that no ack ID fits another one's lease.
    """

    def __init__(
        self, policy: Policy, forward: Callable[[Message, int, float], bool], *, number: int = 0
    ) -> None:
        self.policy = policy
        self._number = number
        self._forward = forward
        self._serial = itertools.count(1)
        self._ready: deque[tuple[Message, int]] = deque()
        self._resting: list[tuple[float, int, Message, int]] = []
        self._leases: dict[str, Lease] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._acked = 0
        self._dead_lettered = 0

    @property
    def backlog(self) -> Backlog:
        """The messages by state."""
        return Backlog(
            undelivered=len(self._ready) + len(self._resting),
            outstanding=len(self._leases),
            acked=self._acked,
            dead_lettered=self._dead_lettered,
        )

    def add(self, message: Message) -> None:
        """Takes a newly published message."""
        self._ready.append((message, 0))

    def lease(
        self,
        now_s: float,
        *,
        consumer: Consumer,
        max_messages: int,
        max_size: int | None = None,
        deadline_s: float | None = None,
    ) -> list[Lease]:
        """Hands out ready messages, oldest first.

        Args:
            now_s: The time.
            consumer: Who takes them; its counts grow by what it gets and shrink when the leases end.
            max_messages: At most so many.
            max_size: Stop once so many bytes are handed out; the message that crosses the line is included,
                as the service does it. None for no bound.
            deadline_s: Seconds until the lease ends by itself; None for the subscription's ack deadline.
        """
        lasts_s = self.policy.ack_deadline_s if deadline_s is None else deadline_s
        leases: list[Lease] = []
        size = 0
        while self._ready and len(leases) < max_messages and (max_size is None or size < max_size):
            message, failures = self._ready.popleft()
            attempt = failures + 1
            ack_id = f"{self._number}-{next(self._serial)}-{attempt}"
            lease = Lease(ack_id, message, attempt, now_s + lasts_s, consumer)
            self._leases[ack_id] = lease
            heapq.heappush(self._deadlines, (lease.deadline_s, ack_id))
            consumer.messages += 1
            consumer.size += message.size
            size += message.size
            leases.append(lease)
        return leases

    def ack(self, ack_ids: Iterable[str]) -> None:
        """Ends the leases for good. An ack that comes after its lease ended has no effect.

        Raises:
            InvalidArgumentError: One of them was never an ack ID; then none is acknowledged.
        """
        for ack_id in _checked(ack_ids):
            if self._end(ack_id) is not None:
                self._acked += 1

    def modify_deadline(self, ack_ids: Iterable[str], seconds: int, now_s: float) -> None:
        """Moves the leases' deadlines to `seconds` from now; 0 is a nack. Ended leases are passed over.

        Raises:
            InvalidArgumentError: One of them was never an ack ID; then none is changed.
        """
        for ack_id in _checked(ack_ids):
            if seconds == 0:
                self._fail(ack_id, now_s)
            elif (lease := self._leases.get(ack_id)) is not None:
                lease.deadline_s = now_s + seconds
                heapq.heappush(self._deadlines, (lease.deadline_s, ack_id))

    def advance(self, now_s: float) -> None:
        """Ends leases past their deadline and readies messages that have rested long enough."""
        while self._deadlines and self._deadlines[0][0] <= now_s:
            deadline_s, ack_id = heapq.heappop(self._deadlines)
            if self._is_current(deadline_s, ack_id):
                self._fail(ack_id, now_s)
        while self._resting and self._resting[0][0] <= now_s:
            _, _, message, failures = heapq.heappop(self._resting)
            self._ready.append((message, failures))

    def next_event_s(self) -> float | None:
        """Returns when `advance` next has something to do, or None while time alone changes nothing."""
        while self._deadlines and not self._is_current(*self._deadlines[0]):
            heapq.heappop(self._deadlines)
        times = [heap[0][0] for heap in (self._deadlines, self._resting) if heap]
        return min(times, default=None)

    def _is_current(self, deadline_s: float, ack_id: str) -> bool:
        lease = self._leases.get(ack_id)
        return lease is not None and lease.deadline_s == deadline_s

    def _end(self, ack_id: str) -> Lease | None:
        lease = self._leases.pop(ack_id, None)
        if lease is not None:
            lease.consumer.messages -= 1
            lease.consumer.size -= lease.message.size
            # Ended leases leave their deadlines behind; without this a busy subscription would keep up to ten
            # minutes of them.
            if len(self._deadlines) > 1000 + 2 * len(self._leases):
                self._deadlines = [(held.deadline_s, held.ack_id) for held in self._leases.values()]
                heapq.heapify(self._deadlines)
        return lease

    def _fail(self, ack_id: str, now_s: float) -> None:
        lease = self._end(ack_id)
        if lease is None:
            return
        dead_letter = self.policy.dead_letter
        if (
            dead_letter is not None
            and lease.attempt >= dead_letter.max_attempts
            and self._forward(lease.message, lease.attempt, now_s)
        ):
            self._dead_lettered += 1
            return
        rest_s = self.policy.redelivery_delay_s(lease.attempt)
        if rest_s > 0:
            heapq.heappush(self._resting, (now_s + rest_s, next(self._serial), lease.message, lease.attempt))
        else:
            self._ready.append((lease.message, lease.attempt))


def _checked(ack_ids: Iterable[str]) -> list[str]:
    ids = list(ack_ids)
    for ack_id in ids:
        if not _ACK_ID.fullmatch(ack_id):
            raise InvalidArgumentError(f"You have passed an invalid ack ID to the service (ack_id={ack_id}).")
    return ids
