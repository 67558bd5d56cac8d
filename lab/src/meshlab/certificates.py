"""Certificates for one run of the lab: made when it starts, gone when it ends.

Three authorities with no trust in each other: the mesh's own (workload identities as SPIFFE URIs), the private one
that signs the gateway's server certificate, and a stranger's, whose certificates must open nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LIFETIME = dt.timedelta(hours=24)
_BACKDATE = dt.timedelta(minutes=5)


@dataclass(frozen=True, repr=False)
class Certificate:
    """A leaf certificate with its key and the authority that signed it, all PEM."""

    chain: bytes
    key: bytes
    root: bytes

    @property
    def fingerprint(self) -> str:
        """The SHA-256 fingerprint in hexadecimal digits."""
        return x509.load_pem_x509_certificate(self.chain).fingerprint(hashes.SHA256()).hex()

    def write(self, directory: Path, *, chain: str, key: str, root: str | None = None) -> Path:
        """Write the parts under the given file names into a private directory and return it."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / chain).write_bytes(self.chain)
        secret = directory / key
        secret.touch(mode=0o600)
        secret.write_bytes(self.key)
        if root is not None:
            (directory / root).write_bytes(self.root)
        return directory


class CertificateAuthority:
    """An authority that exists only in memory."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, name: str) -> Self:
        """Make a self-signed authority with the given common name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        certificate = (
            _builder(subject, subject, key.public_key(), key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, certificate: Path, key: Path) -> Self:
        """Read an authority that `write` wrote.

        Raises:
            ValueError: The files hold no certificate and its unencrypted EC key.
        """
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key} holds no EC key")  # noqa: TRY004 - as for a file without any key
        return cls(x509.load_pem_x509_certificate(certificate.read_bytes()), private)

    def write(self, directory: Path) -> Path:
        """Write `ca.pem` and `ca-key.pem` into a private directory and return it."""
        return Certificate(self.pem, private_pem(self._key), self.pem).write(
            directory, chain="ca.pem", key="ca-key.pem"
        )

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, *, uris: Sequence[str] = (), dns_names: Sequence[str] = ()) -> Certificate:
        """Sign a certificate for both ends of TLS.

        Args:
            uris: URI names, such as `spiffe://cluster.local/ns/NS/sa/SA`.
            dns_names: Host names.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, dns_names)]
        certificate = (
            _builder(_name("meshlab"), self._certificate.subject, key.public_key(), self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Certificate(
            chain=certificate.public_bytes(serialization.Encoding.PEM), key=private_pem(key), root=self.pem
        )


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
