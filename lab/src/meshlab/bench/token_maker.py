"""Tokens of cases: good ones with any claims, and one for every flaw that a mesh must notice.

They are signed here with PyJWT's primitives, because a token library refuses to make most of the flawed ones.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from meshlab.bench.signing_keys import SigningKey, base64url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshlab.bench.case import TokenSpec
    from meshlab.bench.issuers import Issuers

__all__ = ["FLAWS", "make_token"]

# Envoy forgives 60 s by default: beyond them, and well within them.
_PAST_SKEW_S = 120
_WITHIN_SKEW_S = 20
_LIFETIME_S = 300
_P256_BYTES = 32

Claims = dict[str, Any]


def make_token(spec: TokenSpec, issuers: Issuers, now: Callable[[], float] = time.time) -> str:
    """Make the token that a case describes.

    Args:
        spec: The token.
        issuers: The issuers of the run.
        now: The time in seconds since 1970.

    Raises:
        LookupError: It names no issuer and the manifests do not have exactly one, or its flaw is unknown.
    """
    if spec.literal is not None:
        return spec.literal
    issuer = issuers.only() if spec.issuer is None else spec.issuer
    key = issuers.key(issuer)
    seconds = int(now())
    claims = _claims(spec.claims, issuer, issuers.audiences(issuer), seconds)
    if not spec.flaw:
        return _sign(claims, key, key.kid)
    if spec.flaw not in _FLAWED:
        raise LookupError(f"there is no flaw {spec.flaw!r}; known are {', '.join(sorted(FLAWS))}")
    return _FLAWED[spec.flaw](claims, key, issuers.unknown_key, seconds)


def _claims(written: Mapping[str, Any], issuer: str, audiences: tuple[str, ...], now: int) -> Claims:
    defaults: Claims = {
        "iss": issuer,
        "iat": now,
        "nbf": now,
        "exp": now + _LIFETIME_S,
        "jti": str(uuid.uuid4()),
    }
    if audiences:
        defaults["aud"] = audiences[0]
    return {name: value for name, value in {**defaults, **written}.items() if value is not None}


def _sign(claims: Claims, key: SigningKey, kid: str) -> str:
    signed = f"{_segment({'alg': 'ES256', 'typ': 'JWT', 'kid': kid})}.{_segment(claims)}"
    r, s = decode_dss_signature(key.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")  # RFC 7518, section 3.4
    return f"{signed}.{base64url(signature)}"


def _unsigned(claims: Claims, key: SigningKey) -> str:
    """Return a token whose header says that it needs no signature."""
    return f"{_segment({'alg': 'none', 'typ': 'JWT', 'kid': key.kid})}.{_segment(claims)}."


def _hmac_with_public_key(claims: Claims, key: SigningKey) -> str:
    """Return a token for the algorithm confusion attack: the public key is the HMAC secret."""
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT', 'kid': key.kid})}.{_segment(claims)}"
    return f"{signed}.{base64url(hmac.digest(key.public_pem, signed.encode(), hashlib.sha256))}"


def _tampered(claims: Claims, key: SigningKey) -> str:
    """Return a token whose claims were changed after it was signed."""
    header, _, signature = _sign(claims, key, key.kid).split(".")
    return f"{header}.{_segment({**claims, 'jti': 'changed'})}.{signature}"


def _changed(claims: Claims, key: SigningKey, **changes: object) -> str:
    changed = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return _sign(changed, key, key.kid)


_FLAWED: Mapping[str, Callable[[Claims, SigningKey, SigningKey, int], str]] = {
    "wrong audience": lambda claims, key, _, now: _changed(claims, key, aud="another-service"),
    "no audience": lambda claims, key, _, now: _changed(claims, key, aud=None),
    "expired": lambda claims, key, _, now: _changed(claims, key, exp=now - _PAST_SKEW_S),
    "expired a moment ago": lambda claims, key, _, now: _changed(claims, key, exp=now - _WITHIN_SKEW_S),
    "not yet valid": lambda claims, key, _, now: _changed(claims, key, nbf=now + _PAST_SKEW_S),
    "no exp": lambda claims, key, _, now: _changed(claims, key, exp=None),
    "wrong issuer": lambda claims, key, _, now: _changed(claims, key, iss="https://issuer.invalid"),
    "no issuer": lambda claims, key, _, now: _changed(claims, key, iss=None),
    "no sub": lambda claims, key, _, now: _changed(claims, key, sub=None),
    "unknown key": lambda claims, _, other, now: _sign(claims, other, other.kid),
    "other key under the known kid": lambda claims, key, other, now: _sign(claims, other, key.kid),
    "alg none": lambda claims, key, _, now: _unsigned(claims, key),
    "HS256 with the public key": lambda claims, key, _, now: _hmac_with_public_key(claims, key),
    "tampered": lambda claims, key, _, now: _tampered(claims, key),
    "garbage": lambda claims, key, _, now: "not.a.token",
}
FLAWS = frozenset(_FLAWED)
"""The flaws that there are."""


def _segment(value: Mapping[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())
