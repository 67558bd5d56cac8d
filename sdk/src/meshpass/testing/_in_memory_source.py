"""Token source that needs no key, no network and no clock."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from meshpass._token import Token
from meshpass._tokens.bearer_auth import BearerAuth

if TYPE_CHECKING:
    from meshpass._errors import MeshError

_LIFETIME_S = 300.0


class InMemorySource(BearerAuth):
    """Token source that makes up tokens and counts them. One token stays until it expires or is invalidated.

    It is also an `httpx.Auth`.

    Args:
        value: Every token's value; `test-token-1`, `test-token-2` and so on when None.
        lifetime_s: How long a token is good, in seconds.
        clock: Returns POSIX seconds.

    Attributes:
        issued: How many tokens were made.
        invalidated: How many of them were refused.
        error: The exception that `token` raises while it is set.
    """

    def __init__(
        self,
        value: str | None = None,
        *,
        lifetime_s: float = _LIFETIME_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issued = 0
        self.invalidated = 0
        self.error: MeshError | None = None
        self._value = value
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._current: Token | None = None

    def token(self) -> Token:
        """Return the current token, or a new one.

        Raises:
            MeshError: `error` is set.
        """
        if self.error is not None:
            raise self.error
        now = self._clock()
        if self._current is None or now >= self._current.expires_at:
            self.issued += 1
            expires_at = now + self._lifetime_s
            value = self._value or f"test-token-{self.issued}"
            claims = {"iss": "test", "aud": "test", "kid": "test", "exp": int(expires_at)}
            self._current = Token(value, expires_at, "InMemorySource", claims)
        return self._current

    async def atoken(self) -> Token:
        """Return the same as `token`."""
        return self.token()

    def invalidate(self, token: Token) -> None:
        """Forget this token; a newer one stays."""
        if self._current is token:
            self.invalidated += 1
            self._current = None

    def __repr__(self) -> str:
        return f"InMemorySource(issued={self.issued}, invalidated={self.invalidated})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("An InMemorySource cannot be pickled or copied, because it holds a token.")
