"""The filter chains of one service on one port of a sidecar's outbound side.

Follows `pilot/pkg/networking/core/{listener,tls,networkfilter}.go`.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from meshlab.istio.envoy.application_protocols import offering_connections
from meshlab.istio.envoy.connection_manager import connection_manager
from meshlab.istio.envoy.routes import (
    cluster_names,
    detected_port_hosts,
    outbound_cluster,
    route_configuration,
    tcp_proxy,
)
from meshlab.istio.envoy.routes.domains import short_names
from meshlab.istio.model.addresses import NO_ADDRESS
from meshlab.istio.model.connection_routes import sidecar_tcp, sidecar_tls
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.outbound.sidecar_context import OutboundContext
    from meshlab.istio.model.registry import MeshPort, MeshService
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = ["Chain", "connection_chains", "http_chain", "to_cluster"]

_HTTP = ("http/1.1", "h2c")
"""What the inspector calls plaintext HTTP. HTTP/1.0 is not among it: Istio passes it on as it is."""


@dataclass(frozen=True)
class Chain:
    """A filter chain.

    Attributes:
        filters: Its network filters.
        sni_hosts: Server names, of which the client asks for one; empty for any.
        ranges: Ranges, of which one holds the address that the client wanted; empty for any.
        http_only: Whether it is for plaintext HTTP alone.
    """

    filters: tuple[Json, ...]
    sni_hosts: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    http_only: bool = False

    @property
    def takes_all(self) -> bool:
        """Whether it takes every connection."""
        any_name = not self.sni_hosts or "*" in self.sni_hosts
        return any_name and not self.ranges and not self.http_only

    def conflicts_with(self, other: Chain) -> bool:
        """Return whether a listener can have only one of both."""
        return (
            self.http_only == other.http_only
            and _names(self.sni_hosts) == _names(other.sni_hosts)
            and _ranges(self.ranges) == _ranges(other.ranges)
        )

    def envoy(self) -> Json:
        """Return the chain in Envoy's words."""
        match: Json = {}
        if self.http_only:
            match |= {"applicationProtocols": list(_HTTP), "transportProtocol": "raw_buffer"}
        if self.sni_hosts and "*" not in self.sni_hosts:
            match["serverNames"] = sorted(self.sni_hosts)
        if prefixes := sorted(_ranges(self.ranges)):
            match["prefixRanges"] = [
                {"addressPrefix": address, "prefixLen": length} for address, length in prefixes
            ]
        return {**({"filterChainMatch": match} if match else {}), "filters": list(self.filters)}


def http_chain(context: OutboundContext, name: str, service: MeshService, port: int, *, alone: bool) -> Chain:
    """Return the chain for HTTP.

    Args:
        context: The sidecar.
        name: The name of the listener.
        service: The service that asks for the chain.
        port: The port of the listener.
        alone: Whether the listener serves this one service, as one on a virtual address does where the protocol is
            detected. Otherwise all services on the port share it.
    """
    hosts = context.virtual_hosts(port)
    if alone:
        routes = route_configuration(
            f"{service.hostname}:{port}", detected_port_hosts(hosts, service.hostname)
        )
    else:
        routes = route_configuration(str(port), [*hosts, context.unknown_hosts()])
    manager = connection_manager(
        stat_prefix=f"outbound_{name}",
        routes=routes,
        filters=[],
        access_log=context.access_log,
        side="outbound",
        settings=context.mesh.settings,
    )
    return Chain((manager,))


def connection_chains(
    context: OutboundContext,
    virtual_services: Sequence[VirtualService],
    service: MeshService,
    port: MeshPort,
    bind: str,
    ranges: tuple[str, ...],
) -> list[Chain]:
    """Return the chains for connections that are not looked into: TCP, and TLS by server name.

    Args:
        context: The sidecar.
        virtual_services: What counts on the listener.
        service: The service.
        port: The port of the listener.
        bind: The address of the listener.
        ranges: The service's own ranges of addresses.
    """
    is_tls = port.protocol == "tls"
    select = sidecar_tls if is_tls else sidecar_tcp
    wanted = select(
        virtual_services,
        service.hostname,
        labels=context.workload.labels,
        namespace=context.workload.ref.namespace,
        port=port.number,
        subnets=ranges,
    )
    name_of = cluster_names(context.routed.get, port.number)
    chains = []
    for route in wanted.routes:
        proxy = tcp_proxy(
            f"{route.virtual_service.name}.{route.virtual_service.namespace}", route.destinations, name_of
        )
        chains.append(Chain(_offered(context, proxy), route.sni_hosts, route.destination_subnets))
    if wanted.to_service:
        number = service.ports[0].number if len(service.ports) == 1 else port.number
        sni_hosts = _own_names(context, service, bind, wanted.subnets) if is_tls else ()
        filters = to_cluster(context, outbound_cluster(service.hostname, number))
        chains.append(Chain(filters, sni_hosts, wanted.subnets))
    return chains


def to_cluster(context: OutboundContext, cluster: str) -> tuple[Json, ...]:
    """Return the filters that pass every connection on to a cluster."""
    config: Json = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "statPrefix": cluster,
        "cluster": cluster,
    }
    return _offered(context, {"name": "envoy.filters.network.tcp_proxy", "typedConfig": config})


def _offered(context: OutboundContext, proxy: Json) -> tuple[Json, ...]:
    if context.access_log:
        proxy["typedConfig"]["accessLog"] = list(context.access_log)
    return tuple(offering_connections(context.mesh, context.scope, context.workload, proxy))


def _own_names(
    context: OutboundContext, service: MeshService, bind: str, ranges: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the server names of a service that shares its listener; empty where its address says enough."""
    address = service.address
    shares = bool(ranges) or "/" in address or (address == NO_ADDRESS and bind == NO_ADDRESS)
    if not shares and not (service.is_wildcard and service.resolution == "dynamic dns"):
        return ()
    names = [service.hostname]
    for alias in service.aliases:
        names += [alias, *short_names(alias, context.view.dns_domain)]
    return tuple(names)


def _names(sni_hosts: tuple[str, ...]) -> set[str]:
    return {name for name in sni_hosts if name != "*"}


def _ranges(written: tuple[str, ...]) -> set[tuple[str, int]]:
    networks = [ipaddress.ip_network(text, strict=False) for text in written]
    return {
        (str(network.network_address), network.prefixlen)
        for network in networks
        if str(network.network_address) != NO_ADDRESS
    }
