"""Delays between tries: exponential, with full jitter.

Instances that failed together do not come back together
(https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).
"""

import random
from collections.abc import Iterator


def delay_s(attempt: int, first_s: float, longest_s: float) -> float:
    """Return how long to wait after an attempt, in seconds.

    Args:
        attempt: Which attempt failed, from 1.
        first_s: The most after the first one, in seconds. It doubles with each attempt.
        longest_s: The most after any, in seconds.
    """
    return random.uniform(0, min(longest_s, first_s * 2.0 ** min(attempt - 1, 64)))  # noqa: S311 - no secret


def delays_s(first_s: float, longest_s: float) -> Iterator[float]:
    """Yield the delay after each attempt, in seconds, without an end; the arguments are those of `delay_s`."""
    attempt = 1
    while True:
        yield delay_s(attempt, first_s, longest_s)
        attempt += 1
