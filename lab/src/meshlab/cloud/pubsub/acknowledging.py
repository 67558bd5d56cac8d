"""Acknowledgements and changes of deadlines, from a call of their own or inside a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import (
    INVALID_ACK_ID,
    UNAVAILABLE_ACK_ID,
    UNORDERED_ACK_ID,
    AckIdError,
)
from .settings import check_ack_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .clock import Clock
    from .hub import Hub
    from .store import Entry, Store
    from .subscription import Refused


class Acknowledger:
    """Changes leases as consumers ask, with the faults that were ordered."""

    def __init__(self, store: Store, clock: Clock, hub: Hub) -> None:
        self._store = store
        self._clock = clock
        self._hub = hub

    def acknowledge(self, entry: Entry, ack_ids: Sequence[str]) -> Refused:
        """Acknowledge.

        Returns:
            The ack IDs that had no effect, with exactly-once delivery; empty without it.

        Raises:
            InvalidArgumentError: There are too many ack IDs, or, without exactly-once delivery, a malformed one.
        """
        check_ack_ids(len(ack_ids))
        # What is past its deadline has ended, even where the timer comes a moment later.
        entry.subscription.advance(self._clock.now_s())
        # Only an ack that would have an effect can be lost. Otherwise a request that the client repeats for the few
        # that failed would fail for others each time.
        lost = entry.plan.lost(each for each in ack_ids if entry.subscription.holds(each))
        refused = entry.subscription.ack([each for each in ack_ids if each not in lost] if lost else ack_ids)
        if entry.subscription.policy.exactly_once:
            refused.temporary += lost
        self._changed(entry)
        return refused

    def modify_deadline(self, entry: Entry, ack_ids: Sequence[str], seconds: int) -> Refused:
        """Move deadlines to so many seconds from now; 0 is a nack. Returns and raises as `acknowledge`."""
        check_ack_ids(len(ack_ids))
        now_s = self._clock.now_s()
        entry.subscription.advance(now_s)
        refused = entry.subscription.modify_deadline(ack_ids, seconds, now_s)
        self._changed(entry)
        return refused

    def _changed(self, entry: Entry) -> None:
        self._store.touch(entry.name)
        self._hub.settle()


def raise_refused(refused: Refused) -> None:
    """Raise AckIdError if an ack ID was refused."""
    if refused:
        reasons = dict.fromkeys(refused.invalid, INVALID_ACK_ID)
        reasons |= dict.fromkeys(refused.unordered, UNORDERED_ACK_ID)
        raise AckIdError(reasons | dict.fromkeys(refused.temporary, UNAVAILABLE_ACK_ID))
