"""A caller's token, and the protocol of its sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A bearer token. Its repr does not show the value, and it cannot be pickled or copied.

    Args:
        value: The encoded token, as sent in `Authorization: Bearer`.
        expires_at: When it expires, in POSIX seconds.
        source: The name of its source, for messages; `SignedJWT`, for instance.
        claims: The claims that messages may show: `iss`, `aud`, `kid`, `exp`.
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
    """Source of the caller's tokens. Any object with these three methods can be a client's `auth`.

    A source must cache its token, because `token` or `atoken` is called for every request. It must be safe for
    threads.
    """

    def token(self) -> Token:
        """Return a token that is valid for the next request; may do I/O.

        Raises:
            MeshError: no token can be made.
        """
        ...

    async def atoken(self) -> Token:
        """Return the same as `token`, without blocking the event loop."""
        ...

    def invalidate(self, token: Token) -> None:
        """Remove this token from the cache, because it was refused; a newer one stays."""
        ...
