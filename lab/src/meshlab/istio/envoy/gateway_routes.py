"""Where a gateway's requests and connections go, and the clusters for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters import service_cluster
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
    tcp_proxy,
)
from meshlab.istio.model.gateway_chains import gateway_chains
from meshlab.istio.model.virtual_services import for_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.envoy.routes import ClusterName
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.model.gateway_chains import GatewayChain, SniCluster
    from meshlab.istio.model.gateway_servers import MergedServer
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.virtual_service import Destination, VirtualService

__all__ = ["connection_proxy", "gateway_clusters", "request_routes"]


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
        cluster_name=lambda _, port: _cluster_name(mesh, port),
    )
    return route_configuration(servers[0].route_name, hosts)


def connection_proxy(mesh: Mesh, chain: GatewayChain, access_log: Sequence[Json]) -> Json:
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
        names = _cluster_name(mesh, chain.servers[0].server.port)
        proxy = tcp_proxy(f"{service.name}.{service.namespace}", chain.route.destinations, names)
    else:
        raise ValueError("the chain leads nowhere")
    if access_log:
        proxy["typedConfig"]["accessLog"] = list(access_log)
    return proxy


def gateway_clusters(mesh: Mesh, workload: Workload, placement: Placement, secrets: Secrets) -> list[Json]:
    """Return the clusters that a gateway's routes name, each once."""
    services = {service.hostname: service for service in mesh.services}
    clusters: dict[str, Json] = {}
    for listener_port, destination in _destinations(mesh, workload):
        name = _cluster_name(mesh, listener_port)(destination)
        # Without its cluster a destination is answered 503: it is no Service, or has no such port or subset.
        service = services.get(destination.host)
        for port in service.ports if service else ():
            if service and name == outbound_cluster(destination.host, port.number):
                clusters[name] = service_cluster(mesh, service, port, placement, secrets)
    for merged_port in mesh.gateway_ports(workload).ports:
        for chain in gateway_chains(mesh, workload, merged_port):
            if chain.cluster:
                clusters[chain.cluster.name] = _sni_cluster(mesh, chain.cluster, placement, secrets)
    return list(clusters.values())


def _sni_cluster(mesh: Mesh, cluster: SniCluster, placement: Placement, secrets: Secrets) -> Json:
    """Return the cluster of endpoints that take mutual TLS, which is passed on to them as it is."""
    written = service_cluster(mesh, cluster.service, cluster.port, placement, secrets)
    written.pop("transportSocketMatches", None)
    (locality,) = written["loadAssignment"]["endpoints"]
    endpoints = [endpoint for endpoint in locality["lbEndpoints"] if "metadata" in endpoint]
    assignment = {"clusterName": cluster.name, "endpoints": [{"lbEndpoints": endpoints}]}
    return {**written, "name": cluster.name, "loadAssignment": assignment}


def _virtual_services(mesh: Mesh, workload: Workload, gateway: str) -> list[VirtualService]:
    return for_gateway(mesh, workload, gateway, default_export_to=mesh.settings.virtual_service_export_to)


def _cluster_name(mesh: Mesh, listener_port: int) -> ClusterName:
    services = {
        service.hostname: RoutedService(
            service.hostname,
            service.namespace,
            tuple(
                RoutedPort(port.number, port.protocol in ("http", "http2", "auto")) for port in service.ports
            ),
        )
        for service in mesh.services
    }
    return cluster_names(services.get, listener_port)


def _destinations(mesh: Mesh, workload: Workload) -> Iterator[tuple[int, Destination]]:
    for gateway, server in mesh.servers(workload):
        for service in _virtual_services(mesh, workload, str(gateway)):
            if shared_hosts(server.hosts, service):
                for destination in _named(service):
                    yield server.port, destination


def _named(service: VirtualService) -> Iterator[Destination]:
    for rule in service.http:
        yield from (entry.destination for entry in rule.destinations)
        yield from (mirror.destination for mirror in rule.all_mirrors)
    yield from (share.destination for tls in service.tls for share in tls.destinations)
    yield from (share.destination for tcp in service.tcp for share in tcp.destinations)
