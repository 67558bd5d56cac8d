"""Verdict on a token: what Envoy would say, in Envoy's words and order; or, with `strict`, what the RFCs say.

The rules are those of Envoy's jwt_authn filter and of jwt_verify_lib beneath it, as istiod configures them:
one issuer, a list of audiences, 60 s of clock skew, `exp` not required, and a request without a token let through
to the policies. A test sends the same tokens here and to a real Envoy and compares.

In one thing this verifier is stricter than Envoy without `strict` too: Envoy's JSON parser also reads single quotes,
bare names and trailing commas, which no signer writes.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from meshpass.testing import _strict
from meshpass.testing._envoy_jwt import BASE64URL_OR_DOT, Jwt, Refused, parse
from meshpass.testing._public_key import PublicKey

CLOCK_SKEW_S = 60
_PREFIX = "Bearer "
_TOKEN_START = re.compile(f"[{BASE64URL_OR_DOT}]")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request's token.

    Args:
        status: 200 where the request goes on to the policies, 401, or 403 for a wrong audience.
        words: Envoy's own words, which are the response's body; empty where the request goes on. What only
            `strict` refuses begins with `strict: `.
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
    """Verifier that judges tokens as the mesh's RequestAuthentication would with one `jwtRules` entry.

    A token that passes here passes in the mesh. It need not be a valid JWS: Envoy's library does not check the
    `use` and `key_ops` of a key, `crit` and `b64` of a header, the length of a signature, stray characters and bits
    in base64url, and an `exp` of 0 is as good as none. With `strict` such tokens are refused, too. Use `strict` to
    test a signer, the default to test what the mesh does.

    Args:
        issuer: `issuer`; a token's `iss` must equal it.
        audiences: `audiences`; one of them must be in the token's `aud`. Without any, every audience passes.
        jwks: `jwks`: EC, RSA and Ed25519 keys as a JWKS, such as `SignedJWT.jwks()` returns.
        clock: Returns POSIX seconds.
        strict: Whether to refuse as well what RFC 7515, 7517, 7518, 7519 and 7797 refuse and Envoy accepts.

    Raises:
        ValueError: The JWKS holds no key, or one of another kind.
    """

    def __init__(
        self,
        issuer: str,
        audiences: Iterable[str],
        jwks: Mapping[str, Iterable[Mapping[str, object]]],
        *,
        clock: Callable[[], float] = time.time,
        strict: bool = False,
    ) -> None:
        self._issuer = issuer
        self._strict = strict
        self._audiences = {self._compared(audience) for audience in audiences}
        listed = [dict(jwk) for jwk in jwks.get("keys", ())]
        if not listed:
            raise ValueError("The JWKS has no keys: a mesh with it would refuse every token.")
        keys = [(PublicKey.read(jwk), jwk) for jwk in listed]
        self._keys = [key for key, jwk in keys if not strict or _strict.may_verify(jwk, key)]
        self._clock = clock

    def verify(self, token: str) -> Verdict:
        """Verify an encoded token as it stands in the header after `Bearer `."""
        try:
            jwt = parse(token)
            key = self._verified(jwt)
            if self._strict:
                _strict.check(token, jwt, key, self._clock() - CLOCK_SKEW_S)
        except Refused as refused:
            return Verdict(refused.status, refused.words, None)
        return Verdict(200, "", jwt.claims)

    def verify_header(self, authorization: str | None) -> Verdict:
        """Verify what an `Authorization` header holds; repeated headers are joined with commas, as Envoy does.

        `Bearer ` is looked for as written, anywhere in the value. Without it there is no token: the request
        goes on, and a policy that asks for a principal refuses it. With `strict`, `Bearer ` must be the beginning
        and the token must be the rest (RFC 6750, section 2.1).
        """
        value = (authorization or "").strip(" \t")  # as HTTP does with every header's value
        at = value.find(_PREFIX)
        if at < 0:
            return Verdict(200, "", None)
        start = _TOKEN_START.search(value, at + len(_PREFIX))
        verdict = self.verify(value[start.start() :] if start else value)
        if self._strict and verdict.accepted and not _strict.is_bearer(value):
            return Verdict(401, _strict.NOT_BEARER, None)
        return verdict

    def _verified(self, jwt: Jwt) -> PublicKey:
        """Return the key whose signature the token has, if all of Envoy's checks pass."""
        if jwt.issuer != self._issuer:
            raise Refused("Jwt issuer is not configured")
        now = int(self._clock())
        if now + CLOCK_SKEW_S < jwt.not_before:
            raise Refused("Jwt not yet valid")
        # An `exp` of 0 is as good as none: the token never expires.
        if jwt.expires_at and now > jwt.expires_at + CLOCK_SKEW_S:
            raise Refused("Jwt is expired")
        if self._audiences and self._audiences.isdisjoint(map(self._compared, jwt.audiences)):
            raise Refused("Audiences in Jwt are not allowed", status=403)
        candidates = [key for key in self._keys if key.suits(jwt)]
        if not candidates:
            raise Refused("Jwks doesn't have key to match kid or alg from Jwt")
        for key in candidates:
            if key.verifies(jwt):
                return key
        raise Refused("Jwt verification fails")

    def _compared(self, audience: str) -> str:
        # RFC 7519, section 4.1.3: audiences are compared as they are.
        return audience if self._strict else _bare(audience)


def _bare(audience: str) -> str:
    """Return an audience as Envoy compares it: without `http://`, `https://` and one trailing slash."""
    for scheme in ("http://", "https://"):
        if audience.startswith(scheme):
            audience = audience.removeprefix(scheme)
            break
    return audience.removesuffix("/")
