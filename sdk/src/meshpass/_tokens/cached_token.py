"""Lifetime of cached tokens, and backoff of failed fetches. Pure functions of time and a random number."""

from dataclasses import dataclass

from meshpass._token import Token

_WINDOW_MAX_S = 300
# A clock that is set back by less than this was only corrected.
_SET_BACK_S = 5.0
_LAST_SECONDS_S = 5.0
_DISPUTED_S = 10.0
_BACK_OFF_FIRST_S = 0.5
_BACK_OFF_MAX_S = 5.0
_BACK_OFF_MAX_WITH_TOKEN_S = 30.0


@dataclass(frozen=True, slots=True)
class CachedToken:
    """A token, and how long it may be used by two clocks.

    The wall clock continues while a machine is suspended or frozen. The monotonic clock continues when the wall clock
    is set back. A token must be valid by both.
    """

    token: Token
    since: float
    refresh_at: float
    refresh_at_monotonic: float
    usable_until: float
    usable_until_monotonic: float

    def is_fresh(self, now: float, monotonic: float) -> bool:
        """Report whether this token is used without fetching the next one."""
        return self.since <= now < self.refresh_at and monotonic < self.refresh_at_monotonic

    def is_usable(self, now: float, monotonic: float) -> bool:
        """Report whether this token is still used while the next one is being fetched or cannot be fetched."""
        return self.since <= now < self.usable_until and monotonic < self.usable_until_monotonic


def cached_token(token: Token, now: float, monotonic: float, chance: float) -> CachedToken:
    """Decide how long a token that has just been fetched may be used.

    It is refreshed in the last quarter of its lifetime, at most five minutes before it expires. Each process picks a
    random moment in the first fifth of that window, so that many processes do not fetch at the same time.

    Args:
        token: The token, just fetched.
        now: POSIX seconds.
        monotonic: Seconds of a clock that is never set.
        chance: A random number from 0 to 1.
    """
    life_s = token.expires_at - now
    if life_s <= 0:
        # The issuer's clock and ours differ. A fetch for every call would not correct that.
        fresh_s = usable_s = _DISPUTED_S
    else:
        fresh_s = life_s - min(life_s / 4, _WINDOW_MAX_S) * (0.8 + 0.2 * chance)
        usable_s = life_s - min(life_s / 10, _LAST_SECONDS_S)
    return CachedToken(
        token, now - _SET_BACK_S, now + fresh_s, monotonic + fresh_s, now + usable_s, monotonic + usable_s
    )


def back_off_s(failures: int, chance: float, *, has_token: bool) -> float:
    """Return for how many seconds after a failed fetch no other fetch is tried.

    Without a usable token, the first failure has no such wait: the next caller fetches. With a usable token, the waits
    are longer.

    Args:
        failures: How many fetches failed in a row, from 1.
        chance: A random number from 0 to 1, which spreads the fetches of many processes.
        has_token: Whether the last token is still usable.
    """
    doublings = min(failures, 10) - (1 if has_token else 2)
    if doublings < 0:
        return 0.0
    longest_s = _BACK_OFF_MAX_WITH_TOKEN_S if has_token else _BACK_OFF_MAX_S
    delay_s: float = min(_BACK_OFF_FIRST_S * 2**doublings, longest_s)
    return delay_s * (0.5 + 0.5 * chance)
