"""One moment by which a whole call, or several calls together, must be over."""

import math
import time
from dataclasses import dataclass

from meshpass._errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock; give it as `timeout_s` to share one allowance among several calls.

    Args:
        at: The moment, in seconds of `time.monotonic()`.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Return the deadline that many seconds from now.

        Raises:
            ConfigurationError: it is not a number of seconds.
        """
        if math.isnan(seconds):
            raise ConfigurationError(f"A deadline after {seconds} seconds is no moment.")
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Return the seconds left; 0 or less when the deadline is over."""
        return self.at - time.monotonic()
