"""Limit of pushes in flight to one endpoint, and the pauses between them. Pure: time is an argument."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .delivery_rules import Backoff


class PushWindow:
    """Slow start: one push at first, twice as many after each success, half as many after a failure.

    Once the window is down to one push and that fails as well, the endpoint is left alone for a growing
    while. Rule: https://cloud.google.com/pubsub/docs/push#delivery_rate

    Args:
        limit: The largest number of pushes in flight.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 1
        self._in_flight = 0
        self._round = 0
        self._failures = 0
        self._resume_s = 0.0

    def room(self, now_s: float) -> int:
        """Return how many pushes may begin now."""
        return max(0, self._size - self._in_flight) if now_s >= self._resume_s else 0

    def pause_s(self, now_s: float) -> float:
        """Return how long the endpoint is still to be left alone, in seconds."""
        return max(0.0, self._resume_s - now_s)

    def begin(self) -> int:
        """Count a push as begun; return its round, the argument of `failed`."""
        self._in_flight += 1
        return self._round

    def succeeded(self) -> None:
        """Count a push as acknowledged."""
        self._in_flight -= 1
        self._size = min(self._limit, self._size * 2)
        self._failures = 0
        self._resume_s = 0.0

    def failed(self, begun_in_round: int, now_s: float, pause: Backoff) -> None:
        """Count a push as failed.

        Args:
            begun_in_round: What `begin` returned. Pushes of one round that fail together count as one
                failure: an endpoint that restarts under 64 of them has failed once, not 64 times.
            now_s: The time.
            pause: How long to leave an endpoint alone.
        """
        self._in_flight -= 1
        if begun_in_round != self._round:
            return
        self._round += 1
        if self._size > 1:
            self._size //= 2
        else:
            self._failures += 1
            self._resume_s = now_s + pause.delay_s(self._failures)
