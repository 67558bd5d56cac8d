"""Gateway: which ports a gateway workload opens, for which hosts, and with which certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Fields, Where, spec_of
from meshlab.istio.read.hosts import common_host, host_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.manifest import Manifest

__all__ = ["Gateway", "GatewayTls", "Server", "ServerHost", "read_gateway"]

_SERVER_FIELDS = ("name", "port", "hosts", "tls")
_SERVER_REFUSED = {
    "bind": "a listener's address is the lab's to choose; remove it.",
    "defaultEndpoint": "Istio does not implement it; remove it.",
}
_TLS_REFUSED = {
    "httpsRedirect": "redirects are not supported; close the plaintext port instead.",
    "serverCertificate": "files of the pod are not supported; use credentialName.",
    "privateKey": "files of the pod are not supported; use credentialName.",
    "caCertificates": "client certificates at a gateway are not supported; use mode SIMPLE.",
    "subjectAltNames": "client certificates at a gateway are not supported; use mode SIMPLE.",
    "credentialNames": "one certificate per server is supported; use credentialName.",
}
_VERSIONS = {
    "TLS_AUTO": "TLS_AUTO",
    "TLSV1_2": "TLSv1_2",
    "TLSV1_3": "TLSv1_3",
}
# What Istio's documents call strong and BoringSSL knows (pkg/config/security/security.go#ValidCipherSuites),
# without those that have no forward secrecy or no AEAD.
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)


@dataclass(frozen=True)
class ServerHost:
    """One host of a server; `namespace` is empty for any, else whose VirtualServices may bind it."""

    namespace: str
    name: str
    where: Where

    def shares(self, namespace: str, host: str) -> str | None:
        """The hosts that a VirtualService of that namespace binds here with that host, `None` for none."""
        if self.namespace and self.namespace != namespace:
            return None
        return common_host(self.name, host)


@dataclass(frozen=True)
class GatewayTls:
    """Termination with a certificate of the gateway's namespace."""

    credential: str
    minimum: str
    maximum: str
    ciphers: tuple[str, ...]


@dataclass(frozen=True)
class Server:
    """One server of a Gateway. `port` is the number that the Gateway declares; `tls` is `None` for plaintext."""

    port: int
    port_name: str
    hosts: tuple[ServerHost, ...]
    tls: GatewayTls | None
    where: Where


@dataclass(frozen=True)
class Gateway:
    """A Gateway as read; no selector means every gateway workload."""

    namespace: str
    name: str
    selector: Mapping[str, str]
    servers: tuple[Server, ...]
    where: Where


def read_gateway(manifest: Manifest) -> Gateway:
    """Read and check a Gateway.

    Raises:
        ManifestError: An unknown field, or a protocol or TLS mode that the lab does not compile.
    """
    spec = spec_of(manifest, ("selector", "servers"))
    servers = spec.items("servers", _SERVER_FIELDS, _SERVER_REFUSED)
    if not servers:
        raise spec.where.key("servers").error("missing; a Gateway without servers opens no port.")
    return Gateway(
        namespace=manifest.namespace,
        name=manifest.name,
        selector=spec.string_map("selector"),
        servers=tuple(_server(server, manifest.namespace) for server in servers),
        where=spec.where,
    )


def _server(server: Fields, namespace: str) -> Server:
    refused = {"targetPort": "Istio does not implement it; the Service's targetPort counts."}
    port = server.mapping("port", ("number", "name", "protocol"), refused)
    protocol = port.choice("protocol", ("HTTP", "HTTPS", "HTTP2", "GRPC"), "")
    tls = _tls(server) if "tls" in server else None
    if protocol == "HTTPS" and tls is None:
        raise server.where.key("tls").error("missing; an HTTPS server needs a mode and a credentialName.")
    if protocol != "HTTPS" and tls is not None:
        raise server.where.key("tls").error(f"has no effect on a server of protocol {protocol}; write HTTPS.")
    server.string("name")
    hosts = server.strings("hosts")
    if not hosts:
        raise server.where.key("hosts").error("missing; name the hosts that may be bound here.")
    return Server(
        port=port.port("number"),
        port_name=port.required("name"),
        hosts=tuple(
            _server_host(host, namespace, server.where.key("hosts").item(index))
            for index, host in enumerate(hosts)
        ),
        tls=tls,
        where=server.where,
    )


def _tls(server: Fields) -> GatewayTls:
    known = ("mode", "credentialName", "minProtocolVersion", "maxProtocolVersion", "cipherSuites")
    tls = server.mapping("tls", known, _TLS_REFUSED)
    tls.choice("mode", ("SIMPLE",), "PASSTHROUGH")  # PASSTHROUGH is what an absent mode means
    credential = tls.required("credentialName")
    if "://" in credential or "/" in credential:
        raise tls.where.key("credentialName").error(
            "write the bare name of a Secret in the gateway's namespace."
        )
    ciphers = tls.strings("cipherSuites")
    for index, cipher in enumerate(ciphers):
        if cipher not in _CIPHERS:
            choice = ", ".join(_CIPHERS)
            raise tls.where.key("cipherSuites").item(index).error(f"{cipher!r} is none of {choice}.")
    return GatewayTls(
        credential=credential,
        minimum=_VERSIONS[tls.choice("minProtocolVersion", tuple(_VERSIONS), "TLSV1_2")],
        maximum=_VERSIONS[tls.choice("maxProtocolVersion", tuple(_VERSIONS), "TLS_AUTO")],
        ciphers=ciphers,
    )


def _server_host(text: str, namespace: str, where: Where) -> ServerHost:
    scope, slash, name = text.rpartition("/")
    if problem := host_problem(name):
        raise where.error(problem)
    if slash and not scope:
        raise where.error(f"{text!r}: write namespace/host, ./host or */host.")
    return ServerHost({"*": "", ".": namespace}.get(scope, scope), name, where)
