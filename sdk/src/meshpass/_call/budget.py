"""Retry budget of one service: retries are a share of its calls, so that an outage is not multiplied."""

import threading
import time
from collections.abc import Callable


class RetryBudget:
    """A bucket of tokens: each call puts in a fraction of one, each retry takes one out.

    While most calls succeed, every failed one may be retried. When all fail, retries add no more than `ratio`
    to the load, plus the floor that lets a quiet caller retry at all. The idea is Finagle's `RetryBudget`.

    Args:
        ratio: Retries per call in the long run; 0.2 is one retry for five calls.
        floor_per_s: Retries per second that are always granted.
        burst: The most retries that can be saved up; the bucket starts full.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        ratio: float,
        floor_per_s: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = ratio
        self._floor_per_s = floor_per_s
        self._burst = burst
        self._clock = clock
        self._balance = burst
        self._refilled_at = clock()
        self._lock = threading.Lock()

    def deposit(self) -> None:
        """Count one call."""
        # Without the lock: two threads at once may lose a fraction of a retry, and no call waits.
        self._balance = min(self._burst, self._balance + self._ratio)

    def withdraw(self) -> bool:
        """Take one retry; False when there is none."""
        with self._lock:
            now = self._clock()
            refill = max(0.0, now - self._refilled_at) * self._floor_per_s
            self._refilled_at = now
            self._balance = min(self._burst, self._balance + refill)
            if self._balance < 1:
                return False
            self._balance -= 1
            return True
