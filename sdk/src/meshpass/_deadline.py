"""Deadline of a whole call, or of several calls together."""

import math
import time
from dataclasses import dataclass

from meshpass._errors import ConfigurationError
from meshpass._values import is_number, shown


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time on the monotonic clock. As the `timeout_s` of several calls it limits all of them together.

    Args:
        at: The point in time, in seconds of `time.monotonic()`.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Return the deadline that is this number of seconds from now.

        Raises:
            ConfigurationError: it is not a finite number of seconds.
        """
        if not is_number(seconds) or not math.isfinite(seconds):
            raise ConfigurationError(
                f"The seconds of a deadline are {shown(seconds)}; they must be a finite number."
            )
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Return the seconds left; 0 or less after the deadline."""
        return self.at - time.monotonic()
