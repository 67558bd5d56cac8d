"""The private authority of the Lambda bridge: one root, one intermediate for each side, and what they sign.

Two meshes share no root of trust, so this one exists for the bridge alone. Each intermediate can sign for its own
side only: the extended key usage and the name constraints (RFC 5280, section 4.2.1.10) of its certificate say so.

It is used with `cryptography`, which the rest of this directory does not need.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT_LIFETIME = dt.timedelta(days=5 * 365)
INTERMEDIATE_LIFETIME = dt.timedelta(days=365)
LEAF_LIFETIME = dt.timedelta(days=30)
MAX_LEAF_LIFETIME = dt.timedelta(days=90)
# Proxies refuse every certificate once a CRL is past its date, so this is also the time to notice that none came.
CRL_LIFETIME = dt.timedelta(days=30)
ROOT_CRL_LIFETIME = dt.timedelta(days=365)
_BACKDATE = dt.timedelta(minutes=5)

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, repr=False)
class Authority:
    """A certificate authority and its key.

    Attributes:
        certificate: Its certificate.
        key: Its private key.
    """

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        """Its certificate, PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """Its key, unencrypted PKCS#8 PEM."""
        return private_pem(self.key)

    @classmethod
    def read(cls, certificate: bytes, key: bytes) -> Authority:
        """Return the authority of two PEM texts.

        Raises:
            ValueError: They hold no certificate and its unencrypted EC key.
        """
        private = serialization.load_pem_private_key(key, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError("the key of an authority must be an EC key")  # noqa: TRY004 - as for no key at all
        return cls(x509.load_pem_x509_certificate(certificate), private)


@dataclass(frozen=True)
class Side:
    """What one side of the bridge shows to the other.

    Attributes:
        name: `gke` or `eks`.
        identity: The SPIFFE id of a client; empty for a server.
        host: The DNS name of a server; empty for a client.
    """

    name: str
    identity: str = ""
    host: str = ""

    @property
    def names(self) -> list[x509.GeneralName]:
        """The subject alternative names of its certificate."""
        if self.identity:
            return [x509.UniformResourceIdentifier(self.identity)]
        return [x509.DNSName(self.host)]

    @property
    def usage(self) -> x509.ObjectIdentifier:
        """What its certificate may be used for."""
        return ExtendedKeyUsageOID.CLIENT_AUTH if self.identity else ExtendedKeyUsageOID.SERVER_AUTH

    @property
    def constraints(self) -> x509.NameConstraints:
        """The only names that its intermediate may sign."""
        if self.identity:
            domain = urlsplit(self.identity).netloc
            permitted: list[x509.GeneralName] = [x509.UniformResourceIdentifier(domain)]
            # Envoy compares names of every kind, so a client must not get a DNS name that reads like an identity.
            return x509.NameConstraints(permitted, [x509.DNSName("")])
        return x509.NameConstraints([x509.DNSName(self.host)], None)


def create_root(now: dt.datetime) -> Authority:
    """Make the root, whose key signs intermediates and its own revocation list and then belongs offline."""
    key = _new_key()
    name = _name("lambda-bridge root")
    builder = _builder(name, name, key.public_key(), now, ROOT_LIFETIME)
    certificate = _as_authority(builder, key.public_key(), path_length=1).sign(key, hashes.SHA256())
    return Authority(certificate, key)


def create_intermediate(root: Authority, side: Side, now: dt.datetime) -> Authority:
    """Make the authority that signs the certificates of one side.

    Args:
        root: Signs it.
        side: Whose certificates it may sign.
        now: The time from which it is valid.
    """
    key = _new_key()
    # The time keeps the names of an intermediate and of its successor apart: a CRL is found by its issuer's name.
    name = _name(f"lambda-bridge {side.name} {now:%Y-%m-%dT%H:%M:%S.%f}")
    builder = _builder(name, root.certificate.subject, key.public_key(), now, INTERMEDIATE_LIFETIME)
    builder = _as_authority(builder, root.key.public_key(), path_length=0)
    builder = builder.add_extension(x509.ExtendedKeyUsage([side.usage]), critical=False)
    return Authority(
        builder.add_extension(side.constraints, critical=True).sign(root.key, hashes.SHA256()), key
    )


def issue(
    intermediate: Authority, side: Side, now: dt.datetime, lifetime: dt.timedelta
) -> tuple[bytes, bytes]:
    """Make a certificate for one side.

    Args:
        intermediate: Signs it.
        side: Whose names it gets.
        now: The time from which it is valid.
        lifetime: How long it is valid, at most `MAX_LEAF_LIFETIME`.

    Returns:
        The chain (the certificate and the intermediate, without the root) and the key, both PEM.

    Raises:
        ValueError: The lifetime is too long.
    """
    if not dt.timedelta() < lifetime <= MAX_LEAF_LIFETIME:
        raise ValueError(f"a certificate of the bridge lives for 1 to {MAX_LEAF_LIFETIME.days} days")
    key = _new_key()
    issuer = intermediate.certificate.subject
    certificate = (
        _builder(_name(f"lambda-bridge {side.name}"), issuer, key.public_key(), now, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([side.usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(side.names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(intermediate.key.public_key()), critical=False
        )
        .sign(intermediate.key, hashes.SHA256())
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM) + intermediate.pem
    return chain, private_pem(key)


def revocation_list(
    issuer: Authority, revoked: Sequence[int], now: dt.datetime, lifetime: dt.timedelta = CRL_LIFETIME
) -> bytes:
    """Return the revocation list of an authority, PEM.

    Args:
        issuer: The authority.
        revoked: The serial numbers of its revoked certificates.
        now: When it is made.
        lifetime: How long it is valid.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - _BACKDATE)
        .next_update(now + lifetime)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
        .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
    )
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def private_pem(key: Key) -> bytes:
    """Return a key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    lifetime: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _as_authority(
    builder: x509.CertificateBuilder,
    issuer_key: ec.EllipticCurvePublicKey,
    *,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
