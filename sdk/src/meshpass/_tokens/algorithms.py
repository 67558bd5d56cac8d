"""JWS algorithms of signing keys. The type of a key decides its algorithm.

RFC 7518, section 3, and RFC 8037, section 3.1. Envoy verifies all of them.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    PrivateKey: TypeAlias = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey
    PublicKey: TypeAlias = EllipticCurvePublicKey | RSAPublicKey | Ed25519PublicKey

DEFAULT = "ES256"
NAMES = ("ES256", "ES384", "RS256", "EdDSA")
MIN_RSA_BITS = 2048
"""RFC 7518, section 3.3."""

# Curve of `cryptography`, name in a JWK, algorithm, bytes of a coordinate.
_CURVES = {"secp256r1": ("P-256", "ES256", 32), "secp384r1": ("P-384", "ES384", 48)}


def algorithm_of(key: object) -> str | None:
    """Return the algorithm of a private or public key; None where it fits none of `NAMES`."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return _CURVES[key.curve.name][1] if key.curve.name in _CURVES else None
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return "RS256" if key.key_size >= MIN_RSA_BITS else None
    return "EdDSA" if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey) else None


def kind_of(key: object) -> str:
    """Return the kind of a key as text for a message: `an EC key on the curve secp521r1`, for instance."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return f"an EC key on the curve {key.curve.name}"
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return f"an RSA key of {key.key_size} bits"
    return (
        f"a key of another kind ({type(key).__name__.removesuffix('PrivateKey').removesuffix('PublicKey')})"
    )


def generate(algorithm: str) -> "PrivateKey":
    """Make a key for an algorithm. RSA keys have 3072 bits, which are as strong as P-256.

    Args:
        algorithm: One of `NAMES`.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 3072)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if algorithm == "ES384" else ec.SECP256R1())


def signing_with(key: "PrivateKey") -> Callable[[bytes], bytes]:
    """Return a function that signs a message with a key, in the signature format of a JWS."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        curve, p256 = key, key.curve.name == "secp256r1"
        ecdsa, size = ec.ECDSA(hashes.SHA256() if p256 else hashes.SHA384()), 32 if p256 else 48
        return lambda message: raw_signature(curve.sign(message, ecdsa), size)
    if isinstance(key, rsa.RSAPrivateKey):
        of_rsa, pkcs1, sha256 = key, padding.PKCS1v15(), hashes.SHA256()
        return lambda message: of_rsa.sign(message, pkcs1, sha256)
    return key.sign


def public_jwk(key: "PrivateKey | PublicKey") -> dict[str, str]:
    """Return the public key of a key as a JWK, with its RFC 7638 thumbprint as `kid`.

    Members are those of RFC 7518, section 6, and RFC 8037, section 2.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key if hasattr(key, "public_bytes") else key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        crv, algorithm, size = _CURVES[public.curve.name]
        point = public.public_numbers()
        required = {"crv": crv, "kty": "EC", "x": _number(point.x, size), "y": _number(point.y, size)}
    elif isinstance(public, rsa.RSAPublicKey):
        algorithm, numbers = "RS256", public.public_numbers()
        required = {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}
    else:
        algorithm = "EdDSA"
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        required = {"crv": "Ed25519", "kty": "OKP", "x": base64url(raw)}
    # RFC 7638, section 3.3: the required members in lexicographic order, no white space.
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    kid = base64url(hashlib.sha256(canonical).digest())
    return {**required, "alg": algorithm, "use": "sig", "kid": kid}


def raw_signature(der: bytes, size: int = 32) -> bytes:
    """Turn an ECDSA signature in DER into the two numbers of a JWS (RFC 7518, section 3.4).

    Args:
        der: The signature.
        size: Bytes of each number.

    Raises:
        ValueError: it is not a signature, or a number is too large.
    """
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(der)
    if not (0 < r < 1 << 8 * size and 0 < s < 1 << 8 * size):
        raise ValueError("The signature's numbers do not fit the curve.")
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def base64url(data: bytes) -> str:
    """Encode as JOSE does: base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int, size: int = 0) -> str:
    # A coordinate has all its bytes, leading zeros kept; the numbers of RSA have none.
    return base64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))
