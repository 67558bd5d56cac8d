"""Tokens as `infra/contract.env` describes them: one good, and one for every flaw that the mesh must notice.

Signed here with PyJWT rather than by the SDK, which would refuse to make most of them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import jwt

from meshlab.bench.signing_keys import SigningKey, base64url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["NAMES", "Tokens"]

# Beyond the 60 s that Envoy forgives by default, and well within them.
_PAST_SKEW_S = 120
_WITHIN_SKEW_S = 20
_LIFETIME_S = 300

Claims = dict[str, Any]


class Tokens:
    """Makes the named tokens.

    Args:
        key: The key that the mesh trusts.
        contract: Issuer, audience, subject and scope, as in `infra/contract.env`.
    """

    def __init__(self, key: SigningKey, contract: Mapping[str, str]) -> None:
        self._key = key
        self._contract = contract
        self._stranger = SigningKey.generate()

    def make(self, name: str) -> str:
        """Make the token of that name, fresh."""
        return _MAKE[name](self)

    def sign(self, **changes: str | int | None) -> str:
        """Return a token signed by the trusted key, with some claims changed."""
        return self._encode(self._claims(**changes), self._key.private, self._key.kid)

    def _claims(self, **changes: str | int | None) -> Claims:
        """Return the good claims with some changed: None leaves one out, exp and nbf count in seconds from now."""
        now = int(time.time())
        claims: Claims = {
            "iss": self._contract["JWT_ISSUER"],
            "sub": self._contract["JWT_SUBJECT"],
            "aud": self._contract["JWT_AUDIENCE"],
            "scope": self._contract["JWT_SCOPE"],
            "iat": now,
            "nbf": now,
            "exp": now + _LIFETIME_S,
            "jti": str(uuid.uuid4()),
        }
        for name, value in changes.items():
            if value is None:
                del claims[name]
            else:
                claims[name] = now + value if isinstance(value, int) else value
        return claims

    @staticmethod
    def _encode(claims: Claims, key: ec.EllipticCurvePrivateKey, kid: str) -> str:
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid})

    def sign_as_stranger(self, *, known_kid: bool = False) -> str:
        """Return a token by an untrusted key, under its own key id or under the trusted one."""
        return self._encode(
            self._claims(), self._stranger.private, (self._key if known_kid else self._stranger).kid
        )

    def unsigned(self) -> str:
        """Return a token whose header says that it needs no signature."""
        return f"{_segment({'alg': 'none', 'typ': 'JWT', 'kid': self._key.kid})}.{_segment(self._claims())}."

    def hmac_with_public_key(self) -> str:
        """Return a token for the algorithm confusion attack: the public key is the HMAC secret."""
        header = _segment({"alg": "HS256", "typ": "JWT", "kid": self._key.kid})
        signed = f"{header}.{_segment(self._claims())}"
        return f"{signed}.{base64url(hmac.digest(self._key.public_pem, signed.encode(), hashlib.sha256))}"


_MAKE: Mapping[str, Callable[[Tokens], str]] = {
    "valid": lambda tokens: tokens.sign(),
    "wrong audience": lambda tokens: tokens.sign(aud="another-service"),
    "expired": lambda tokens: tokens.sign(exp=-_PAST_SKEW_S),
    "expired a moment ago": lambda tokens: tokens.sign(exp=-_WITHIN_SKEW_S),
    "not yet valid": lambda tokens: tokens.sign(nbf=_PAST_SKEW_S),
    "no exp": lambda tokens: tokens.sign(exp=None),
    "wrong issuer": lambda tokens: tokens.sign(iss="https://issuer.example"),
    "no sub": lambda tokens: tokens.sign(sub=None),
    "another sub": lambda tokens: tokens.sign(sub="someone-else"),
    "without the scope": lambda tokens: tokens.sign(scope="read:something-else"),
    "unknown key": lambda tokens: tokens.sign_as_stranger(),
    "known kid, other key": lambda tokens: tokens.sign_as_stranger(known_kid=True),
    "alg none": lambda tokens: tokens.unsigned(),
    "HS256 with the public key": lambda tokens: tokens.hmac_with_public_key(),
    "garbage": lambda tokens: "not.a.token",
}
NAMES = frozenset(_MAKE)
"""The tokens that there are, besides `none`."""


def _segment(value: Mapping[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())
