"""Where a gateway's requests and connections go, and the clusters for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.outbound.context import routed_service
from meshlab.istio.envoy.routes import (
    ProxyView,
    RoutedServer,
    cluster_names,
    gateway_virtual_hosts,
    outbound_cluster,
    route_configuration,
    tcp_proxy,
)
from meshlab.istio.model.gateway_chains import gateway_chains
from meshlab.istio.model.virtual_services import for_gateway

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.routes import ClusterName, RoutedService
    from meshlab.istio.model.gateway_chains import GatewayChain
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
    )
    return route_configuration(servers[0].route_name, hosts)


def connection_proxy(mesh: Mesh, workload: Workload, chain: GatewayChain, access_log: Sequence[Json]) -> Json:
    """Return the filter that passes the connections of a chain on.

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
    return proxy


def sni_clusters(mesh: Mesh, workload: Workload, made: Mapping[str, Json]) -> list[Json]:
    """Return the clusters to which AUTO_PASSTHROUGH servers pass TLS on as it is.

    Args:
        mesh: The mesh.
        workload: The gateway workload.
        made: The clusters of the services that it knows, by name. Those here have of their servers the ones that take
            mutual TLS.
    """
    found: dict[str, Json] = {}
    for port in mesh.gateway_ports(workload).ports:
        for chain in gateway_chains(mesh, workload, port):
            if chain.cluster is None:
                continue
            service = chain.cluster.service
            source = made.get(outbound_cluster(service.hostname, chain.cluster.port.number))
            if source:
                found[chain.cluster.name] = _sni_cluster(chain.cluster.name, source)
    return list(found.values())


def _sni_cluster(name: str, source: Json) -> Json:
    kept = {
        key: value
        for key, value in source.items()
        if key not in ("transportSocket", "transportSocketMatches")
    }
    (locality,) = source["loadAssignment"]["endpoints"]
    endpoints = [endpoint for endpoint in locality["lbEndpoints"] if "metadata" in endpoint]
    assignment = {"clusterName": name, "endpoints": [{"lbEndpoints": endpoints}]}
    return {**kept, "name": name, "loadAssignment": assignment}


def _virtual_services(mesh: Mesh, workload: Workload, gateway: str) -> list[VirtualService]:
    return for_gateway(mesh, workload, gateway, default_export_to=mesh.settings.virtual_service_export_to)


def _cluster_name(mesh: Mesh, workload: Workload, listener_port: int) -> ClusterName:
    known = mesh.visibility.scope_of(workload).by_hostname

    def service_of(host: str) -> RoutedService | None:
        service = known.get(host)
        return routed_service(service) if service else None

    return cluster_names(service_of, listener_port)
