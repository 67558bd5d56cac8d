"""Certificates that gateways need and manifests do not hold: Secrets, ConfigMaps, and files of their pods.

Names are those of `pilot/pkg/model/credentials/resource.go` and `pkg/security/security.go#SdsCertificateConfig`, so
that they can be asked for over SDS as in a cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshlab.istio.read.gateway import Server
    from meshlab.istio.read.server_tls import ServerTls

__all__ = [
    "CA_SUFFIX",
    "SECRET_SCHEME",
    "Credential",
    "TlsResource",
    "certificate_resources",
    "client_ca_resource",
    "credentials_of",
    "tls_resources",
]

SECRET_SCHEME = "kubernetes://"  # noqa: S105 - a scheme
CA_SUFFIX = "-cacert"
BUILT_IN = "builtin://"
"""A credential that stands for the workload's own certificate."""
WORKLOAD, MESH_CA = "default", "ROOTCA"
"""The names of a workload's own certificate and of the mesh's CA."""


@dataclass(frozen=True)
class Credential:
    """Material of one Secret, ConfigMap or file that a run has to make for gateways.

    Attributes:
        namespace: Where the Secret is; the gateway's namespace for a file.
        name: The name of the Secret, or the path of the file.
        hosts: The hosts that its server certificate must be good for.
        certificate: Whether it holds a server's certificate and key.
        client_ca: Whether it holds the CA that clients' certificates are checked with.
    """

    namespace: str
    name: str
    hosts: tuple[str, ...]
    certificate: bool = True
    client_ca: bool = False

    def joined(self, other: Credential) -> Credential:
        """Return what serves this use and another of the same credential."""
        hosts = tuple(dict.fromkeys((*self.hosts, *other.hosts)))
        certificate = self.certificate or other.certificate
        return Credential(self.namespace, self.name, hosts, certificate, self.client_ca or other.client_ca)


@dataclass(frozen=True)
class TlsResource:
    """Something that a TLS context refers to by name.

    Attributes:
        name: The name, as Istio gives it to Envoy.
        kind: A certificate with its key, or the CA of clients.
        namespace: The namespace of what holds it; empty for the gateway's own.
        credential: The name of what holds it; empty for the mesh's own material.
    """

    name: str
    kind: Literal["certificate", "ca"]
    namespace: str = ""
    credential: str = ""


def certificate_resources(tls: ServerTls) -> list[TlsResource]:
    """Return the certificates that a server shows."""
    if tls.mode == "ISTIO_MUTUAL" or tls.credentials == (BUILT_IN,):
        return [TlsResource(WORKLOAD, "certificate")]
    if tls.credentials:
        return [_secret(name, "certificate") for name in tls.credentials]
    return [
        TlsResource(f"file-cert:{files.certificate}~{files.key}", "certificate", "", files.certificate)
        for files in tls.files
    ]


def client_ca_resource(tls: ServerTls) -> TlsResource | None:
    """Return the CA that a server checks clients with, `None` where it asks for no certificate."""
    if not tls.asks_for_certificate:
        return None
    if tls.mode == "ISTIO_MUTUAL":
        return TlsResource(MESH_CA, "ca")
    if tls.credentials:
        return _secret(tls.ca_credential or tls.credentials[0] + CA_SUFFIX, "ca")
    return TlsResource(f"file-root:{tls.ca_file}", "ca", "", tls.ca_file)


def tls_resources(servers: Iterable[Server]) -> list[TlsResource]:
    """Return what the TLS of servers refers to, without the mesh's own material, each once."""
    return list(dict.fromkeys(resource for _, resource in _resources(servers)))


def credentials_of(namespace: str, servers: Iterable[Server]) -> list[Credential]:
    """Return the material that the servers of a gateway workload need.

    Args:
        namespace: The namespace of the workload, whose Secrets it takes.
        servers: The servers.
    """
    found: dict[tuple[str, str], list[tuple[Server, TlsResource]]] = {}
    for server, resource in _resources(servers):
        key = resource.namespace or namespace, resource.credential
        found.setdefault(key, []).append((server, resource))
    return [_credential(*key, uses) for key, uses in found.items()]


def _credential(namespace: str, name: str, uses: list[tuple[Server, TlsResource]]) -> Credential:
    shown = [server for server, resource in uses if resource.kind == "certificate"]
    hosts = dict.fromkeys(host.name for server in shown for host in server.hosts)
    client_ca = any(resource.kind == "ca" for _, resource in uses)
    return Credential(namespace, name, tuple(hosts), bool(shown), client_ca)


def _resources(servers: Iterable[Server]) -> Iterator[tuple[Server, TlsResource]]:
    for server in servers:
        if server.is_tls and server.tls and not server.tls.passes_through:
            authority = client_ca_resource(server.tls)
            for resource in [*certificate_resources(server.tls), *([authority] if authority else [])]:
                if resource.credential:
                    yield server, resource


def _secret(name: str, kind: Literal["certificate", "ca"]) -> TlsResource:
    resource = name if "://" in name else SECRET_SCHEME + name
    namespace, _, bare = resource.partition("://")[2].rpartition("/")
    return TlsResource(resource, kind, namespace, bare.removesuffix(CA_SUFFIX) if kind == "ca" else bare)
