"""Sending one request exactly as written: no client library that would mend its path, method or Host."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshlab.istio import Address

_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Request:
    """A request line with its headers."""

    method: str
    target: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status, or None when the connection ended without an answer.
        text: The body, or what the transport said.
    """

    status: int | None
    text: str


@dataclass(frozen=True)
class Connector:
    """How to open a connection: to which address, and with which TLS, if any.

    Attributes:
        address: Where to connect.
        tls: The context, or None for plaintext.
        server_name: The name sent as SNI and, where the context checks names, looked for in the certificate.
    """

    address: Address
    tls: ssl.SSLContext | None = None
    server_name: str | None = None

    def open(self) -> socket.socket:
        """Connect."""
        plain = socket.create_connection((self.address.host, self.address.port), timeout=_TIMEOUT_S)
        if self.tls is None:
            return plain
        try:
            return self.tls.wrap_socket(plain, server_hostname=self.server_name)
        except BaseException:
            plain.close()
            raise


def client_tls(root: Path, identity: Path | None) -> ssl.SSLContext:
    """TLS towards a sidecar, as another proxy of the mesh speaks it.

    Args:
        root: The authority that the sidecar's certificate is checked against.
        identity: Directory with the client's `cert-chain.pem` and `key.pem`; None shows no certificate.
    """
    context = ssl.create_default_context(cafile=str(root))
    # A workload's certificate names a SPIFFE URI and no host. This is a probe: that the sidecar refuses us is
    # what is tested, and it is reached by its loopback address.
    context.check_hostname = False
    context.set_alpn_protocols(["http/1.1"])
    if identity is not None:
        context.load_cert_chain(identity / "cert-chain.pem", identity / "key.pem")
    return context


def send(connector: Connector, request: Request) -> Answer:
    """Send the request and read the whole answer; a connection that ends without one is an answer too."""
    connection = http.client.HTTPConnection(connector.address.host, connector.address.port)
    try:
        connection.sock = connector.open()
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        return Answer(None, _in_words(error))
    finally:
        connection.close()


def _in_words(error: OSError | http.client.HTTPException) -> str:
    if isinstance(error, ssl.SSLError):
        return "connection closed in the TLS handshake"
    if isinstance(error, (ConnectionError, http.client.RemoteDisconnected)):
        return "connection closed"
    return type(error).__name__
