"""The listeners of a gateway: one per port, with a filter chain per certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters import service_cluster, service_cluster_name
from meshlab.istio.envoy.connection_manager import connection_manager
from meshlab.istio.envoy.http_filters import access_loggers, policy_filters
from meshlab.istio.envoy.inbound_listener import TLS_INSPECTOR
from meshlab.istio.envoy.routes import bound_services, route_configuration
from meshlab.istio.envoy.tls import gateway_context
from meshlab.istio.model.destinations import find_destination

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload, WorkloadPort
    from meshlab.istio.read.gateway import Gateway, Server

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
            routes=route_configuration(mesh, route_name, workload.ref.namespace, chosen),
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
    clusters: dict[str, Json] = {}
    for gateway, server in mesh.servers(workload):
        for virtual_service, _ in bound_services(mesh, workload.ref.namespace, gateway, server):
            for route in virtual_service.routes:
                for destination in route.destinations:
                    if found := find_destination(mesh, destination):
                        name = service_cluster_name(*found)
                        clusters[name] = service_cluster(mesh, *found, placement, secrets)
    return list(clusters.values())


def _sni_match(server: Server) -> Json:
    names = [host.name for host in server.hosts]
    return {} if "*" in names else {"filterChainMatch": {"serverNames": names}}
