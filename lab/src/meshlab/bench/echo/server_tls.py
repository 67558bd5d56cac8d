"""Server side of TLS for the echo server: a certificate for each name that a client asks for."""

from __future__ import annotations

import functools
import ssl
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.bench.echo.exchange import TlsFacts
from meshlab.bench.echo.table import ServerCertificate

if TYPE_CHECKING:
    import socket

    from meshlab.certificates import CertificateAuthority

__all__ = ["ServerTls", "peer_names"]

_ALPN = ["h2", "http/1.1"]
_NAMES_KEPT = 1_000
_AUTHORITY_FILES = ("ca.pem", "ca-key.pem")


class ServerTls:
    """Terminates TLS.

    The client's certificate is asked for, not demanded; one that no known authority signed is refused.

    Args:
        authority: Directory with `ca.pem` and `ca-key.pem`.
        trusted: PEM file with the authorities whose client certificates are taken.
        directory: Private directory for the certificates made here.
    """

    def __init__(self, authority: Path, trusted: Path, directory: Path) -> None:
        self._authority = authority
        self._trusted = trusted
        self._directory = directory
        self._contexts: dict[ServerCertificate, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def accept(
        self, raw: socket.socket, default_name: str, shown: ServerCertificate | None = None
    ) -> tuple[ssl.SSLSocket, TlsFacts]:
        """Do the handshake.

        Args:
            raw: The connection.
            default_name: The certificate's name for a client that asks for none.
            shown: The certificate that is shown; `None` for one with the name asked for.

        Raises:
            OSError: The client broke it off or does not speak TLS.
        """
        asked_for = ""

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
            nonlocal asked_for
            asked_for = name or ""
            connection.context = self._context(_certificate(shown, name or default_name))

        context = self._without_certificate()
        context.sni_callback = choose
        tls = context.wrap_socket(raw, server_side=True)
        facts = TlsFacts(asked_for, tls.selected_alpn_protocol() or "", tls.version() or "", peer_names(tls))
        return tls, facts

    def _context(self, shown: ServerCertificate) -> ssl.SSLContext:
        with self._lock:
            if shown not in self._contexts:
                if len(self._contexts) >= _NAMES_KEPT:
                    self._contexts.clear()
                self._contexts[shown] = self._with_certificate(shown)
            return self._contexts[shown]

    def _without_certificate(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(self._trusted)
        context.set_alpn_protocols(_ALPN)
        return context

    def _with_certificate(self, shown: ServerCertificate) -> ssl.SSLContext:
        context = self._without_certificate()
        certificate = _signer(Path(shown.authority or self._authority)).issue(
            uris=shown.uris, dns_names=shown.dns
        )
        # The standard library takes certificates from files alone.
        files = certificate.write(self._directory / certificate.fingerprint, chain="chain.pem", key="key.pem")
        context.load_cert_chain(files / "chain.pem", files / "key.pem")
        return context


@functools.cache
def _signer(authority: Path) -> CertificateAuthority:
    # Half of the start of a server, and most servers show no certificate.
    from meshlab.certificates import CertificateAuthority

    return CertificateAuthority.load(*(authority / name for name in _AUTHORITY_FILES))


def peer_names(tls: ssl.SSLSocket) -> tuple[str, ...]:
    """Return the URI and DNS names of the other end's verified certificate; none where it showed none."""
    certificate = tls.getpeercert() or {}
    names: tuple[tuple[str, str], ...] = certificate.get("subjectAltName", ())  # type: ignore[assignment]
    return tuple(value for kind, value in names if kind in ("URI", "DNS"))


def _certificate(shown: ServerCertificate | None, name: str) -> ServerCertificate:
    """Return the certificate for a client that asks for a name."""
    shown = shown or ServerCertificate("")
    return shown if shown.uris or shown.dns else replace(shown, dns=(name,))
