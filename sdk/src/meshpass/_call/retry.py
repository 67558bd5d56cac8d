"""Decisions on retries: whether a failed attempt is worth another, and after which wait. No clock, no randomness."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from meshpass._errors import ConfigurationError, MeshError, MeshTimeout, UpstreamUnavailable
from meshpass._values import is_number, shown

# RFC 9110, section 9.2.2.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_ASKS_TO_COME_BACK = (429, 503)
# A longer wait than any deadline leaves; and no date of RFC 9110, section 5.6.7, is longer.
_LONGEST_S = 999_999_999.0
_LONGEST_DATE_CHARS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How a client retries. `RetryPolicy(attempts=1)` never does.

    Args:
        attempts: The most times one call is sent.
        backoff_s: The first wait is random between 0 and this many seconds; each further bound is twice the last.
        max_backoff_s: No bound grows beyond this many seconds.
        statuses: Statuses of the service's own responses to retry as well, such as `{500}`; none by default.
        budget_ratio: Retries per call in the long run, over all calls of the client.
        budget_floor_per_s: Retries per second granted however few the calls.
        budget_burst: Retries that can be saved up.

    Raises:
        ConfigurationError: a value is out of range.
    """

    attempts: int = 3
    backoff_s: float = 0.05
    max_backoff_s: float = 2.0
    statuses: Collection[int] = frozenset()
    budget_ratio: float = 0.2
    budget_floor_per_s: float = 1.0
    budget_burst: float = 10.0

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.attempts, int) or isinstance(self.attempts, bool) or self.attempts < 1:
            problems.append(f"attempts is {shown(self.attempts)}; it must be a whole number, 1 or more.")
        problems += [
            f"{name} is {shown(value)}; it must be a number, 0 or more."
            for name in ("backoff_s", "max_backoff_s", "budget_ratio", "budget_floor_per_s", "budget_burst")
            if not is_number(value := getattr(self, name)) or not value >= 0
        ]
        statuses = self.statuses
        are_numbers = isinstance(statuses, Collection) and all(isinstance(one, int) for one in statuses)
        if not are_numbers or isinstance(statuses, str | bytes | bytearray):
            problems.append("statuses must be a set of HTTP statuses, such as {500}.")
        if problems:
            raise ConfigurationError(problems)


def is_transient(error: MeshError, retry_after_s: float | None) -> bool:
    """Return whether the next attempt is likely to succeed where this one failed.

    No connection, a connection that broke, 502, 503 or 504 of the mesh, or one attempt's own time limit.
    Everything else only where the response names a time to come back.
    """
    return (isinstance(error, UpstreamUnavailable | MeshTimeout) and error.retryable) or (
        error.status in _ASKS_TO_COME_BACK and retry_after_s is not None
    )


def asks_for_retry(status: int, retry_after_s: float | None, policy: RetryPolicy) -> bool:
    """Return whether a response of the service itself is to be retried."""
    return status in policy.statuses or (status in _ASKS_TO_COME_BACK and retry_after_s is not None)


def wait_s(
    policy: RetryPolicy, *, attempts: int, retry_after_s: float | None, left_s: float, chance: float
) -> float | None:
    """Return how long to wait before the next attempt, in seconds; None to give up at once.

    Full jitter, as in Amazon's "Exponential Backoff And Jitter". A `Retry-After` is a lower bound, spread by
    up to one back-off so that callers do not come back all together.

    Args:
        policy: The client's or the call's.
        attempts: How often the call was sent already.
        retry_after_s: What the response's `Retry-After` asks for.
        left_s: What is left of the call's deadline.
        chance: A random number from 0 to 1.
    """
    if attempts >= policy.attempts:
        return None
    # An exponent of 63 is beyond any bound; a greater one would overflow a float.
    bound = min(policy.max_backoff_s, policy.backoff_s * 2.0 ** min(attempts - 1, 63))
    wait = chance * bound
    if retry_after_s is not None:
        if retry_after_s >= left_s:
            return None
        wait = min(retry_after_s + wait, (retry_after_s + left_s) / 2)
    return wait if wait < left_s else None


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Read `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date; None where there is none to understand.

    Args:
        headers: The response's, looked up in lower case.
        now: POSIX seconds.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_S)
    if len(value) > _LONGEST_DATE_CHARS:
        return None
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(value)
        at = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ArithmeticError, LookupError, TypeError, ValueError):
        # It comes from outside, and the parser is not made for all that can be written there.
        return None
    return min(max(0.0, at - now), _LONGEST_S)
