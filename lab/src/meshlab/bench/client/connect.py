"""Connections of clients: to which address, with which PROXY header and which TLS."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import struct
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509

from meshlab.bench.wire.socket_reader import Stream
from meshlab.processes.ports import connect_from
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.bench.authorities import CertificateFiles
    from meshlab.bench.wire.socket_reader import Deadline
    from meshlab.istio.envoy.placement import Address

__all__ = ["ClientTls", "Connection", "Connector", "ProxyHeader"]


@dataclass(frozen=True)
class ProxyHeader:
    """The addresses in a PROXY protocol header (version 1).

    Attributes:
        source_ip: The client's address in the cluster.
        destination_ip: The address that it connected to.
        destination_port: The port that it connected to.
    """

    source_ip: str
    destination_ip: str
    destination_port: int

    def encode(self, source_port: int) -> bytes:
        """Return the header's bytes.

        Raises:
            ValueError: An address is no IP address, or the two are of different families.
        """
        source, destination = map(ipaddress.ip_address, (self.source_ip, self.destination_ip))
        if source.version != destination.version:
            raise ValueError(f"{source} and {destination} are not of one address family")
        family = f"TCP{4 if source.version == 4 else 6}"
        return f"PROXY {family} {source} {destination} {source_port} {self.destination_port}\r\n".encode()


@dataclass(frozen=True)
class ClientTls:
    """A client's side of TLS.

    The server's name is not compared: the bench makes the certificates itself, so a name that differs would tell
    nothing about the mesh. A case compares it with `certificate`.

    Attributes:
        server_name: The SNI; `None` for none.
        alpn: The protocols offered, in order.
        trusted: PEM file with the authorities that the server's certificate is checked against; `None` checks nothing.
        certificate: The client's certificate; `None` for none.
    """

    server_name: str | None
    alpn: tuple[str, ...] = ()
    trusted: Path | None = None
    certificate: CertificateFiles | None = None


@dataclass(frozen=True)
class Connector:
    """How to open a connection.

    Attributes:
        address: Where to connect to.
        proxy_header: The PROXY header that goes first; `None` for none.
        tls: The client's side of TLS; `None` for plaintext.
        source: The loopback address to connect from; `None` for any.
    """

    address: Address
    proxy_header: ProxyHeader | None = None
    tls: ClientTls | None = None
    source: str | None = None


class Connection:
    """One connection of a client.

    Attributes:
        client_address: The client's own end, `127.0.0.1:PORT`; empty until it is connected.
        began: When it began to connect, in seconds since the epoch.
        certificate: URI and DNS names of the server's certificate.
        alpn: The protocol that TLS agreed on.
    """

    def __init__(self, connector: Connector, deadline: Deadline) -> None:
        self.client_address = ""
        self.began = 0.0
        self.certificate: tuple[str, ...] = ()
        self.alpn = ""
        self._connector = connector
        self._deadline = deadline
        self._sock = socket.socket()

    def open(self) -> Stream:
        """Connect, send the PROXY header and do the TLS handshake.

        Raises:
            OSError: It failed. `ssl.SSLError` and `TimeoutError` are of this kind.
        """
        self._deadline.apply(self._sock)
        if self._connector.source:
            connect_from(self._sock, self._connector.source)
        self.began = time.time()  # at the last moment: until now the port may be another connection's
        self._sock.connect((self._connector.address.host, self._connector.address.port))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, port = self._sock.getsockname()
        self.client_address = f"{host}:{port}"
        if self._connector.proxy_header:
            self._sock.sendall(self._connector.proxy_header.encode(port))
        if self._connector.tls:
            self._secure(self._connector.tls)
        return Stream(self._sock, self._deadline)

    def close(self) -> None:
        """Close it at once: what is still under way is dropped, so the proxies log the end of the connection."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def _secure(self, tls: ClientTls) -> None:
        self._deadline.apply(self._sock)
        secured = _context(tls).wrap_socket(
            self._sock, server_hostname=tls.server_name or None, do_handshake_on_connect=False
        )
        self._sock = secured
        secured.do_handshake()
        self.alpn = secured.selected_alpn_protocol() or ""
        if shown := secured.getpeercert(binary_form=True):
            self.certificate = _names(shown)


@lru_cache(maxsize=256)
def _context(tls: ClientTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if tls.trusted is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(tls.trusted)
    if tls.certificate:
        context.load_cert_chain(tls.certificate.chain, tls.certificate.key)
    if tls.alpn:
        context.set_alpn_protocols(list(tls.alpn))
    return context


@lru_cache(maxsize=256)
def _names(der: bytes) -> tuple[str, ...]:
    try:
        extension = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except (ValueError, x509.ExtensionNotFound):
        return ()
    uris = extension.value.get_values_for_type(x509.UniformResourceIdentifier)
    return (*uris, *extension.value.get_values_for_type(x509.DNSName))
