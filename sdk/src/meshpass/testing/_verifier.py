"""What Envoy says of a token, worked out here, in Envoy's words and in its order.

The rules are those of Envoy's jwt_authn filter and of jwt_verify_lib beneath it, set up as istiod sets them up:
one issuer, a list of audiences, 60 s of clock skew, no demand for `exp`, and a request without a token let through
to the policies. A test sends the same tokens here and to a real Envoy and compares.

Stricter than Envoy in one thing: its JSON parser also reads single quotes, bare names and trailing commas, which
no signer writes.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshpass.testing._envoy_jwt import BASE64URL_OR_DOT, Jwt, Refused, parse

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

CLOCK_SKEW_S = 60
_PREFIX = "Bearer "
_TOKEN_START = re.compile(f"[{BASE64URL_OR_DOT}]")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request's token.

    Args:
        status: 200 where the request goes on to the policies, 401, or 403 for a wrong audience.
        words: Envoy's own words, which are the answer's body; empty where the request goes on.
        claims: The verified claims; None without a token or with a refused one.
    """

    status: int
    words: str
    claims: Mapping[str, object] | None

    @property
    def accepted(self) -> bool:
        """Whether there was a token and it was good."""
        return self.claims is not None


class JWKSVerifier:
    """Verifies tokens as the mesh's RequestAuthentication would with one `jwtRules` entry.

    Args:
        issuer: `issuer`; a token's `iss` must equal it.
        audiences: `audiences`; one of them must be in the token's `aud`. Without any, every audience passes.
        jwks: `jwks`: EC P-256 keys as a JWKS, such as `SignedJWT.jwks()` returns.
        clock: Returns POSIX seconds.

    Raises:
        ValueError: the JWKS holds no key, or one that is not EC P-256.
    """

    def __init__(
        self,
        issuer: str,
        audiences: Iterable[str],
        jwks: Mapping[str, Iterable[Mapping[str, str]]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._audiences = {_bare(audience) for audience in audiences}
        self._keys = [_Key.read(jwk) for jwk in jwks.get("keys", ())]
        self._clock = clock
        if not self._keys:
            raise ValueError("The JWKS has no keys: a mesh with it would refuse every token.")

    def verify(self, token: str) -> Verdict:
        """Verify an encoded token as it stands in the header after `Bearer `."""
        try:
            jwt = parse(token)
            self._check(jwt)
        except Refused as refused:
            return Verdict(refused.status, refused.words, None)
        return Verdict(200, "", jwt.claims)

    def verify_header(self, authorization: str | None) -> Verdict:
        """Verify what an `Authorization` header holds; repeated headers are joined with commas, as Envoy does.

        `Bearer ` is looked for as written, anywhere in the value. Without it there is no token: the request
        goes on, and a policy that asks for a principal refuses it.
        """
        value = (authorization or "").strip(" \t")  # as HTTP does with every header's value
        at = value.find(_PREFIX)
        if at < 0:
            return Verdict(200, "", None)
        start = _TOKEN_START.search(value, at + len(_PREFIX))
        return self.verify(value[start.start() :] if start else value)

    def _check(self, jwt: Jwt) -> None:
        if jwt.issuer != self._issuer:
            raise Refused("Jwt issuer is not configured")
        now = int(self._clock())
        if now + CLOCK_SKEW_S < jwt.not_before:
            raise Refused("Jwt not yet valid")
        # An `exp` of 0 is as good as none: the token never expires.
        if jwt.expires_at and now > jwt.expires_at + CLOCK_SKEW_S:
            raise Refused("Jwt is expired")
        if self._audiences and self._audiences.isdisjoint(map(_bare, jwt.audiences)):
            raise Refused("Audiences in Jwt are not allowed", status=403)
        candidates = [key for key in self._keys if key.suits(jwt)]
        if not candidates:
            raise Refused("Jwks doesn't have key to match kid or alg from Jwt")
        if not any(key.verifies(jwt) for key in candidates):
            raise Refused("Jwt verification fails")


def _bare(audience: str) -> str:
    """An audience as Envoy compares it: without `http://`, `https://` and one trailing slash."""
    for scheme in ("http://", "https://"):
        if audience.startswith(scheme):
            audience = audience.removeprefix(scheme)
            break
    return audience.removesuffix("/")


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str
    alg: str
    public: "EllipticCurvePublicKey"

    @classmethod
    def read(cls, jwk: Mapping[str, str]) -> "_Key":
        from jwt import PyJWK
        from jwt.exceptions import PyJWTError

        problem = f"The JWKS key {jwk.get('kid')!r} is not a public EC key on P-256."
        if jwk.get("crv") != "P-256" or "d" in jwk:
            raise ValueError(problem)
        try:
            public: EllipticCurvePublicKey = PyJWK(dict(jwk), algorithm="ES256").key
        except PyJWTError:
            raise ValueError(problem) from None
        return cls(jwk.get("kid", ""), jwk.get("alg", ""), public)

    def suits(self, jwt: Jwt) -> bool:
        """Whether Envoy would try this key: a missing `kid` on either side matches any."""
        return (not jwt.kid or not self.kid or jwt.kid == self.kid) and self.alg in ("", jwt.algorithm)

    def verifies(self, jwt: Jwt) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        digest = {"ES384": hashes.SHA384(), "ES512": hashes.SHA512()}.get(jwt.algorithm, hashes.SHA256())
        half = len(jwt.signature) // 2
        r, s = (int.from_bytes(jwt.signature[at : at + half], "big") for at in (0, half))
        try:
            self.public.verify(encode_dss_signature(r, s), jwt.signed, ECDSA(digest))
        except InvalidSignature:
            return False
        return True
