"""Rules of VirtualServices for connections: which filter chains `tls` and `tcp` ask for, at sidecars and at gateways.

Follows `pilot/pkg/networking/core/tls.go` and `gateway.go`. A condition on the proxy, the port or the gateway is
decided here; what a connection brings (server name, destination address) stays in the result, for Envoy to decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.virtual_services import MESH
from meshlab.istio.read.hosts import hosts_overlap
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshlab.istio.read.gateway import ServerHost
    from meshlab.istio.read.virtual_service import L4Destination, L4Match, VirtualService

__all__ = [
    "ConnectionRoute",
    "ServiceRoutes",
    "gateway_tcp",
    "gateway_tls",
    "on_host",
    "sidecar_tcp",
    "sidecar_tls",
]


@dataclass(frozen=True)
class ConnectionRoute:
    """One filter chain.

    Attributes:
        sni_hosts: Server names, of which the client asks for one; empty for any.
        destination_subnets: Ranges, of which one holds the address that the client connected to; empty for any.
        destinations: Where the connections go.
        virtual_service: What asks for it.
    """

    sni_hosts: tuple[str, ...]
    destination_subnets: tuple[str, ...]
    destinations: tuple[L4Destination, ...]
    virtual_service: VirtualService


@dataclass(frozen=True)
class ServiceRoutes:
    """The filter chains of one service on one port of a sidecar.

    Attributes:
        routes: What VirtualServices ask for.
        subnets: The destination ranges of the chain to the service itself.
        to_service: Whether that chain, for connections that no rule takes, comes after them.
    """

    routes: tuple[ConnectionRoute, ...]
    subnets: tuple[str, ...]
    to_service: bool


def on_host(virtual_services: Iterable[VirtualService], hostname: str) -> list[VirtualService]:
    """Return the VirtualServices that have a service's host, or a wildcard around it."""
    return [
        service
        for service in virtual_services
        if any(hosts_overlap(host, hostname) for host in service.hosts)
    ]


def sidecar_tls(
    virtual_services: Iterable[VirtualService],
    hostname: str,
    *,
    labels: Mapping[str, str],
    namespace: str,
    port: int,
    subnets: Sequence[str] = (),
) -> ServiceRoutes:
    """Return the filter chains of a service's TLS port at a sidecar.

    Args:
        virtual_services: What the sidecar sees, in order.
        hostname: The service.
        labels: The labels of the sidecar's workload.
        namespace: The namespace of the sidecar's workload.
        port: The port of the listener.
        subnets: The ranges of the service's addresses, where it has ranges.
    """
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], ConnectionRoute] = {}
    ranges = tuple(subnets)
    for service in on_host(virtual_services, hostname):
        for route in service.tls:
            for match in route.matches:
                if not _is_for(match, labels, namespace, port):
                    continue
                # Istio keeps the ranges of a match for all chains after it.
                ranges = match.destination_subnets or ranges
                chain = ConnectionRoute(match.sni_hosts, ranges, route.destinations, service)
                found.setdefault((match.sni_hosts, match.destination_subnets), chain)
    return ServiceRoutes(tuple(found.values()), ranges, to_service=not found)


def sidecar_tcp(
    virtual_services: Iterable[VirtualService],
    hostname: str,
    *,
    labels: Mapping[str, str],
    namespace: str,
    port: int,
    subnets: Sequence[str] = (),
) -> ServiceRoutes:
    """Return the filter chains of a service's TCP port at a sidecar; the arguments are those of `sidecar_tls`."""
    own = tuple(subnets)
    found: list[ConnectionRoute] = []
    to_service = True
    for service in on_host(virtual_services, hostname):
        for route in service.tcp:
            matches = [match for match in route.matches if _is_for(match, labels, namespace, port)]
            if not route.matches or any(not match.destination_subnets for match in matches):
                found.append(ConnectionRoute((), own, route.destinations, service))
                return ServiceRoutes(tuple(found), own, to_service=False)
            ranges = tuple(subnet for match in matches for subnet in match.destination_subnets)
            if ranges:
                found.append(ConnectionRoute((), ranges, route.destinations, service))
                to_service = to_service and sorted(ranges) != sorted(own)
    return ServiceRoutes(tuple(found), own, to_service)


def gateway_tcp(
    virtual_services: Iterable[VirtualService], gateway: str, hosts: Sequence[ServerHost], port: int
) -> ConnectionRoute | None:
    """Return where the connections of a gateway's TCP server go, `None` where no rule is for it: no listener then.

    Args:
        virtual_services: What the gateway workload sees on that Gateway, in order.
        gateway: The Gateway, as `namespace/name`.
        hosts: The hosts of the server.
        port: The port that the server declares.
    """
    for service in _on_server(virtual_services, hosts):
        for route in service.tcp:
            if not route.matches or any(_is_for_server(match, gateway, port) for match in route.matches):
                return ConnectionRoute((), (), route.destinations, service)
    return None


def gateway_tls(
    virtual_services: Iterable[VirtualService],
    gateway: str,
    hosts: Sequence[ServerHost],
    port: int,
    taken: set[str],
) -> list[ConnectionRoute]:
    """Return the filter chains of a gateway's PASSTHROUGH server.

    Args:
        virtual_services: What the gateway workload sees on that Gateway, in order.
        gateway: The Gateway, as `namespace/name`.
        hosts: The hosts of the server.
        port: The port that the server declares.
        taken: The server names that other chains of the listener have. A match that asks for one of them is passed
            over as a whole, as Istio does; the names of the others are added.
    """
    found = []
    for service in _on_server(virtual_services, hosts):
        for route in service.tls:
            for match in route.matches:
                if not _is_for_server(match, gateway, port) or taken & set(match.sni_hosts):
                    continue
                taken.update(match.sni_hosts)
                found.append(ConnectionRoute(match.sni_hosts, (), route.destinations, service))
    return found


def _is_for(match: L4Match, labels: Mapping[str, str], namespace: str, port: int) -> bool:
    return (
        (not match.gateways or MESH in match.gateways)
        and (match.source_labels or {}).items() <= labels.items()
        and match.port in (None, port)
        and match.source_namespace in ("", namespace)
    )


def _is_for_server(match: L4Match, gateway: str, port: int) -> bool:
    # Gateways look at no source labels and no source namespace here, unlike in rules of http.
    return match.port in (None, port) and (not match.gateways or gateway in match.gateways)


def _on_server(
    virtual_services: Iterable[VirtualService], hosts: Sequence[ServerHost]
) -> Iterator[VirtualService]:
    for service in virtual_services:
        offered = [host.name for host in hosts if host.namespace in ("", service.namespace)]
        if any(hosts_overlap(name, host) for name in offered for host in service.hosts):
            yield service
