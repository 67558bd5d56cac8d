"""Filter chains of a gateway's port: what each takes, and where it leads.

Follows `pilot/pkg/networking/core/gateway.go#buildGatewayTCPBasedFilterChains`. A server for connections opens its port
only where a VirtualService says where they go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.istio.model.connection_routes import gateway_tcp, gateway_tls
from meshlab.istio.model.virtual_services import for_gateway
from meshlab.istio.read.hosts import is_subset
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.istio.model.connection_routes import ConnectionRoute
    from meshlab.istio.model.gateway_servers import GatewayPort, MergedServer
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.registry import MeshPort, MeshService
    from meshlab.istio.model.workload import Workload

__all__ = ["PRIVILEGED", "GatewayChain", "SniCluster", "envoy_refuses", "gateway_chains"]


PRIVILEGED = 1024
"""The first port that a process opens without privileges."""


@dataclass(frozen=True)
class SniCluster:
    """A cluster that clients of an AUTO_PASSTHROUGH server name as their server name."""

    service: MeshService
    port: MeshPort
    subset: str = ""

    @property
    def name(self) -> str:
        """The name, as `pilot/pkg/model/service.go#BuildDNSSrvSubsetKey` builds it."""
        return f"outbound_.{self.port.number}_.{self.subset}_.{self.service.hostname}"


@dataclass(frozen=True)
class GatewayChain:
    """One filter chain.

    Attributes:
        servers: The servers behind it; several for plaintext HTTP alone.
        inside: What is read of it: requests, or connections as they are.
        sni_hosts: Names, of which the client asks for one; empty for any.
        ends_tls: Whether TLS is ended here.
        route: Where connections go.
        cluster: Where connections of an AUTO_PASSTHROUGH server go.
    """

    servers: tuple[MergedServer, ...]
    inside: Literal["http", "tcp"]
    sni_hosts: tuple[str, ...] = ()
    ends_tls: bool = False
    route: ConnectionRoute | None = None
    cluster: SniCluster | None = None

    @property
    def server_names(self) -> tuple[str, ...]:
        """What Envoy compares server names with; empty for all."""
        return () if "*" in self.sni_hosts else tuple(sorted(set(self.sni_hosts)))


def gateway_chains(mesh: Mesh, workload: Workload, port: GatewayPort) -> list[GatewayChain]:
    """Return the filter chains of a port; none where it is not opened."""
    if workload.unprivileged and port.number < PRIVILEGED:
        return []
    taken: set[str] = set()
    found: list[GatewayChain] = []
    for group in port.groups:
        if group[0].server.is_plain_http:
            found.append(GatewayChain(group, "http"))
            continue
        for merged in group:
            if merged.server.is_https:
                found.append(GatewayChain((merged,), "http", merged.sni_hosts, ends_tls=True))
            else:
                found += _connections(mesh, workload, merged, taken)
    return found


def envoy_refuses(chains: Sequence[GatewayChain]) -> str | None:
    """Return why Envoy refuses the chains of a port, so that no client can connect to it; `None` for no reason."""
    seen: set[tuple[str, bool]] = set()
    for chain in chains:
        for name in chain.server_names or ("*",):
            if "*" in name.removeprefix("*"):
                return f"a filter chain takes {name}, and a server name has * only in front"
            # Protocol names tell the chain of a cluster from others. Envoy compares names without their case.
            key = (name.lower(), chain.cluster is not None)
            if key in seen:
                return f"two filter chains take {name}"
            seen.add(key)
    return None


def _sni_clusters(mesh: Mesh, workload: Workload, hosts: Sequence[str]) -> Iterator[SniCluster]:
    """Yield the clusters that an AUTO_PASSTHROUGH server for those hosts leads to, of what the gateway knows."""
    scope = mesh.visibility.scope_of(workload)
    for service in scope.services:
        if service.external or not any(is_subset(service.hostname, host) for host in hosts):
            continue
        rule = scope.rule_for(service, workload.labels)
        subsets = ("", *(subset.name for subset in rule.subsets)) if rule else ("",)
        for port in service.ports:
            if port.protocol != "udp":
                yield from (SniCluster(service, port, subset) for subset in subsets)


def _connections(
    mesh: Mesh, workload: Workload, merged: MergedServer, taken: set[str]
) -> Iterator[GatewayChain]:
    server, gateway = merged.server, str(merged.gateway)
    if server.tls and server.tls.mode == "AUTO_PASSTHROUGH":
        for cluster in _sni_clusters(mesh, workload, merged.sni_hosts):
            yield GatewayChain((merged,), "tcp", (cluster.name,), cluster=cluster)
        return
    services = for_gateway(mesh, workload, gateway, default_export_to=mesh.settings.virtual_service_export_to)
    if server.tls and server.tls.passes_through:
        for passed in gateway_tls(services, gateway, server.hosts, server.port, taken):
            yield GatewayChain((merged,), "tcp", passed.sni_hosts, route=passed)
    elif route := gateway_tcp(services, gateway, server.hosts, server.port):
        yield GatewayChain((merged,), "tcp", merged.sni_hosts, ends_tls=server.is_tls, route=route)
