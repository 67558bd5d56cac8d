"""Decision when one more event may begin: a bound in flight, a rate, and way for live traffic. Pure.

A backfill shares the private service with live traffic, which goes first. The function's own throttle narrows the calls
that are under way and asks for as many as the service accepts. An `Admission` backs off further: at the first sign of
load it stops for a while and goes on at half the width, so that the capacity which it frees stays free.
"""

from dataclasses import dataclass, field

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


@dataclass(slots=True)
class Admission:
    """How many events may be under way, and when the next one may begin.

    Args:
        most: Most events under way at once.
        rate_per_s: Most events that begin in a second; 0 for no limit.
        yields: Whether to give way when the service says that it has too much to do.
    """

    most: int
    rate_per_s: float = 0.0
    yields: bool = True
    _width: float = field(init=False)
    _free_at_s: float = field(default=float("-inf"), init=False)
    _resume_at_s: float = field(default=float("-inf"), init=False)
    _pause_s: float = field(default=0.0, init=False)
    _good_in_a_row: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._width = float(self.most)

    @property
    def width(self) -> int:
        """How many events may be under way now."""
        return int(self._width)

    def wait_s(self, in_flight: int, now_s: float) -> float | None:
        """Return how long to wait before one more event begins.

        Args:
            in_flight: How many are under way.
            now_s: The monotonic time, in seconds.

        Returns:
            Seconds, 0 where it may begin at once; None where another one must end first.
        """
        if in_flight >= self.width:
            return None
        return max(self._resume_at_s - now_s, self._free_at_s - now_s, 0.0)

    def began(self, now_s: float) -> None:
        """Note that an event begins."""
        if self.rate_per_s:
            self._free_at_s = max(self._free_at_s, now_s) + 1 / self.rate_per_s

    def accepted(self) -> None:
        """Note an event that the service did not refuse. A whole round of them makes room for one more."""
        if self._width < self.most:
            self._width = min(self._width + 1 / self._width, self.most)
        self._good_in_a_row += 1
        if self._good_in_a_row >= self._width:
            self._pause_s = 0.0

    def refused(self, now_s: float) -> None:
        """Note an event whose lookup failed for load, or for a service that does not answer.

        Events that were under way already say the same of the same moment, so one pause counts them as one.
        """
        self._good_in_a_row = 0
        if not self.yields or now_s < self._resume_at_s:
            return
        self._pause_s = min(max(self._pause_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self._resume_at_s = now_s + self._pause_s
        self._width = max(self._width / 2, 1.0)
