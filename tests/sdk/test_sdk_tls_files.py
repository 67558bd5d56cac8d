# ruff: noqa: ANN401
"""Certificates that change while a client runs, client certificates, and what TLS says when it ends."""

import logging
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import meshpass
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .conftest import Authority, Connect, RawServer, Server, pem_of
from .traces import Secrets, shown_by, shown_by_error

Serve = Callable[..., Server]
ONCE = meshpass.RetryPolicy(attempts=1)


def leaf(ca: Authority, name: str, *, san: bool = True) -> tuple[bytes, bytes]:
    """Return a certificate that the authority issued, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = ca._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    certificate = builder.sign(ca.key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM), pem_of(key)


@pytest.fixture
def other_ca(tmp_path: Path) -> Authority:
    folder = tmp_path / "other"
    folder.mkdir()
    return Authority(folder)


def demanding(
    ca: Authority, trusted: Authority, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """Return a server's context that demands a client certificate of `trusted`."""
    context = ca.context("h.internal")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(trusted.file)
    context.minimum_version = context.maximum_version = version
    return context


def replace(path: Path, content: bytes) -> None:
    """Replace a file as cert-manager does: by a rename."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.rename(path)


def test_a_ca_bundle_is_read_again_when_it_was_replaced(
    connect: Connect, serve: Serve, ca: Authority, other_ca: Authority, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(other_ca.file.read_bytes())
    server = serve(ca.context("h.internal"))
    client = connect("https://h.internal", address=server.address, ca_file=bundle, retry=ONCE)
    with pytest.raises(meshpass.GatewayTLSError, match="is not trusted"):
        client.get("/")

    replace(bundle, ca.file.read_bytes())

    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "half", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB", None], ids=["empty", "cut", "gone"]
)
def test_a_ca_bundle_that_is_half_written_leaves_the_old_one_in_use(
    connect: Connect,
    serve: Serve,
    ca: Authority,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    half: bytes | None,
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(ca.file.read_bytes())
    server = serve(ca.context("h.internal"))
    server.answer = lambda _: (200, {"connection": "close"}, b"{}")
    client = connect("https://h.internal", address=server.address, ca_file=bundle, retry=ONCE)
    assert client.get("/").status_code == 200

    if half is None:
        bundle.unlink()
    else:
        bundle.write_bytes(half)
    with caplog.at_level(logging.WARNING, "meshpass"):
        assert client.get("/").status_code == 200
    bundle.write_bytes(ca.file.read_bytes())
    assert client.get("/").status_code == 200

    assert [record.__dict__["event"] for record in caplog.records] == ["meshpass.tls_files_unusable"]
    assert "bundle.pem" in caplog.text


@pytest.mark.parametrize("how", ["files", "function of files", "function of PEM"])
def test_a_client_certificate_is_read_again_when_it_was_replaced(
    connect: Connect, serve: Serve, ca: Authority, other_ca: Authority, tmp_path: Path, how: str
) -> None:
    chain, key = tmp_path / "svid.pem", tmp_path / "svid_key.pem"
    given: list[tuple[bytes, bytes]] = []

    def rotate(authority: Authority) -> None:
        given[:] = [leaf(authority, "caller")]
        replace(chain, given[0][0])
        replace(key, given[0][1])

    rotate(ca)
    server = serve(demanding(ca, other_ca))
    server.answer = lambda _: (200, {"connection": "close"}, b"{}")
    certificate: Any = {
        "files": (chain, str(key)),
        "function of files": lambda: (chain, key),
        "function of PEM": lambda: given[0],
    }[how]
    client = connect(
        "https://h.internal", address=server.address, ca_file=ca.file, client_cert=certificate, retry=ONCE
    )
    with pytest.raises(meshpass.GatewayTLSError, match="did not accept the client certificate"):
        client.get("/")

    rotate(other_ca)
    assert client.get("/").status_code == 200


def test_pem_in_memory_needs_no_memfd(
    connect: Connect, serve: Serve, ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pem = leaf(ca, "caller")
    server = serve(demanding(ca, ca))
    before = set(tmp_path.iterdir())

    client = connect("https://h.internal", address=server.address, ca_file=ca.file, client_cert=lambda: pem)

    assert client.get("/").status_code == 200
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("given", ["wrong key", "no PEM", "no tuple", "raises"])
def test_a_client_certificate_that_cannot_be_used_is_a_configuration_error_without_its_key(
    connect: Connect, serve: Serve, ca: Authority, given: str
) -> None:
    (chain, key), (_, other) = leaf(ca, "caller"), leaf(ca, "caller")
    secrets = Secrets().add_key(key).add_key(other)

    def fail() -> Any:
        raise OSError("the agent is away")

    certificate: Any = {
        "wrong key": lambda: (chain, other),
        "no PEM": lambda: (b"nothing", key),
        "no tuple": lambda: key,
        "raises": fail,
    }[given]
    server = serve(ca.context("h.internal"))
    client = connect("https://h.internal", address=server.address, ca_file=ca.file, client_cert=certificate)

    with pytest.raises(meshpass.ConfigurationError, match="client") as caught:
        client.get("/")

    assert secrets.in_text(shown_by_error(caught.value) + shown_by(client)) is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shown", ["none", "of another CA"])
def test_a_refused_client_certificate_is_a_tls_error_each_time(
    connect: Connect, serve: Serve, ca: Authority, other_ca: Authority, version: ssl.TLSVersion, shown: str
) -> None:
    server = serve(demanding(ca, ca, version))
    pem = leaf(other_ca, "caller")
    certificate = None if shown == "none" else (lambda: pem)
    client = connect(
        "https://h.internal", address=server.address, ca_file=ca.file, client_cert=certificate, retry=ONCE
    )

    codes = []
    for _ in range(30):
        with pytest.raises(meshpass.MeshError) as caught:
            client.request("POST", "/", content=b"x" * 100_000)
        codes.append((caught.value.code, caught.value.retryable))

    assert set(codes) == {("gateway_tls", False)}
    assert not server.seen


def test_a_certificate_without_a_subject_alternative_name_is_refused(
    connect: Connect, serve: Serve, ca: Authority, tmp_path: Path
) -> None:
    chain, key = leaf(ca, "h.internal", san=False)
    (tmp_path / "cn.pem").write_bytes(key + chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cn.pem")
    server = serve(context)

    with pytest.raises(meshpass.GatewayTLSError, match=r"not for h\.internal"):
        connect("https://h.internal", address=server.address, ca_file=ca.file).get("/")
    assert not server.seen


@pytest.fixture
def unframed(ca: Authority, raw_server: RawServer) -> Callable[..., str]:
    """Serve responses that end with the connection, with or without TLS's notice of the end."""
    context = ca.context("h.internal")

    def start(*, notice: bool) -> str:
        def answer(connection: socket.socket) -> None:
            secure = context.wrap_socket(connection, server_side=True)
            secure.recv(65536)
            secure.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
            if notice:
                with suppress(OSError):
                    secure.unwrap()
            secure.shutdown(socket.SHUT_WR)
            secure.close()

        return raw_server(answer)

    return start


@pytest.mark.parametrize("notice", [True, False], ids=["with notice", "without notice"])
def test_a_body_that_ends_with_the_connection_needs_tls_to_say_so(
    connect: Connect, ca: Authority, unframed: Callable[..., str], notice: bool
) -> None:
    client = connect("https://h.internal", address=unframed(notice=notice), ca_file=ca.file, retry=ONCE)

    if notice:
        assert client.get("/").text == "half of it"
        return
    with pytest.raises(meshpass.UpstreamUnavailable) as caught:
        client.get("/")
    assert caught.value.code == "connection_lost"
