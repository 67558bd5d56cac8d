"""Clock that only the test moves."""

from __future__ import annotations


class Clock:
    """A source of time for code that takes one. Waiting with `sleep` moves it.

    Args:
        now_s: The first time, in seconds.
    """

    def __init__(self, now_s: float = 1_700_000_000.0) -> None:
        self.now_s = now_s
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Move the time, and note by how much."""
        self.slept.append(seconds)
        self.now_s += seconds
