"""Public key of a JWKS, used as Envoy's jwt_verify_lib uses it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshpass.testing._envoy_jwt import Jwt, Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

    Public = EllipticCurvePublicKey | RSAPublicKey | Ed25519PublicKey

_ED25519_BYTES = 64
_RSA_ALGORITHMS = frozenset(f"{family}{bits}" for family in ("RS", "PS") for bits in (256, 384, 512))


@dataclass(frozen=True, slots=True)
class Curve:
    """Curve of an EC key (RFC 7518, section 3.4; SP 800-186, section 3.2.1).

    Args:
        algorithm: The one algorithm that it signs.
        number_bytes: The size of a coordinate, and of each number of a signature.
        order: The order of its base point.
    """

    algorithm: str
    number_bytes: int
    order: int


CURVES = {
    "P-256": Curve("ES256", 32, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    "P-384": Curve(
        "ES384",
        48,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
    "P-521": Curve(
        "ES512",
        66,
        int("01" + 32 * "ff" + "fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16),
    ),
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One public key.

    Args:
        kid: Its `kid`; empty without one.
        alg: Its `alg`; empty without one.
        public: The key itself.
        algorithms: The algorithms that a key of this kind signs.
        curve: Its curve; None for a key of another kind than EC.
    """

    kid: str
    alg: str
    public: "Public"
    algorithms: frozenset[str]
    curve: Curve | None = None

    @classmethod
    def read(cls, jwk: Mapping[str, object]) -> "PublicKey":
        """Read a JWK (RFC 7517; RFC 7518, section 6; RFC 8037, section 2).

        Raises:
            ValueError: It is not a public key of a kind that is supported.
        """
        kid, alg = str(jwk.get("kid", "")), str(jwk.get("alg", ""))
        curve = CURVES.get(str(jwk.get("crv"))) if jwk.get("kty") == "EC" else None
        problem = (
            f"The JWKS key {jwk.get('kid')!r} is not a public key of a kind that is supported:"
            " EC on P-256, P-384 or P-521, RSA, or Ed25519."
        )
        if "d" in jwk:
            raise ValueError(problem)
        try:
            if curve is not None:
                return cls(kid, alg, _ec(jwk, curve), frozenset({curve.algorithm}), curve)
            if jwk.get("kty") == "RSA":
                return cls(kid, alg, _rsa(jwk), _RSA_ALGORITHMS)
            return cls(kid, alg, _ed25519(jwk), frozenset({"EdDSA"}))
        except ValueError:
            raise ValueError(problem) from None

    def suits(self, jwt: Jwt) -> bool:
        """Return whether Envoy would try this key: a missing `kid` on either side matches any."""
        return (not jwt.kid or not self.kid or jwt.kid == self.kid) and self.alg in ("", jwt.algorithm)

    def verifies(self, jwt: Jwt) -> bool:
        """Return whether the signature is this key's. An ECDSA signature of any length is cut into two halves.

        Raises:
            Refused: It has not the length of an Ed25519 signature.
        """
        from cryptography.exceptions import InvalidSignature

        try:
            self._verify(jwt)
        except InvalidSignature:
            return False
        return True

    def _verify(self, jwt: Jwt) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        public = self.public
        if isinstance(public, ec.EllipticCurvePublicKey):
            # An algorithm of another family is verified as ES256.
            digest = _digest(jwt.algorithm if jwt.algorithm.startswith("ES") else "ES256")
            half = len(jwt.signature) // 2
            r, s = (int.from_bytes(jwt.signature[at : at + half], "big") for at in (0, half))
            public.verify(encode_dss_signature(r, s), jwt.signed, ec.ECDSA(digest))
        elif isinstance(public, rsa.RSAPublicKey):
            if jwt.algorithm not in _RSA_ALGORITHMS:
                raise InvalidSignature
            digest = _digest(jwt.algorithm)
            if jwt.algorithm.startswith("PS"):
                pss = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
                public.verify(jwt.signature, jwt.signed, pss, digest)
            else:
                public.verify(jwt.signature, jwt.signed, padding.PKCS1v15(), digest)
        else:
            if len(jwt.signature) != _ED25519_BYTES:
                raise Refused("Jwt ED25519 signature is wrong length")
            public.verify(jwt.signature, jwt.signed)


def _digest(algorithm: str) -> "HashAlgorithm":
    from cryptography.hazmat.primitives import hashes

    return {"384": hashes.SHA384(), "512": hashes.SHA512()}.get(algorithm[-3:], hashes.SHA256())


def _ec(jwk: Mapping[str, object], curve: Curve) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: Mapping[str, ec.EllipticCurve] = {
        "ES256": ec.SECP256R1(),
        "ES384": ec.SECP384R1(),
        "ES512": ec.SECP521R1(),
    }
    # RFC 7518, section 6.2.1.2: leading zeros are kept.
    x, y = (_bytes(jwk.get(name), size=curve.number_bytes) for name in "xy")
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(x, "big"), int.from_bytes(y, "big"), curves[curve.algorithm]
    )
    return numbers.public_key()


def _rsa(jwk: Mapping[str, object]) -> "RSAPublicKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    e, n = (int.from_bytes(_bytes(jwk.get(name)), "big") for name in "en")
    return RSAPublicNumbers(e, n).public_key()


def _ed25519(jwk: Mapping[str, object]) -> "Ed25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if (jwk.get("kty"), jwk.get("crv")) != ("OKP", "Ed25519"):
        raise ValueError("The key is of another kind.")
    return Ed25519PublicKey.from_public_bytes(_bytes(jwk.get("x"), size=32))


def _bytes(value: object, *, size: int | None = None) -> bytes:
    """Decode base64url.

    Raises:
        ValueError: It is something else, or not of this size.
    """
    text = value if isinstance(value, str) else ""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if not data or len(data) != (size or len(data)):
        raise ValueError("A member of the key is missing or has another size.")
    return data
