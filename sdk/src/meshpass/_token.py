"""A caller's token, and what can hand one out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A bearer token. Its value shows in no repr and it cannot be pickled or copied.

    Args:
        value: The encoded token, as it goes into `Authorization: Bearer`.
        expires_at: When it expires, in POSIX seconds.
        source: What made it, for messages: `SignedJWT`, for instance.
        claims: What messages may say about it: `iss`, `aud`, `kid`, `exp`.
    """

    # Not in the repr that `dataclass` writes for a subclass either.
    value: str = field(repr=False)
    expires_at: float
    source: str
    claims: Mapping[str, object] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Token(value='***', expires_at={self.expires_at!r}, source={self.source!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "A Token cannot be pickled or copied, because it is a secret. Get it from its source again."
        )


class TokenSource(Protocol):
    """Hands out the caller's token. Any object with these three methods can be a client's `auth`.

    A source caches: both ways of asking are called for every request. It is safe for threads.
    """

    def token(self) -> Token:
        """Return a token that is good for the next request; may do I/O.

        Raises:
            MeshError: no token can be made.
        """
        ...

    async def atoken(self) -> Token:
        """Return the same as `token`, and never block the event loop on I/O."""
        ...

    def invalidate(self, token: Token) -> None:
        """Forget this token, because a service refused it; a newer one stays."""
        ...
