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

from .delivery_leases import Again, Lane, Lease
from .errors import InvalidArgumentError
from .lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .delivery_leases import Client, Consumer, Waiting
    from .delivery_rules import Policy
    from .messages import Message

_ACK_ID = re.compile(r"\d+-\d+-\d+")

_REMEMBERED_ACKS = 50_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """A subscription's messages, counted.

    Attributes:
        undelivered: Ready or resting.
        outstanding: Delivered, and neither settled nor timed out. With ordering, a message that was acknowledged
            before an earlier one of its key counts here until that one is acknowledged.
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


@dataclass(slots=True)
class Refused:
    """The ack IDs of a request that had no effect, with exactly-once delivery.

    Attributes:
        invalid: Malformed, or of a lease that has ended.
        unordered: Of a message whose key has an earlier one that is not acknowledged.
        temporary: Failed for a reason that passes.
    """

    invalid: list[str] = field(default_factory=list)
    unordered: list[str] = field(default_factory=list)
    temporary: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether there is one."""
        return bool(self.invalid or self.unordered or self.temporary)


class Subscription:
    """The messages of one subscription.

    Args:
        policy: Deadlines, backoff and dead letters; may be replaced while messages are in flight. Ordering must
            stay as it is.
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
        self._ready: deque[Waiting] = deque()
        self._lanes = Lanes()
        self._resting: list[tuple[float, int, Again | Lane]] = []
        self._leases: dict[str, Lease] = {}
        self._due: list[tuple[float, int, dict[str, Lease]]] = []
        self._recent_acks = _RecentAcks(_REMEMBERED_ACKS)
        self._unsettled = 0
        self._acked_early = 0
        self._acked = 0
        self._dead_lettered = 0

    @property
    def backlog(self) -> Backlog:
        """The messages by state."""
        outstanding = len(self._leases) + self._acked_early
        return Backlog(
            undelivered=self._unsettled - outstanding,
            outstanding=outstanding,
            acked=self._acked,
            dead_lettered=self._dead_lettered,
        )

    def add(self, messages: Sequence[Message]) -> None:
        """Take newly published messages, in order."""
        self._ready.extend(messages)
        self._unsettled += len(messages)

    def lease(
        self,
        now_s: float,
        *,
        consumer: Consumer,
        max_messages: int,
        max_size: int | None = None,
        deadline_s: float | None = None,
    ) -> list[Lease]:
        """Hand out ready messages, oldest first; those of one ordering key in order.

        Args:
            now_s: The time.
            consumer: The consumer that takes them; its counts grow by what it gets and shrink when the leases end.
            max_messages: At most so many.
            max_size: Stop once so many bytes are handed out; the message that crosses the line is included,
                as the service does it. None for no bound.
            deadline_s: Seconds until the lease ends by itself; None for the subscription's ack deadline.
        """
        ends_s = now_s + (self.policy.ack_deadline_s if deadline_s is None else deadline_s)
        due: dict[str, Lease] = {}
        leases: list[Lease] = []
        size = 0
        while len(leases) < max_messages and (max_size is None or size < max_size):
            found = self._next(consumer.client)
            if found is None:
                break
            waiting, lane = found
            message, failures = waiting if isinstance(waiting, Again) else (waiting, 0)
            ack_id = f"{self._number}-{next(self._serial)}-{failures + 1}"
            lease = Lease(ack_id, message, failures + 1, ends_s, consumer, due, lane)
            if lane is not None:
                self._lanes.sent(lane, lease)
            due[ack_id] = lease
            size += len(message)
            leases.append(lease)
        if leases:
            self._leases.update(due)
            heapq.heappush(self._due, (ends_s, next(self._serial), due))
            consumer.messages += len(leases)
            consumer.size += size
        return leases

    def holds(self, ack_id: str) -> bool:
        """Return whether this is the ack ID of a lease that has not ended."""
        return ack_id in self._leases

    def ack(self, ack_ids: Iterable[str]) -> Refused:
        """End the leases for good. An ack that comes after its lease ended has no effect.

        Returns:
            What had no effect, with exactly-once delivery. Without it the result is empty: the service then
            does not say which acks came too late.

        Raises:
            InvalidArgumentError: Without exactly-once delivery, one of them was never an ack ID; then none is
                acknowledged.
        """
        refused = Refused()
        ordered: list[tuple[Lease, Lane]] = []
        for ack_id in self._checked(ack_ids):
            lease = self._leases.get(ack_id)
            if lease is None:
                # To acknowledge again what is acknowledged is no error, with an answer lost on its way.
                if self.policy.exactly_once and ack_id not in self._recent_acks:
                    refused.invalid.append(ack_id)
            elif lease.lane is None:
                self._end(lease)
                self._settle(lease)
            else:
                lease.acked = True
                ordered.append((lease, lease.lane))
        refused.unordered += self._ack_in_order(ordered)
        return refused

    def modify_deadline(self, ack_ids: Iterable[str], seconds: int, now_s: float) -> Refused:
        """Move the leases' deadlines to `seconds` from now; 0 is a nack. Ended leases are passed over.

        Returns:
            What had no effect, with exactly-once delivery; empty without it.

        Raises:
            InvalidArgumentError: Without exactly-once delivery, one of them was never an ack ID; then none is
                changed.
        """
        refused = Refused()
        found: list[Lease] = []
        for ack_id in self._checked(ack_ids):
            if (lease := self._leases.get(ack_id)) is not None:
                found.append(lease)
            elif self.policy.exactly_once:
                refused.invalid.append(ack_id)
        if seconds == 0:
            self._fail(found, now_s)
        elif found:
            due: dict[str, Lease] = {}
            for lease in found:
                del lease.due[lease.ack_id]
                lease.due, lease.deadline_s = due, now_s + seconds
                due[lease.ack_id] = lease
            heapq.heappush(self._due, (now_s + seconds, next(self._serial), due))
            self._compact()
        return refused

    def advance(self, now_s: float) -> None:
        """End leases past their deadline and ready messages that have rested long enough."""
        while self._due and self._due[0][0] <= now_s:
            self._fail(list(heapq.heappop(self._due)[2].values()), now_s)
        while self._resting and self._resting[0][0] <= now_s:
            rested = heapq.heappop(self._resting)[2]
            if isinstance(rested, Again):
                self._ready.append(rested)
            else:
                self._lanes.wake(rested, now_s)

    def next_event_s(self) -> float | None:
        """Return when `advance` next has something to do, or None while time alone changes nothing."""
        while self._due and not self._due[0][2]:
            heapq.heappop(self._due)
        times = [heap[0][0] for heap in (self._due, self._resting) if heap]
        return min(times, default=None)

    # Delivery

    def _next(self, client: Client) -> tuple[Waiting, Lane | None] | None:
        if not self.policy.ordering:
            return (self._ready.popleft(), None) if self._ready else None
        if (kept := self._lanes.take(client)) is not None:
            return kept
        while self._ready:
            waiting = self._ready.popleft()
            key = (waiting.message if isinstance(waiting, Again) else waiting).ordering_key
            if not key:
                return waiting, None
            if (lane := self._lanes.admit(key, waiting, client)) is not None:
                return waiting, lane
        return None

    # The end of a lease

    def _checked(self, ack_ids: Iterable[str]) -> list[str]:
        ids = list(dict.fromkeys(ack_ids))
        if not self.policy.exactly_once:
            for ack_id in ids:
                if ack_id not in self._leases and not _ACK_ID.fullmatch(ack_id):
                    raise InvalidArgumentError(
                        f"You have passed an invalid ack ID to the service (ack_id={ack_id})."
                    )
        return ids

    def _ack_in_order(self, acked: Sequence[tuple[Lease, Lane]]) -> list[str]:
        """Settle what no earlier message of its key holds up; return the ack IDs that are refused for it."""
        for _, lane in acked:
            for settled in self._lanes.settle(lane):
                if settled.ack_id in self._leases:
                    self._end(settled)
                else:
                    self._acked_early -= 1
                self._settle(settled)
        early = [lease for lease, _ in acked if lease.ack_id in self._leases]
        for lease in early:
            # With exactly-once delivery an acknowledged message must not come back with an earlier one of its key.
            if self.policy.exactly_once:
                lease.acked = False
            else:
                self._end(lease)
                self._acked_early += 1
        return [lease.ack_id for lease in early] if self.policy.exactly_once else []

    def _settle(self, lease: Lease) -> None:
        self._acked += 1
        self._unsettled -= 1
        if self.policy.exactly_once:
            self._recent_acks.add(lease.ack_id)

    def _end(self, lease: Lease) -> None:
        del self._leases[lease.ack_id]
        del lease.due[lease.ack_id]
        lease.consumer.messages -= 1
        lease.consumer.size -= len(lease.message)
        self._compact()

    def _compact(self) -> None:
        """Drop deadlines that no lease has any more, before they outnumber the leases."""
        if len(self._due) > 1000 + 2 * len(self._leases):
            self._due = [entry for entry in self._due if entry[2]]
            heapq.heapify(self._due)

    def _fail(self, leases: Sequence[Lease], now_s: float) -> None:
        """End leases in vain. Of one ordering key the last one comes first, so that each counts as failed."""
        for lease in reversed(leases) if self.policy.ordering else leases:
            if lease.ack_id not in self._leases:
                continue
            if lease.lane is not None:
                self._fail_in_order(lease, lease.lane, now_s)
                continue
            self._end(lease)
            if self._forwarded(lease, now_s):
                continue
            again = Again(lease.message, lease.attempt)
            rest_s = self.policy.redelivery_delay_s(lease.attempt)
            if rest_s > 0:
                heapq.heappush(self._resting, (now_s + rest_s, next(self._serial), again))
            else:
                self._ready.append(again)

    def _fail_in_order(self, failed: Lease, lane: Lane, now_s: float) -> None:
        """Take back a delivery and, with it, all later ones of its ordering key."""
        returned: list[Waiting] = []
        rests_until_s: float | None = None
        for lease in self._lanes.take_back(lane, failed):
            if lease.acked:
                self._acked_early -= 1
            else:
                self._end(lease)
            failures = lease.attempt - 1
            if lease is failed:
                if self._forwarded(lease, now_s):
                    continue
                failures = lease.attempt
                rest_s = self.policy.redelivery_delay_s(failures)
                rests_until_s = now_s + rest_s if rest_s > 0 else None
            returned.append(Again(lease.message, failures) if failures else lease.message)
        self._lanes.put_back(lane, returned, rests_until_s)
        if rests_until_s is not None:
            heapq.heappush(self._resting, (rests_until_s, next(self._serial), lane))

    def _forwarded(self, lease: Lease, now_s: float) -> bool:
        """Return whether the message is out of attempts and has become a dead letter."""
        dead_letter = self.policy.dead_letter
        if dead_letter is None or lease.attempt < dead_letter.max_attempts:
            return False
        if not self._forward(lease.message, lease.attempt, now_s):
            return False
        self._dead_lettered += 1
        self._unsettled -= 1
        return True


class _RecentAcks:
    """The latest ack IDs that were acknowledged, up to a number."""

    def __init__(self, size: int) -> None:
        self._order: deque[str] = deque()
        self._ids: set[str] = set()
        self._size = size

    def __contains__(self, ack_id: str) -> bool:
        """Return whether it is one of them."""
        return ack_id in self._ids

    def add(self, ack_id: str) -> None:
        """Remember one, and forget the oldest if there are too many."""
        self._order.append(ack_id)
        self._ids.add(ack_id)
        if len(self._order) > self._size:
            self._ids.discard(self._order.popleft())
