"""A PEM file turned into a key that signs ES256, or a sentence about what it is instead."""

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from meshpass._errors import SigningKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_HOW_TO_MAKE_ONE = "Make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`."


def load_signing_key(pem: bytes, where: str) -> "EllipticCurvePrivateKey":
    """Parse a PEM private key and check that it can sign ES256 (RFC 7518, section 3.4: P-256 only).

    Args:
        pem: PKCS#8 or SEC 1 PEM, without a passphrase.
        where: Where the bytes came from, for the message.

    Raises:
        SigningKeyError: it is something else; the message says what, and never shows it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    # Raised out of the `except` block, so that no parser's message about the key hangs on ours.
    if key is None:
        raise _not_usable(where, _what_it_is(pem))
    if not isinstance(key, EllipticCurvePrivateKey):
        raise _not_usable(
            where, f"a private key of another kind ({type(key).__name__.removesuffix('PrivateKey')})"
        )
    if not isinstance(key.curve, SECP256R1):
        raise _not_usable(where, f"an EC key on the curve {key.curve.name}")
    return key


def public_jwk(key: "EllipticCurvePrivateKey") -> dict[str, str]:
    """Return the public half as a JWK, its thumbprint as `kid` (RFC 7517, RFC 7518 section 6.2, RFC 7638)."""
    numbers = key.public_key().public_numbers()
    required = {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}
    # RFC 7638, section 3.3: members in lexicographic order, no white space.
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    kid = _base64url(hashlib.sha256(canonical).digest())
    return {**required, "alg": "ES256", "use": "sig", "kid": kid}


def _not_usable(where: str, found: str) -> SigningKeyError:
    return SigningKeyError(
        f"The signing key from {where} cannot sign ES256: it is {found},"
        " not an unencrypted EC P-256 private key in PEM.",
        hint=_HOW_TO_MAKE_ONE,
    )


def _what_it_is(pem: bytes) -> str:
    kinds = (
        (b"ENCRYPTED", "encrypted with a passphrase"),
        (b"PUBLIC KEY-----", "a public key"),
        (b"BEGIN CERTIFICATE-----", "a certificate"),
        (b"BEGIN OPENSSH", "a key in OpenSSH's own format"),
        (b"PRIVATE KEY-----", "a PEM private key that is damaged or cut short"),
    )
    for mark, name in kinds:
        if mark in pem:
            return name
    if not pem.strip():
        return "empty"
    return "a JSON document" if pem.lstrip().startswith(b"{") else "not PEM text"


def _coordinate(number: int) -> str:
    # RFC 7518, section 6.2.1.2: the full 32 bytes, leading zeros kept.
    return _base64url(number.to_bytes(32, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
