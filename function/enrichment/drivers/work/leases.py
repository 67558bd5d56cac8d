"""Leases of messages: when each is to be extended, and until when. Pure: time is an argument."""

from collections.abc import Iterable

import msgspec

from enrichment.drivers.work.leased_message import LeasedMessage


class Due(msgspec.Struct, frozen=True):
    """What is to be done about leases now.

    Args:
        extend: Messages whose leases are to be extended.
        overdue: Messages whose leases are not extended any more.
    """

    extend: list[LeasedMessage]
    overdue: list[LeasedMessage]


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
        self._leased: dict[str, tuple[LeasedMessage, float]] = {}

    def __len__(self) -> int:
        return len(self._leased)

    def take(self, messages: Iterable[LeasedMessage], now_s: float) -> None:
        """Note messages that have just arrived."""
        for leased in messages:
            leased.arrived_at_s = now_s
            self._leased[leased.ack_id] = leased, now_s

    def drop(self, messages: Iterable[LeasedMessage]) -> None:
        """Forget messages: they are answered, or lost."""
        for leased in messages:
            self._leased.pop(leased.ack_id, None)

    def due(self, now_s: float) -> Due:
        """Return what is to be done now. What is to be extended counts as extended, what is overdue is forgotten."""
        extend: list[LeasedMessage] = []
        overdue: list[LeasedMessage] = []
        for leased, since_s in self._leased.values():
            if since_s + self.lease_s / 2 > now_s:
                break
            (overdue if self._is_overdue(leased, now_s) else extend).append(leased)
        self.drop(overdue)
        for leased in extend:
            del self._leased[leased.ack_id]
            self._leased[leased.ack_id] = leased, now_s
        return Due(extend, overdue)

    def next_s(self) -> float | None:
        """Return when something is to be done next; None where nothing is held."""
        return next((since_s + self.lease_s / 2 for _, since_s in self._leased.values()), None)

    def _is_overdue(self, leased: LeasedMessage, now_s: float) -> bool:
        if leased.is_answered:  # its answer has a time limit of its own
            return False
        if leased.began_at_s is None:
            return now_s - leased.arrived_at_s >= self._wait_s
        return now_s - leased.began_at_s >= self._event_s
