"""The listeners of a gateway: one per port, with a filter chain per certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters import service_cluster
from meshlab.istio.envoy.connection_manager import connection_manager
from meshlab.istio.envoy.http_filters import access_loggers, policy_filters
from meshlab.istio.envoy.inbound_listener import TLS_INSPECTOR
from meshlab.istio.envoy.routes import (
    ProxyView,
    RoutedPort,
    RoutedServer,
    RoutedService,
    cluster_names,
    gateway_virtual_hosts,
    outbound_cluster,
    route_configuration,
    shared_hosts,
)
from meshlab.istio.envoy.tls import gateway_context
from meshlab.istio.model.virtual_services import for_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload, WorkloadPort
    from meshlab.istio.read.gateway import Gateway, Server
    from meshlab.istio.read.virtual_service import Destination, VirtualService

__all__ = ["gateway_clusters", "gateway_listener"]


def gateway_listener(
    mesh: Mesh, workload: Workload, port: WorkloadPort, placement: Placement, secrets: Secrets
) -> Json:
    """The listener of one port of a gateway."""
    name = f"0.0.0.0_{port.number}"
    filters = policy_filters(mesh, workload, placement)
    access_log = access_loggers(mesh, workload)
    servers = [
        (gateway, server)
        for gateway, server in mesh.servers(workload)
        if mesh.target_port(workload, server.port) == port.number
    ]

    def manager(route_name: str, chosen: list[tuple[Gateway, Server]]) -> Json:
        return connection_manager(
            stat_prefix=f"outbound_{name}",
            routes=route_configuration(route_name, _virtual_hosts(mesh, workload, chosen)),
            filters=filters,
            access_log=access_log,
            at_gateway=True,
        )

    listener: Json = {
        "name": name,
        "address": placement.proxies[workload.ref, port.number].envoy,
        "trafficDirection": "OUTBOUND",
    }
    if port.protocol == "http":
        # Plaintext tells nothing before the first request, so all servers share one set of routes.
        return listener | {"filterChains": [{"filters": [manager(f"http.{port.number}", servers)]}]}
    chains = []
    for gateway, server in servers:
        if server.tls is None:  # a port is plaintext or TLS as a whole
            continue
        route_name = f"https.{server.port}.{server.port_name}.{gateway.name}.{gateway.namespace}"
        chains.append(
            {
                **_sni_match(server),
                "transportSocket": gateway_context(secrets, server.tls),
                "filters": [manager(route_name, [(gateway, server)])],
            }
        )
    return listener | {"listenerFilters": [TLS_INSPECTOR], "filterChains": chains}


def gateway_clusters(mesh: Mesh, workload: Workload, placement: Placement, secrets: Secrets) -> list[Json]:
    """The clusters that a gateway's routes name, each once."""
    services = {service.hostname: service for service in mesh.services}
    clusters: dict[str, Json] = {}
    for server, virtual_service in _bound(mesh, workload):
        name_of = cluster_names(_routed_services(mesh).get, server.port)
        for destination in _destinations(virtual_service):
            name = name_of(destination)
            # Without its cluster a destination is answered 503: it is no Service, or has no such port or subset.
            if (service := services.get(destination.host)) is None:
                continue
            for port in service.ports:
                if name == outbound_cluster(destination.host, port.number):
                    clusters[name] = service_cluster(mesh, service, port, placement, secrets)
    return list(clusters.values())


def _virtual_hosts(mesh: Mesh, workload: Workload, chosen: Sequence[tuple[Gateway, Server]]) -> list[Json]:
    services = _routed_services(mesh)
    return gateway_virtual_hosts(
        [
            RoutedServer(
                f"{gateway.namespace}/{gateway.name}",
                server.port,
                server.hosts,
                has_tls=server.tls is not None,
            )
            for gateway, server in chosen
        ],
        virtual_services=lambda gateway: for_gateway(mesh, workload, gateway),
        proxy=ProxyView(workload.labels, workload.ref.namespace),
        cluster_name=lambda _, port: cluster_names(services.get, port),
    )


def _routed_services(mesh: Mesh) -> dict[str, RoutedService]:
    return {
        service.hostname: RoutedService(
            service.hostname,
            service.namespace,
            tuple(RoutedPort(port.number, bool(port.protocol)) for port in service.ports),
        )
        for service in mesh.services
    }


def _bound(mesh: Mesh, workload: Workload) -> Iterator[tuple[Server, VirtualService]]:
    for gateway, server in mesh.servers(workload):
        for virtual_service in for_gateway(mesh, workload, f"{gateway.namespace}/{gateway.name}"):
            if shared_hosts(server.hosts, virtual_service):
                yield server, virtual_service


def _destinations(virtual_service: VirtualService) -> Iterator[Destination]:
    for rule in virtual_service.http:
        yield from (entry.destination for entry in rule.destinations)
        yield from (mirror.destination for mirror in rule.all_mirrors)


def _sni_match(server: Server) -> Json:
    names = [host.name for host in server.hosts]
    return {} if "*" in names else {"filterChainMatch": {"serverNames": names}}
