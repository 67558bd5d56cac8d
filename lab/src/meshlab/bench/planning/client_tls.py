"""Which TLS the clients of cases speak.

- Clients outside the mesh and applications behind a sidecar offer `http/1.1` or `h2`, as browsers and curl do, and
  check the server's certificate against the authorities of the run.
- A workload that bypasses its sidecar with `tls` offers the same and checks nothing: it cannot know a SPIFFE identity.
- One that bypasses it with `mtls`, and a workload of another mesh, offer what a sidecar offers (`istio-http/1.1`,
  `istio` and so on). An attacker with a stolen certificate would, too: a port in mode PERMISSIVE takes TLS without
  these for TLS of the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import HttpRequest, TcpRequest
from meshlab.bench.client.connect import ClientTls
from meshlab.istio.read.hosts import is_address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshlab.bench.authorities import CertificateFiles
    from meshlab.bench.case import TlsRequest
    from meshlab.bench.planning.destination import Destination

__all__ = ["application_tls", "mesh_tls"]

_PLAIN_ALPN: Mapping[str, tuple[str, ...]] = {"1.1": ("http/1.1",), "2": ("h2",)}
_MESH_ALPN: Mapping[str, tuple[str, ...]] = {
    "1.1": ("istio-http/1.1", "istio", "http/1.1"),
    "2": ("istio-h2", "istio", "h2"),
}
_MESH_TCP_ALPN = ("istio-peer-exchange", "istio")


def application_tls(
    request: HttpRequest | TcpRequest | TlsRequest,
    to: Destination,
    *,
    trusted: Path | None,
    certificate: CertificateFiles | None = None,
) -> ClientTls:
    """Return the TLS of an application or a client outside the mesh.

    Args:
        request: The request.
        to: Where it goes.
        trusted: PEM file with the authorities that are trusted; `None` checks nothing.
        certificate: The client's certificate, if it has one.
    """
    alpn = _PLAIN_ALPN[request.version] if isinstance(request, HttpRequest) else ()
    return ClientTls(_server_name(request, to), alpn, trusted, certificate)


def mesh_tls(
    request: HttpRequest | TcpRequest | TlsRequest,
    to: Destination,
    *,
    trusted: Path | None,
    certificate: CertificateFiles,
) -> ClientTls:
    """Return the mutual TLS of the proxies of a mesh speak it; arguments as for `application_tls`."""
    alpn = _MESH_ALPN[request.version] if isinstance(request, HttpRequest) else _MESH_TCP_ALPN
    return ClientTls(_server_name(request, to), alpn, trusted, certificate)


def _server_name(request: HttpRequest | TcpRequest | TlsRequest, to: Destination) -> str | None:
    written = None if isinstance(request, TcpRequest) else request.sni
    if written is not None:
        return written or None
    # RFC 6066, section 3: an IP address is no server name.
    return None if is_address(to.host) else to.host
