"""Google's identity tokens on this machine: OpenID Connect tokens of a service account, for any audience.

As Google's they are RS256, live for an hour, and come from a cache: who asks again gets the same token, as long as
it lives for four more minutes. Their issuer is the lab's own and their key new in every run, so that nothing outside
the lab can take one for Google's. Neither does the lab's mesh trust them by itself: publish `jwks` to it first.

Source: https://cloud.google.com/compute/docs/instances/verifying-instance-identity
"""

from __future__ import annotations

import hashlib
import time
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ISSUER = "https://accounts.meshlab.invalid"
LIFETIME_S = 3600

_KEPT_UNTIL_S = 240
_KEY_BITS = 2048


class IdentityKey:
    """The issuer's signing key, which its accounts share. It is made at its first use, since that takes a while."""

    def sign(self, claims: dict[str, object]) -> str:
        """Return a signed token with these claims."""
        import jwt

        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._kid})

    @property
    def jwks(self) -> dict[str, object]:
        """The public key that verifies the tokens, as a JSON Web Key Set (RFC 7517)."""
        return {"keys": [{**self._public, "alg": "RS256", "use": "sig", "kid": self._kid}]}

    @property
    def public_pem(self) -> bytes:
        """The same public key, PEM."""
        from cryptography.hazmat.primitives import serialization

        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @cached_property
    def _key(self) -> RSAPrivateKey:
        from cryptography.hazmat.primitives.asymmetric import rsa

        return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)

    @cached_property
    def _public(self) -> dict[str, str]:
        from jwt.algorithms import RSAAlgorithm

        found = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {name: found[name] for name in ("e", "kty", "n")}

    @cached_property
    def _kid(self) -> str:
        return hashlib.sha256(self._public["n"].encode()).hexdigest()[:40]


def unique_id(email: str) -> str:
    """Return the unique id that an account of the lab has where no other is given: 21 digits, as Google's."""
    return str(10**20 + int(hashlib.sha256(email.encode()).hexdigest(), 16) % 10**20)


class IdentityTokens:
    """Makes one service account's tokens.

    Args:
        email: The service account.
        now_s: The clock, in seconds since the epoch.
        key: The issuer's key; one of its own where there is none.
        issuer: Every token's `iss`.
        subject: Every token's `sub`; made from the address where it is empty.

    Attributes:
        subject: The account's unique id, every token's `sub`.
    """

    def __init__(
        self,
        email: str,
        now_s: Callable[[], float] = time.time,
        key: IdentityKey | None = None,
        *,
        issuer: str = ISSUER,
        subject: str = "",
    ) -> None:
        self._email = email
        self._issuer = issuer
        self._now_s = now_s
        self._key = key or IdentityKey()
        self._made: dict[tuple[str, bool], tuple[str, int]] = {}
        self.subject = subject or unique_id(email)

    def token(self, audience: str, *, full: bool) -> str:
        """Return a token for an audience.

        Args:
            audience: Its `aud`.
            full: Whether it names the account's `email`.
        """
        now = int(self._now_s())
        made, expires = self._made.get((audience, full), ("", 0))
        if expires - now > _KEPT_UNTIL_S:
            return made
        expires = now + LIFETIME_S
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": self.subject,
            "azp": self.subject,
            "aud": audience,
            "iat": now,
            "exp": expires,
            **({"email": self._email, "email_verified": True} if full else {}),
        }
        made = self._key.sign(claims)
        self._made[audience, full] = (made, expires)
        return made

    @property
    def jwks(self) -> dict[str, object]:
        """The public key that verifies the tokens, as a JSON Web Key Set (RFC 7517)."""
        return self._key.jwks
