"""Keys that sign ES256: PEM turned into one, or a sentence about what it is instead; and their public halves."""

import base64
import hashlib
import json
from typing import TYPE_CHECKING, NoReturn, Protocol

from meshpass._errors import SigningKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

_HOW_TO_MAKE_ONE = "Make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`."


class Signer(Protocol):
    """Signs with one key, wherever that key is."""

    @property
    def jwk(self) -> dict[str, str]:
        """The public half as a JWK, with its `kid`."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether `sign` takes microseconds and no I/O."""
        ...

    def sign(self, message: bytes, deadline_s: float) -> bytes:
        """Return the 64 bytes of an ES256 signature (RFC 7518, section 3.4).

        Raises:
            SigningKeyError: it could not be made.
        """
        ...


class LocalSigner:
    """Signs with a private key in this process.

    Args:
        pem: PKCS#8 or SEC 1 PEM, without a passphrase.
        where: Where the bytes came from, for messages.

    Raises:
        SigningKeyError: it is something else.
    """

    is_local = True

    def __init__(self, pem: bytes, where: str) -> None:
        self._key = load_signing_key(pem, where)
        self.jwk = public_jwk(self._key)

    def sign(self, message: bytes, deadline_s: float = 0) -> bytes:
        """Return the 64 bytes of an ES256 signature; there is nothing to wait for."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        return raw_signature(self._key.sign(message, ECDSA(SHA256())))

    def __repr__(self) -> str:
        return f"LocalSigner(kid={self.jwk['kid']!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A LocalSigner cannot be pickled or copied, because it holds a signing key.")


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


def public_jwk(key: "EllipticCurvePrivateKey | EllipticCurvePublicKey") -> dict[str, str]:
    """Return a P-256 key's public half as a JWK (RFC 7517; RFC 7518, section 6.2)."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    public = key.public_key() if isinstance(key, EllipticCurvePrivateKey) else key
    numbers = public.public_numbers()
    return jwk_from_coordinates(_coordinate(numbers.x), _coordinate(numbers.y))


def jwk_from_coordinates(x: str, y: str) -> dict[str, str]:
    """Return the JWK of a point of P-256, its thumbprint as `kid` (RFC 7638).

    Args:
        x: The coordinate as a JWK has it: base64url of 32 bytes.
        y: The other one.
    """
    required = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
    # RFC 7638, section 3.3: members in lexicographic order, no white space.
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    kid = base64url(hashlib.sha256(canonical).digest())
    return {**required, "alg": "ES256", "use": "sig", "kid": kid}


def raw_signature(der: bytes) -> bytes:
    """Turn an ECDSA signature in DER into the two 32-byte numbers of a JWS (RFC 7518, section 3.4).

    Raises:
        ValueError: it is not one, or not of a curve of 256 bits.
    """
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(der)
    if not (0 < r < 1 << 256 and 0 < s < 1 << 256):
        raise ValueError("The signature's numbers do not fit P-256.")
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def base64url(data: bytes) -> str:
    """Encode as JOSE does: base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


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
    return base64url(number.to_bytes(32, "big"))
