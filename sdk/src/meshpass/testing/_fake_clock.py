"""Clock that stands still until a test moves it."""

_ANY_MOMENT_S = 1_800_000_000.0


class FakeClock:
    """Clock with wall and monotonic time in one. Calling it returns the wall's time, as `time.time` does.

    Args:
        now_s: The wall clock at the start, in POSIX seconds.
    """

    def __init__(self, now_s: float = _ANY_MOMENT_S) -> None:
        self._wall_s = float(now_s)
        self._monotonic_s = 0.0

    def __call__(self) -> float:
        """Return the wall clock, in POSIX seconds."""
        return self._wall_s

    def time(self) -> float:
        """Return the wall clock, in POSIX seconds."""
        return self._wall_s

    def monotonic(self) -> float:
        """Return the monotonic clock, in seconds since the start."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks.

        Raises:
            ValueError: Time would run backwards.
        """
        if seconds < 0:
            raise ValueError(f"Time cannot pass backwards ({seconds} s); use jump() to set the wall clock.")
        self._wall_s += seconds
        self._monotonic_s += seconds

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, forwards or back: a clock set right, or a machine thawed after a freeze."""
        self._wall_s += seconds

    def __repr__(self) -> str:
        return f"FakeClock(time={self._wall_s}, monotonic={self._monotonic_s})"
