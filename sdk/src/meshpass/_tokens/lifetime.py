"""How long a token is handed out, and how soon a failed fetch is tried again. Pure: time and chance come in."""

from dataclasses import dataclass

from meshpass._token import Token

_WINDOW_MAX_S = 300
# A clock that is corrected by a little has not been set back.
_SET_BACK_S = 5.0
_LAST_SECONDS_S = 5.0
_DISPUTED_S = 10.0
_BACK_OFF_FIRST_S = 0.5
_BACK_OFF_MAX_S = 5.0
_BACK_OFF_MAX_WITH_TOKEN_S = 30.0


@dataclass(frozen=True, slots=True)
class CachedToken:
    """A token, and how long it is good by two clocks.

    The wall clock counts through a suspended or frozen machine, the monotonic clock through a wall clock that was
    set back: a token must be good by both.
    """

    token: Token
    since: float
    refresh_at: float
    refresh_at_monotonic: float
    usable_until: float
    usable_until_monotonic: float

    def is_fresh(self, now: float, monotonic: float) -> bool:
        """Tell whether this token is handed out without a thought of the next one."""
        return self.since <= now < self.refresh_at and monotonic < self.refresh_at_monotonic

    def is_usable(self, now: float, monotonic: float) -> bool:
        """Tell whether this token still does while the next one is being fetched, or cannot be."""
        return self.since <= now < self.usable_until and monotonic < self.usable_until_monotonic


def cached_token(token: Token, now: float, monotonic: float, chance: float) -> CachedToken:
    """Decide how long a token that has just been fetched is good.

    It is refreshed in the last quarter of its life, at most five minutes before it expires; each process picks its
    own moment in the first fifth of that window, so that a fleet does not ask all at once.

    Args:
        token: The token, just fetched.
        now: POSIX seconds.
        monotonic: Seconds of a clock that is never set.
        chance: From 0 to 1; this process's place in the fleet.
    """
    life_s = token.expires_at - now
    if life_s <= 0:
        # Its issuer's clock and ours disagree. Asking again at every call would not settle that.
        fresh_s = usable_s = _DISPUTED_S
    else:
        fresh_s = life_s - min(life_s / 4, _WINDOW_MAX_S) * (0.8 + 0.2 * chance)
        usable_s = life_s - min(life_s / 10, _LAST_SECONDS_S)
    return CachedToken(
        token, now - _SET_BACK_S, now + fresh_s, monotonic + fresh_s, now + usable_s, monotonic + usable_s
    )


def back_off_s(failures: int, chance: float, *, has_token: bool) -> float:
    """Return for how many seconds a failed fetch stands before the next is tried.

    Without a token, the first failure stands for no time: whoever asks next tries again. With a token that still
    does, there is no hurry.

    Args:
        failures: How many fetches failed in a row, from 1.
        chance: From 0 to 1; spreads the processes of a fleet.
        has_token: Whether the last token still does.
    """
    doublings = min(failures, 10) - (1 if has_token else 2)
    if doublings < 0:
        return 0.0
    longest_s = _BACK_OFF_MAX_WITH_TOKEN_S if has_token else _BACK_OFF_MAX_S
    delay_s: float = min(_BACK_OFF_FIRST_S * 2**doublings, longest_s)
    return delay_s * (0.5 + 0.5 * chance)
