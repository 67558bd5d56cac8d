"""Certificates from the field: times, chains, names and session tickets, each checked by both clients."""

import datetime
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import meshpass
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ..conftest import Authority, Connect, Server, pem_of  # noqa: TID252 - this folder's parent

_DAY = datetime.timedelta(days=1)
_HOST = "h.mesh.internal"


@dataclass(frozen=True)
class _Certificate:
    """What a server shows: its name, its time, who issued it, and which part of the chain is sent along."""

    name: str = _HOST
    begins: datetime.timedelta = -_DAY
    ends: datetime.timedelta = _DAY
    issuer: str = "root"
    sends_issuer: bool = True


def _issued(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    what: _Certificate,
) -> x509.Certificate:
    """Return a certificate as `what` says; one without a name of a host is an authority's."""
    now = datetime.datetime.now(datetime.UTC)
    is_authority = not what.name
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + what.begins)
        .not_valid_after(now + what.ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if is_authority:
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, **usage), critical=True)
    else:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(what.name)]), critical=False
        )
    return builder.sign(signer, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _served(what: _Certificate, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return the context of a server that shows such a certificate, and the file of its root."""
    root, key, middle = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    trusted = folder / "root.pem"
    trusted.write_bytes(_pem(_issued("root", root, "root", root, _Certificate(name=""))))
    if what.issuer == "root":
        chain = [_issued("leaf", key, "root", root, what)]
    elif what.issuer == "itself":
        chain = [_issued("leaf", key, "leaf", key, what)]
    else:
        times = (-_DAY, -_DAY / 2) if what.issuer == "expired intermediate" else (-_DAY, _DAY)
        authority = replace(what, name="", begins=times[0], ends=times[1])
        chain = [
            _issued("leaf", key, "intermediate", middle, what),
            *[_issued("intermediate", middle, "root", root, authority)] * what.sends_issuer,
        ]
    file = folder / "served.pem"
    file.write_bytes(pem_of(key) + b"".join(map(_pem, chain)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, trusted


@pytest.mark.parametrize(
    "what",
    [
        _Certificate(),
        _Certificate(issuer="intermediate"),
        _Certificate(name="*.mesh.internal"),
        _Certificate(name="H.Mesh.Internal"),
    ],
    ids=["root", "intermediate", "wildcard", "capitals"],
)
def test_a_certificate_that_is_good_is_accepted(
    connect: Connect, serve: Callable[..., Server], tmp_path: Path, what: _Certificate
) -> None:
    context, root = _served(what, tmp_path)
    server = serve(context)

    client = connect(f"https://{_HOST}", address=server.address, ca_file=root)

    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (_Certificate(ends=-_DAY / 2), "expired"),
        (_Certificate(begins=_DAY / 2), "not yet valid"),
        (_Certificate(issuer="intermediate", sends_issuer=False), "issuer"),
        (_Certificate(issuer="expired intermediate"), "expired"),
        (_Certificate(issuer="itself"), "self-signed"),
        (_Certificate(name="*.h.mesh.internal"), _HOST),
        (_Certificate(name="*"), _HOST),
        (_Certificate(name="h*.mesh.internal"), _HOST),
        (_Certificate(name="*.*"), _HOST),
        (_Certificate(name="*.internal"), _HOST),
        (_Certificate(name="other.internal"), r"other\.internal"),
    ],
    ids=[
        "expired",
        "of the future",
        "no intermediate",
        "expired intermediate",
        "self-signed",
        "wildcard below",
        "wildcard for all",
        "wildcard in a label",
        "two wildcards",
        "wildcard for two labels",
        "another name",
    ],
)
def test_a_certificate_that_is_not_good_gets_no_request(
    connect: Connect,
    serve: Callable[..., Server],
    tmp_path: Path,
    what: _Certificate,
    why: str,
) -> None:
    context, root = _served(what, tmp_path)
    server = serve(context)

    with pytest.raises(meshpass.GatewayTLSError, match=why) as caught:
        connect(f"https://{_HOST}", address=server.address, ca_file=root).get("/")

    assert not caught.value.retryable
    assert not server.seen


@pytest.mark.parametrize("name", ["a.b.mesh.internal", "mesh.internal"])
def test_a_wildcard_is_for_one_label(
    connect: Connect, serve: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    context, root = _served(_Certificate(name="*.mesh.internal"), tmp_path)
    server = serve(context)

    with pytest.raises(meshpass.GatewayTLSError):
        connect(f"https://{name}", address=server.address, ca_file=root).get("/")
    assert not server.seen


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("tickets", [0, 8])
def test_session_tickets_disturb_no_call(
    connect: Connect, serve: Callable[..., Server], ca: Authority, version: ssl.TLSVersion, tickets: int
) -> None:
    context = ca.context(_HOST)
    context.minimum_version = context.maximum_version = version
    context.num_tickets = tickets
    server = serve(context)
    client = connect(
        f"https://{_HOST}",
        address=server.address,
        ca_file=ca.file,
        retry=meshpass.RetryPolicy(attempts=1),
    )

    assert {client.request("POST", "/").status_code for _ in range(10)} == {200}

    assert server.connections == 1


def test_a_server_of_tls_1_1_is_refused(
    connect: Connect, serve: Callable[..., Server], ca: Authority
) -> None:
    context = ca.context(_HOST)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    server = serve(context)

    with pytest.raises(meshpass.GatewayTLSError):
        connect(f"https://{_HOST}", address=server.address, ca_file=ca.file).get("/")
    assert not server.seen
