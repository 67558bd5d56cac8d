"""Keys that sign the tokens of a run."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SigningKey", "base64url"]


@dataclass(frozen=True, repr=False)
class SigningKey:
    """An ES256 key pair with its key id, the RFC 7638 thumbprint of the public half."""

    private: ec.EllipticCurvePrivateKey
    kid: str

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new pair on P-256."""
        private = ec.generate_private_key(ec.SECP256R1())
        return cls(private, _thumbprint(_public_jwk(private)))

    @property
    def jwks(self) -> str:
        """The public half as a JSON Web Key Set (RFC 7517)."""
        key = {**_public_jwk(self.private), "alg": "ES256", "use": "sig", "kid": self.kid}
        return json.dumps({"keys": [key]})

    @property
    def public_pem(self) -> bytes:
        """The public half as PEM."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def base64url(data: bytes) -> str:
    """Return base64 as JOSE uses it: URL-safe and without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _public_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


def _thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the key id: RFC 7638, section 3, over the members that RFC 7638, section 3.2, requires of an EC key."""
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return base64url(hashlib.sha256(json.dumps(required, separators=(",", ":")).encode()).digest())
