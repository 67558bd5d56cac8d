"""Keys of every kind, and tokens with their signatures, right and wrong."""

import base64
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

ALGORITHMS = ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"]
_CURVES: Mapping[str, tuple[str, ec.EllipticCurve]] = {
    "ES256": ("P-256", ec.SECP256R1()),
    "ES384": ("P-384", ec.SECP384R1()),
    "ES512": ("P-521", ec.SECP521R1()),
}


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def segment(value: object) -> str:
    """A section of a token: bytes as they are, anything else as JSON."""
    return encoded(value if isinstance(value, bytes) else json.dumps(value).encode())


class Signer:
    """A key: its JWK, and tokens with its signature."""

    def __init__(self, algorithm: str, *, rsa_bits: int = 2048) -> None:
        self.algorithm = algorithm
        self.private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
        if algorithm in _CURVES:
            crv, curve = _CURVES[algorithm]
            self.private = ec.generate_private_key(curve)
            self.width = (curve.key_size + 7) // 8
            numbers = self.private.public_key().public_numbers()
            x, y = (encoded(number.to_bytes(self.width, "big")) for number in (numbers.x, numbers.y))
            self.jwk = {"kty": "EC", "crv": crv, "x": x, "y": y}
        elif algorithm == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
            x = encoded(self.private.public_key().public_bytes_raw())
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": x}
        else:
            self.private = rsa.generate_private_key(65537, rsa_bits)
            n = self.private.public_key().public_numbers().n
            self.jwk = {"kty": "RSA", "e": "AQAB", "n": encoded(n.to_bytes(rsa_bits // 8, "big"))}
        self.jwk |= {"kid": algorithm, "alg": algorithm, "use": "sig"}

    def token(
        self, claims: object, *, wider: int = 0, more: bytes = b"", algorithm: str | None = None
    ) -> str:
        """Return a token.

        Args:
            claims: Its payload.
            wider: By how many bytes each number of an ECDSA signature is wider than it should be.
            more: Bytes behind the signature.
            algorithm: The algorithm that it names, and whose digest is signed; the key's own when None.
        """
        algorithm = self.algorithm if algorithm is None else algorithm
        signed = f"{segment({'alg': algorithm, 'kid': self.jwk['kid']})}.{segment(claims)}"
        return f"{signed}.{encoded(self._sign(signed.encode(), algorithm, wider) + more)}"

    def _sign(self, data: bytes, algorithm: str, wider: int) -> bytes:
        digest = {"384": hashes.SHA384(), "512": hashes.SHA512()}.get(algorithm[-3:], hashes.SHA256())
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            numbers = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(digest)))
            return b"".join(number.to_bytes(self.width + wider, "big") for number in numbers)
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(data)
        if algorithm.startswith("PS"):
            pss = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
            return self.private.sign(data, pss, digest)
        return self.private.sign(data, padding.PKCS1v15(), digest)
