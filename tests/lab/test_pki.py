"""Certificates of one run: what OpenSSL at its strictest accepts, and what it does not."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
from meshlab.certificates import CertificateAuthority

if TYPE_CHECKING:
    from pathlib import Path

HOST = "user-profile.internal"


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """One TLS handshake and one byte each way; raises what the client meets."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as connection:
                connection.sendall(connection.recv(1))
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=HOST) as connection:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
    finally:
        ours.close()
        thread.join()


def server_context(authority: CertificateAuthority, host: str, directory: Path) -> ssl.SSLContext:
    written = authority.issue(dns_names=[host]).write(directory, chain="tls.crt", key="tls.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(written / "tls.crt", written / "tls.key")
    return context


def client_context(authority: CertificateAuthority) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    return context


def test_a_server_certificate_is_good_for_its_host_at_the_strictest(tmp_path: Path) -> None:
    authority = CertificateAuthority.create("test")
    handshake(server_context(authority, HOST, tmp_path), client_context(authority))


def test_it_is_not_good_for_another_host(tmp_path: Path) -> None:
    authority = CertificateAuthority.create("test")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(server_context(authority, "other.internal", tmp_path), client_context(authority))


def test_one_authority_does_not_vouch_for_another(tmp_path: Path) -> None:
    server = server_context(CertificateAuthority.create("test"), HOST, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client_context(CertificateAuthority.create("test")))


def test_keys_are_readable_by_their_owner_alone_and_shown_by_nothing(tmp_path: Path) -> None:
    certificate = CertificateAuthority.create("test").issue(uris=["spiffe://cluster.local/ns/ns/sa/sa"])
    directory = certificate.write(
        tmp_path / "id", chain="cert-chain.pem", key="key.pem", root="root-cert.pem"
    )
    assert (directory / "key.pem").stat().st_mode & 0o077 == 0
    assert directory.stat().st_mode & 0o077 == 0
    assert "PRIVATE" not in repr(certificate)
