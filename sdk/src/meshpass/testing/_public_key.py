"""Public key of a JWKS, used as Envoy's jwt_verify_lib uses it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshpass.testing._envoy_jwt import Jwt

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_COORDINATE_BYTES = 32


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One EC P-256 key.

    Args:
        kid: Its `kid`; empty without one.
        alg: Its `alg`; empty without one.
        public: The key itself.
    """

    kid: str
    alg: str
    public: "EllipticCurvePublicKey"

    @classmethod
    def read(cls, jwk: Mapping[str, object]) -> "PublicKey":
        """Read a JWK (RFC 7517; RFC 7518, section 6.2).

        Raises:
            ValueError: It is not a public EC key on P-256.
        """
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers

        problem = f"The JWKS key {jwk.get('kid')!r} is not a public EC key on P-256."
        if (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256") or "d" in jwk:
            raise ValueError(problem)
        try:
            x, y = (_coordinate(jwk.get(name)) for name in "xy")
            public = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
        except ValueError:
            raise ValueError(problem) from None
        return cls(str(jwk.get("kid", "")), str(jwk.get("alg", "")), public)

    def suits(self, jwt: Jwt) -> bool:
        """Return whether Envoy would try this key: a missing `kid` on either side matches any."""
        return (not jwt.kid or not self.kid or jwt.kid == self.kid) and self.alg in ("", jwt.algorithm)

    def verifies(self, jwt: Jwt) -> bool:
        """Return whether the signature is this key's. A signature of any length is cut into two halves."""
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


def _coordinate(value: object) -> int:
    """Read a coordinate: base64url of 32 bytes (RFC 7518, section 6.2.1.2).

    Raises:
        ValueError: It is something else.
    """
    text = value if isinstance(value, str) else ""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if len(data) != _COORDINATE_BYTES:
        raise ValueError(f"A coordinate of P-256 has {_COORDINATE_BYTES} bytes, not {len(data)}.")
    return int.from_bytes(data, "big")
