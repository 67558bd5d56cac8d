"""The caller's identity in all benchmarks: one key, one token, the same size of both for everybody."""

import meshpass
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ISSUER = "https://issuer.example"
AUDIENCE = "user-profile"
SCOPE = "profile.read"


def new_key() -> ec.EllipticCurvePrivateKey:
    """A signing key that lives as long as the run."""
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as a mounted secret holds it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def token_source(key: ec.EllipticCurvePrivateKey) -> meshpass.SignedJWT:
    """The SDK's source of tokens for this key."""
    pem = pem_of(key)
    return meshpass.SignedJWT(ISSUER, AUDIENCE, lambda: pem, scope=SCOPE)
