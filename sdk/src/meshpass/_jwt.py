"""The caller's identity as a short-lived JWT, signed here with ES256."""

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from meshpass._errors import ConfigurationError
from meshpass._signing_key import load_signing_key, public_jwk
from meshpass._token import Token

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from meshpass._keys import KeySource

MAX_LIFETIME_S = 300
_MIN_LIFETIME_S = 30
# `iat` and `nbf` lie this far back: a verifier whose clock is a little behind ours still accepts the token.
_BACKDATE_S = 5
_REFRESH_BEFORE_EXPIRY_S = 60


class SignedJWT:
    """Signs the caller's token with its own key.

    The key is read and parsed once; a token is kept until shortly before it expires.
    Header: `alg`, `typ`, `kid` (the public key's RFC 7638 thumbprint).
    Claims: `iss`, `sub`, `aud`, `scope`, `iat`, `nbf`, `exp`, `jti`.
    There is always a `sub`, because Istio builds a caller's principal from `iss` and `sub`.

    Args:
        issuer: `iss`, as the mesh's RequestAuthentication names it.
        audience: `aud`, one of those the RequestAuthentication lists.
        key: A `KeyFile`, a `SecretManagerKey`, or any callable that returns PEM bytes.
        subject: `sub`; the issuer when left out.
        scope: `scope`, space-separated; no such claim when left out.
        lifetime_s: `exp` minus `iat` in seconds, from 30 to 300.
        clock: Returns POSIX seconds.

    Raises:
        ConfigurationError: a value is missing or out of range.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        key: "KeySource",
        *,
        subject: str | None = None,
        scope: str | None = None,
        lifetime_s: int = MAX_LIFETIME_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        problems = [
            f"{name} is empty." for name, value in (("issuer", issuer), ("audience", audience)) if not value
        ]
        if not _MIN_LIFETIME_S <= lifetime_s <= MAX_LIFETIME_S:
            problems.append(
                f"lifetime_s is {lifetime_s}; it must be from {_MIN_LIFETIME_S} to {MAX_LIFETIME_S}."
            )
        if problems:
            raise ConfigurationError(problems)
        self._claims = {"iss": issuer, "sub": subject or issuer, "aud": audience}
        if scope:
            self._claims["scope"] = scope
        self._key_source = key
        self._lifetime_s = int(lifetime_s)
        self._clock = clock
        self._key: EllipticCurvePrivateKey | None = None
        self._jwk: dict[str, str] = {}
        self._cached: tuple[Token, float] | None = None
        self._lock = threading.Lock()
        _live.add(self)

    def token(self) -> Token:
        """Return the cached token, or sign a new one; the first call reads the key.

        Raises:
            SigningKeyError: the key cannot be read or used.
        """
        return self._fresh() or self._sign()

    async def atoken(self) -> Token:
        """Return the same as `token`; the key is read on a worker thread, off the event loop.

        Raises:
            SigningKeyError: the key cannot be read or used.
        """
        token = self._fresh()
        if token is not None:
            return token
        if self._key is not None:
            # A signature takes microseconds: less than going to a thread and back.
            return self._sign()
        import asyncio

        return await asyncio.to_thread(self._sign)

    def invalidate(self, token: Token) -> None:
        """Forget this token, because it was refused; the key and any newer token stay."""
        with self._lock:
            if self._cached is not None and self._cached[0] is token:
                self._cached = None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public key as a JWKS, as the mesh's RequestAuthentication takes it in `jwks`.

        Raises:
            SigningKeyError: the key cannot be read or used.
        """
        with self._lock:
            self._load_key()
            return {"keys": [dict(self._jwk)]}

    def __repr__(self) -> str:
        return f"SignedJWT(issuer={self._claims['iss']!r}, audience={self._claims['aud']!r}, key='***')"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A SignedJWT cannot be pickled or copied, because it holds a signing key.")

    def _fresh(self) -> Token | None:
        cached = self._cached
        if cached is None:
            return None
        token, made_at = cached
        margin_s = min(_REFRESH_BEFORE_EXPIRY_S, self._lifetime_s / 3)
        # A clock set back behind the time of signing makes the token one from the future: sign anew.
        return token if made_at - _BACKDATE_S <= self._clock() < token.expires_at - margin_s else None

    def _sign(self) -> Token:
        import secrets

        import jwt

        with self._lock:
            token = self._fresh()
            if token is not None:
                return token
            key = self._load_key()
            now = self._clock()
            issued_at = int(now) - _BACKDATE_S
            expires_at = issued_at + self._lifetime_s
            claims = {
                **self._claims,
                "iat": issued_at,
                "nbf": issued_at,
                "exp": expires_at,
                "jti": secrets.token_urlsafe(16),
            }
            kid = self._jwk["kid"]
            value = jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid})
            shown = {"iss": claims["iss"], "aud": claims["aud"], "kid": kid, "exp": expires_at}
            token = Token(value, float(expires_at), "SignedJWT", shown)
            self._cached = (token, now)
            return token

    def _load_key(self) -> "EllipticCurvePrivateKey":
        if self._key is None:
            source = self._key_source
            key = load_signing_key(source(), where=_name_of(source))
            self._key, self._jwk = key, public_jwk(key)
        return self._key


def _name_of(source: "KeySource") -> str:
    from meshpass._keys import KeyFile, SecretManagerKey

    return str(source) if isinstance(source, KeyFile | SecretManagerKey) else "the key function"


_live: "weakref.WeakSet[SignedJWT]" = weakref.WeakSet()


def _renew_locks() -> None:
    # A lock that another thread held at the fork would stay locked in the child for ever.
    for source in list(_live):
        source._lock = threading.Lock()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
