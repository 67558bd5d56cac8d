"""The caller's identity as a short-lived JWT, signed with the caller's key."""

import json
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from meshpass._errors import ConfigurationError, SigningKeyError
from meshpass._frames import sealed
from meshpass._token import Token
from meshpass._tokens.algorithms import NAMES
from meshpass._tokens.cache import FETCH_LIMIT_S, CachedSource, loggable
from meshpass._tokens.key_sources import KeyFile, KMSKey, SecretManagerKey
from meshpass._tokens.raw_errors import as_mesh_error
from meshpass._values import is_number, shown, type_problems

if TYPE_CHECKING:
    from meshpass._tokens.key_sources import KeySource
    from meshpass._tokens.signing_key import Signer

MAX_LIFETIME_S = 300
_MIN_LIFETIME_S = 30
_DEFAULT_KEY_TTL_S = 300
# `iat` and `nbf` are this far in the past, so that a verifier with a slow clock accepts the token.
_BACKDATE_S = 5
# Shortest time between two reads of a key, after a failed read or a refused token.
_KEY_RETRY_S = 10
_OWN_CLAIMS = frozenset({"iss", "sub", "aud", "scope", "iat", "nbf", "exp", "jti"})


_without_raw_errors = as_mesh_error(SigningKeyError, "No token can be signed")


@dataclass(frozen=True, slots=True)
class _Loaded:
    signer: "Signer"
    read_at: float
    read_again_at: float


class SignedJWT(CachedSource):
    """Source of tokens that this process signs with the caller's key.

    A token is reused until the last quarter of its lifetime. Equal sources of a process share it, unless the key comes
    from a function. Header: `alg`, `typ`, `kid` (the public key's RFC 7638 thumbprint).
    Claims: `iss`, `sub`, `aud`, `scope`, `iat`, `nbf`, `exp`, `jti`, and those in `claims`.
    There is always a `sub`, because Istio builds a caller's principal from `iss` and `sub`.

    The key is read again after `key_ttl_s`, and when a token was refused. So a running process follows a rotation: the
    next token has the new key and `kid`. If reading fails, the old key is still used and a warning is logged.

    Args:
        issuer: `iss`, as the mesh's RequestAuthentication names it.
        audience: `aud`, one of those the RequestAuthentication lists.
        key: A `KeyFile`, a `SecretManagerKey`, a `KMSKey`, or any callable that returns PEM bytes.
        subject: `sub`; the issuer when left out.
        scope: `scope`, space-separated; no such claim when left out.
        claims: Further claims, with values that JSON can express. The claims above cannot be set.
        lifetime_s: `exp` minus `iat` in seconds, from 30 to 300.
        algorithm: `ES256`, `ES384`, `RS256` or `EdDSA` (Ed25519); a key of another algorithm is then refused. Any of
            these when None.
        key_ttl_s: After how many seconds the key is read again. A key in Cloud KMS is read once.
        clock: Returns POSIX seconds.

    Raises:
        ConfigurationError: a value is missing or out of range; it lists all of them.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        key: "KeySource | KMSKey",
        *,
        subject: str | None = None,
        scope: str | None = None,
        claims: Mapping[str, object] | None = None,
        lifetime_s: int = MAX_LIFETIME_S,
        algorithm: str | None = None,
        key_ttl_s: float = _DEFAULT_KEY_TTL_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        problems = [
            f"{name} is empty." for name, value in (("issuer", issuer), ("audience", audience)) if not value
        ]
        problems += type_problems(issuer=issuer, audience=audience, subject=subject, scope=scope)
        if not is_number(lifetime_s) or not _MIN_LIFETIME_S <= lifetime_s <= MAX_LIFETIME_S:
            problems.append(
                f"lifetime_s is {shown(lifetime_s)}; it must be from {_MIN_LIFETIME_S} to {MAX_LIFETIME_S}."
            )
        if algorithm is not None and algorithm not in NAMES:
            problems.append(f"algorithm is {shown(algorithm)}; it must be one of {', '.join(NAMES)}.")
        if not is_number(key_ttl_s) or not key_ttl_s > 0:
            problems.append(f"key_ttl_s is {shown(key_ttl_s)}; it must be a number of seconds above 0.")
        if not callable(key) and not isinstance(key, KMSKey):
            problems.append(
                f"key is of type {type(key).__name__}; it must be a KeyFile, a SecretManagerKey, a KMSKey or a"
                " function that returns PEM bytes."
            )
        problems += _claims_problems(claims) if claims is not None else []
        if problems:
            raise ConfigurationError(problems)
        self._claims: dict[str, object] = {"iss": issuer, "sub": subject or issuer, "aud": audience}
        if scope:
            self._claims["scope"] = scope
        self._claims.update(claims or {})
        self._key = key
        self._algorithm = algorithm
        self._lifetime_s = int(lifetime_s)
        self._key_ttl_s = key_ttl_s
        self._clock = clock
        self._loaded: _Loaded | None = None

    def invalidate(self, token: Token) -> None:
        """Remove this token from the cache, because it was refused; a newer one stays.

        The key is read again for the next token, because it may have been rotated, but not twice within 10 s.
        """
        super().invalidate(token)
        loaded, now = self._loaded, self._clock()
        if loaded is not None and now - loaded.read_at >= _KEY_RETRY_S:
            self._loaded = replace(loaded, read_again_at=now)

    @sealed
    @_without_raw_errors
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public key as a JWKS, for `jwks` of the mesh's RequestAuthentication.

        Raises:
            SigningKeyError: the key cannot be read or used.
        """
        return {"keys": [dict(self._signer(FETCH_LIMIT_S).jwk)]}

    def __repr__(self) -> str:
        return f"SignedJWT(issuer={self._claims['iss']!r}, audience={self._claims['aud']!r}, key='***')"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A SignedJWT cannot be pickled or copied, because it holds a signing key.")

    @property
    def _fetch_is_cheap(self) -> bool:
        return self._loaded is not None and self._loaded.signer.is_quick and not self._must_read(self._loaded)

    def _cache_key(self) -> Hashable:
        # Two functions may return different keys or times, so sources with functions do not share tokens.
        named = isinstance(self._key, KeyFile | SecretManagerKey | KMSKey) and self._clock is time.time
        key = self._key if named else object()
        return "SignedJWT", key, self._algorithm, self._lifetime_s, json.dumps(self._claims, sort_keys=True)

    @_without_raw_errors
    def _fetch(self, deadline_s: float) -> Token:
        import secrets

        from meshpass._tokens.algorithms import base64url

        signer = self._signer(deadline_s)
        kid = signer.jwk["kid"]
        issued_at = int(self._clock()) - _BACKDATE_S
        expires_at = issued_at + self._lifetime_s
        times = {"iat": issued_at, "nbf": issued_at, "exp": expires_at, "jti": secrets.token_urlsafe(16)}
        # RFC 7515, section 7.1: the compact form.
        parts = ({"alg": signer.jwk["alg"], "typ": "JWT", "kid": kid}, {**self._claims, **times})
        message = ".".join(base64url(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
        value = f"{message}.{base64url(signer.sign(message.encode(), deadline_s))}"
        shown = {"iss": self._claims["iss"], "aud": self._claims["aud"], "kid": kid, "exp": expires_at}
        return Token(value, float(expires_at), "SignedJWT", shown)

    def _signer(self, deadline_s: float) -> "Signer":
        loaded = self._loaded
        if loaded is not None and not self._must_read(loaded):
            return loaded.signer
        now, wait_s = self._clock(), self._key_ttl_s
        try:
            signer = _open(self._key, deadline_s)
            _check_algorithm(signer, self._key, self._algorithm)
        except Exception as exc:
            if loaded is None:
                raise
            _log_old_key_goes_on(loaded.signer.jwk["kid"], exc)
            signer, wait_s = loaded.signer, _KEY_RETRY_S
        else:
            if loaded is not None and loaded.signer.jwk != signer.jwk:
                _log_new_key(loaded.signer.jwk["kid"], signer.jwk["kid"])
        self._loaded = _Loaded(signer, now, now + wait_s)
        return signer

    def _must_read(self, loaded: _Loaded) -> bool:
        # A clock that was set back must not keep a key for longer.
        return (
            not isinstance(self._key, KMSKey) and not loaded.read_at <= self._clock() < loaded.read_again_at
        )


def _claims_problems(claims: Mapping[str, object]) -> list[str]:
    if not isinstance(claims, Mapping):
        return [f"claims is of type {type(claims).__name__}; it must be a mapping of names to values."]
    problems = [
        f"claims has {name!r}, which SignedJWT sets itself." for name in claims if name in _OWN_CLAIMS
    ]
    try:
        json.dumps(dict(claims), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        problems.append("claims holds something that JSON cannot express.")
    return problems


def _open(key: "KeySource | KMSKey", deadline_s: float) -> "Signer":
    from meshpass._tokens.signing_key import LocalSigner

    if isinstance(key, KMSKey):
        from meshpass._tokens.kms import KMSSigner

        return KMSSigner(key, deadline_s)
    if isinstance(key, KeyFile | SecretManagerKey):
        return LocalSigner(key(), _name_of(key))
    pem: object = as_mesh_error(SigningKeyError, "The key function failed")(key)()
    if not isinstance(pem, bytes):
        raise SigningKeyError(
            f"The key function returned {type(pem).__name__}, not bytes.",
            hint="Encode a text with .encode(). The function is called without `await`.",
        )
    return LocalSigner(pem, _name_of(key))


def _check_algorithm(signer: "Signer", key: "KeySource | KMSKey", wanted: str | None) -> None:
    if wanted is not None and signer.jwk["alg"] != wanted:
        raise SigningKeyError(
            f"The signing key from {_name_of(key)} signs {signer.jwk['alg']}, and algorithm is {wanted}.",
            hint="Use a key of that algorithm, or leave algorithm out.",
        )


def _name_of(key: "KeySource | KMSKey") -> str:
    return str(key) if isinstance(key, KeyFile | SecretManagerKey | KMSKey) else "the key function"


def _log_old_key_goes_on(kid: str, exc: Exception) -> None:
    import logging

    logging.getLogger("meshpass").warning(
        "The signing key could not be read again, and the old one is still used (kid %s): %s",
        kid,
        loggable(exc),
        extra={"kid": kid},
    )


def _log_new_key(old_kid: str, kid: str) -> None:
    import logging

    logging.getLogger("meshpass").info(
        "The signing key was rotated: kid %s replaces %s",
        kid,
        old_kid,
        extra={"kid": kid, "old_kid": old_kid},
    )
