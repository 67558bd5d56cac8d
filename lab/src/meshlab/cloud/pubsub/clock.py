"""The server's time, which tests may speed up so that a ten-second deadline passes in a fraction of one."""

from __future__ import annotations

import time


class Clock:
    """Wall-clock time that never runs backwards.

    Args:
        speed: Seconds of this clock per real second.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._wall_s = time.time()
        self._start_s = time.monotonic()

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return self._wall_s + (time.monotonic() - self._start_s) * self._speed

    def real_s(self, seconds: float) -> float:
        """Return how many real seconds to wait for `seconds` of this clock to pass."""
        return seconds / self._speed
