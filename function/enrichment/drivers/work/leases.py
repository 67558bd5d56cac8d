"""Leases of messages: when each is to be extended, and until when. Pure: time is an argument."""

from collections.abc import Iterable

import msgspec

from enrichment.drivers.work.held import Held


class Due(msgspec.Struct, frozen=True):
    """What is to be done about leases now.

    Args:
        extend: Messages whose leases are to be extended.
        overdue: Messages whose leases are not extended any more.
    """

    extend: list[Held]
    overdue: list[Held]


class Leases:
    """Messages in the order in which their leases end.

    All leases last equally long, so the message that was extended last is the last to end: a dict in the order of
    extension needs no sorting. A lease is extended when half of it is over, so one request may fail and be sent again.

    Args:
        lease_s: How long a lease lasts from its begin or extension, in seconds.
        event_s: How long the core may take with a message, in seconds; leases are not extended beyond.
        wait_s: How long a message may wait in this process before the core begins with it, in seconds.
    """

    def __init__(self, lease_s: float, event_s: float, wait_s: float) -> None:
        self.lease_s = lease_s
        self._event_s = event_s
        self._wait_s = wait_s
        self._held: dict[str, tuple[Held, float]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def take(self, messages: Iterable[Held], now_s: float) -> None:
        """Note messages that have just arrived."""
        for held in messages:
            held.arrived_at_s = now_s
            self._held[held.ack_id] = held, now_s

    def drop(self, messages: Iterable[Held]) -> None:
        """Forget messages: they are answered, or lost."""
        for held in messages:
            self._held.pop(held.ack_id, None)

    def due(self, now_s: float) -> Due:
        """Return what is to be done now. What is to be extended counts as extended, what is overdue is forgotten."""
        extend: list[Held] = []
        overdue: list[Held] = []
        for held, since_s in self._held.values():
            if since_s + self.lease_s / 2 > now_s:
                break
            (overdue if self._is_overdue(held, now_s) else extend).append(held)
        self.drop(overdue)
        for held in extend:
            del self._held[held.ack_id]
            self._held[held.ack_id] = held, now_s
        return Due(extend, overdue)

    def next_s(self) -> float | None:
        """Return when something is to be done next; None where nothing is held."""
        return next((since_s + self.lease_s / 2 for _, since_s in self._held.values()), None)

    def _is_overdue(self, held: Held, now_s: float) -> bool:
        if held.is_answered:  # its answer has a time limit of its own
            return False
        if held.began_at_s is None:
            return now_s - held.arrived_at_s >= self._wait_s
        return now_s - held.began_at_s >= self._event_s
