"""Routes of a gateway: where its requests and connections go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.application_protocols import offering_connections
from meshlab.istio.envoy.clusters.endpoints import load_balanced_endpoints
from meshlab.istio.envoy.connection_manager import duration
from meshlab.istio.envoy.outbound.sidecar_context import routed_service
from meshlab.istio.envoy.routes import (
    ProxyView,
    RoutedServer,
    RoutedService,
    RouteSettings,
    cluster_names,
    gateway_virtual_hosts,
    route_configuration,
    tcp_proxy,
)
from meshlab.istio.model.destination_rules import policy_for
from meshlab.istio.model.gateway_chains import gateway_chains
from meshlab.istio.model.virtual_services import for_gateway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.envoy.routes import ClusterName
    from meshlab.istio.model.gateway_chains import GatewayChain, SniCluster
    from meshlab.istio.model.gateway_servers import MergedServer
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = ["connection_proxy", "request_routes", "sni_clusters"]


def request_routes(mesh: Mesh, workload: Workload, servers: Sequence[MergedServer]) -> Json:
    """Return the route configuration of the servers that share a filter chain."""
    hosts = gateway_virtual_hosts(
        [
            RoutedServer(
                str(merged.gateway),
                merged.server.port,
                merged.server.hosts,
                has_tls=merged.server.tls is not None,
                https_redirect=merged.server.redirects,
            )
            for merged in servers
        ],
        virtual_services=lambda gateway: _virtual_services(mesh, workload, gateway),
        proxy=ProxyView(workload.labels, workload.ref.namespace),
        cluster_name=lambda _, port: _cluster_name(mesh, workload, port),
        settings=RouteSettings.of_mesh(mesh.settings),
    )
    return route_configuration(servers[0].route_name, hosts)


def connection_proxy(
    mesh: Mesh, workload: Workload, chain: GatewayChain, access_log: Sequence[Json]
) -> list[Json]:
    """Return the filters that pass the connections of a chain on.

    Raises:
        ValueError: The chain is for requests.
    """
    if chain.cluster:
        name = chain.cluster.name
        kind = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
        config = {"@type": kind, "statPrefix": name, "cluster": name}
        proxy: Json = {"name": "envoy.filters.network.tcp_proxy", "typedConfig": config}
    elif chain.route:
        service = chain.route.virtual_service
        names = _cluster_name(mesh, workload, chain.servers[0].server.port)
        proxy = tcp_proxy(f"{service.name}.{service.namespace}", chain.route.destinations, names)
    else:
        raise ValueError("the chain leads nowhere")
    if access_log:
        proxy["typedConfig"]["accessLog"] = list(access_log)
    return offering_connections(mesh, mesh.visibility.scope_of(workload), workload, proxy)


def sni_clusters(mesh: Mesh, workload: Workload, placement: Placement) -> list[Json]:
    """Return the clusters that clients of AUTO_PASSTHROUGH servers name as their server name.

    Only servers that take mutual TLS are in them, and the clients' TLS is passed on to them as it is.
    """
    clusters: dict[str, Json] = {}
    for port in mesh.gateway_ports(workload).ports:
        for chain in gateway_chains(mesh, workload, port):
            if chain.cluster:
                clusters[chain.cluster.name] = _sni_cluster(mesh, workload, chain.cluster, placement)
    return list(clusters.values())


def _sni_cluster(mesh: Mesh, workload: Workload, cluster: SniCluster, placement: Placement) -> Json:
    rule = mesh.visibility.scope_of(workload).rule_for(cluster.service, workload.labels)
    found: list[Json] = []
    # A gateway does not know which address the client wanted, so PASSTHROUGH leads nowhere.
    if not policy_for(rule, cluster.port.number, cluster.subset).passthrough:
        found = load_balanced_endpoints(mesh, cluster.service, cluster.port, rule, cluster.subset, placement)
    endpoints = [{"lbEndpoints": [endpoint for endpoint in found if "metadata" in endpoint]}]
    return {
        "name": cluster.name,
        "type": "STATIC",
        "connectTimeout": duration(mesh.settings.connect_timeout_s),
        "loadAssignment": {"clusterName": cluster.name, "endpoints": endpoints},
    }


def _virtual_services(mesh: Mesh, workload: Workload, gateway: str) -> list[VirtualService]:
    return for_gateway(mesh, workload, gateway, default_export_to=mesh.settings.virtual_service_export_to)


def _cluster_name(mesh: Mesh, workload: Workload, listener_port: int) -> ClusterName:
    services = mesh.visibility.scope_of(workload).by_hostname

    def routed(hostname: str) -> RoutedService | None:
        service = services.get(hostname)
        return routed_service(service) if service else None

    return cluster_names(routed, listener_port)
