"""Signing key for one test."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from meshpass._tokens.algorithms import base64url, public_jwk, raw_signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


class ThrowawayKey:
    """ES256 key pair that lives as long as the test. It can be a `SignedJWT`'s `key`: called, it returns PEM."""

    def __call__(self) -> bytes:
        """Return the private key as PEM, as every key source does."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        pem: bytes = self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem

    @property
    def kid(self) -> str:
        """The key's id: the RFC 7638 thumbprint of its public half, as in every token of meshpass."""
        return self._jwk["kid"]

    @property
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public half as a JWKS (RFC 7517)."""
        return {"keys": [dict(self._jwk)]}

    def sign(self, claims: Mapping[str, object], *, headers: Mapping[str, object] | None = None) -> str:
        """Sign any claims, unlike `SignedJWT`, which signs only what a mesh should accept.

        Args:
            claims: The payload, as it is.
            headers: Added to `alg`, `typ` and `kid`, or in their place. The signature is ES256 in any case.

        Returns:
            The encoded token.
        """
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        header = {"alg": "ES256", "typ": "JWT", "kid": self.kid, **(headers or {})}
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, dict(claims)))
        signature = raw_signature(self._private.sign(signed.encode(), ECDSA(SHA256())))
        return f"{signed}.{base64url(signature)}"

    def write(self, path: Path | str) -> Path:
        """Write the private key's PEM into a file that only this user may read; return its path."""
        file = Path(path)
        file.touch(mode=0o600)
        file.write_bytes(self())
        return file

    @cached_property
    def _private(self) -> "EllipticCurvePrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

        return generate_private_key(SECP256R1())

    @cached_property
    def _jwk(self) -> dict[str, str]:
        return public_jwk(self._private)

    def __repr__(self) -> str:
        return f"ThrowawayKey(kid={self.kid!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A ThrowawayKey cannot be pickled or copied, because it is a signing key.")
