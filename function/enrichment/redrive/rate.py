"""Rate limit of what is published."""


class RateLimiter:
    """Token bucket that holds no more than what is asked of it: an even flow, and no burst after a pause.

    Args:
        rate: Messages a second; 0 for no limit.
        now_s: A monotonic clock's time, in seconds.
    """

    def __init__(self, rate: float, now_s: float) -> None:
        self._rate = rate
        self._free_at_s = now_s

    def wait_s(self, messages: int, now_s: float) -> float:
        """Reserve the time of some messages, and return how long to wait before they are sent.

        Args:
            messages: How many are sent at once.
            now_s: The clock's time, in seconds.

        Returns:
            Seconds, 0 if they may be sent now.
        """
        if not self._rate:
            return 0.0
        begin_s = max(self._free_at_s, now_s)
        self._free_at_s = begin_s + messages / self._rate
        return begin_s - now_s

    def batch(self, at_most: int) -> int:
        """Return how many messages to send at once for an even flow: those of a tenth of a second, or one."""
        return max(1, min(at_most, int(self._rate / 10))) if self._rate else at_most
