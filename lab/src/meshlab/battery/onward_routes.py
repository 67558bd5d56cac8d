"""Routes of VirtualServices that lead from a proxy to the next one, with what each asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshlab.battery.clauses import Clause, Requirement
from meshlab.battery.request_values import NAME
from meshlab.battery.route_clauses import (
    Place,
    Proxy,
    changing,
    http_clauses,
    l4_clauses,
    places_of,
    route_host,
)
from meshlab.istio.model.virtual_services import for_gateway
from meshlab.istio.read.hosts import full_name, is_subset

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from meshlab.istio import Mesh, Workload
    from meshlab.istio.read.gateway import Gateway, Server
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = ["OnwardRoute", "gateway_routes", "hosts_of_routes", "sidecar_routes"]


class OnwardRoute(NamedTuple):
    """A route from a proxy to the next one.

    Attributes:
        clause: What it asks for.
        places: The hosts that it leads to, by their full names.
    """

    clause: Clause
    places: tuple[Place, ...]


def gateway_routes(
    mesh: Mesh,
    workload: Workload,
    server: tuple[Gateway, Server],
    asked: Sequence[Requirement],
    unread: dict[str, None],
    *,
    http: bool,
    hosts: Collection[str] = (),
) -> Iterator[OnwardRoute]:
    """Yield the routes of one server of a gateway.

    Args:
        mesh: The mesh.
        workload: The gateway workload.
        server: The Gateway, and its server.
        asked: What the server asks for before any route.
        unread: Receives what is not asked about.
        http: Whether clients speak HTTP inside of what the gateway takes.
        hosts: The hosts of all routes in the same table. Envoy looks at those of the narrowest host alone.
    """
    gateway, entered = server
    name = f"{gateway.namespace}/{gateway.name}"
    proxy = Proxy(entered.port, name, workload.labels, workload.ref.namespace, unread)
    for service, shared in _hosts_of_routes(mesh, workload, server):
        wide = [host for host in shared if host.startswith("*")]
        narrower = [
            host
            for host in (hosts if wide else ())
            if host not in shared and any(is_subset(host, each) for each in wide)
        ]
        named = Requirement(NAME, tuple(map(route_host, shared)), tuple(map(route_host, sorted(narrower))))
        yield from _routes_of(service, [*asked, named] if http else asked, proxy, http=http)


def hosts_of_routes(mesh: Mesh, workload: Workload, server: tuple[Gateway, Server]) -> set[str]:
    """Return the hosts that the routes of one server of a gateway are for."""
    return {host for _, shared in _hosts_of_routes(mesh, workload, server) for host in shared}


def _hosts_of_routes(
    mesh: Mesh, workload: Workload, server: tuple[Gateway, Server]
) -> Iterator[tuple[VirtualService, list[str]]]:
    """Yield the VirtualServices of one server of a gateway, each with the hosts that both have."""
    gateway, entered = server
    name = f"{gateway.namespace}/{gateway.name}"
    default = mesh.settings.virtual_service_export_to
    for service in for_gateway(mesh, workload, name, default_export_to=default):
        shared = [
            common
            for host in service.hosts
            for server_host in entered.hosts
            if (common := server_host.shares(service.namespace, host))
        ]
        if shared:
            yield service, list(dict.fromkeys(shared))


def sidecar_routes(
    mesh: Mesh, workload: Workload, host: str, port: int, unread: dict[str, None], *, http: bool
) -> Iterator[OnwardRoute]:
    """Yield the routes of a client's sidecar for a host.

    Args:
        mesh: The mesh.
        workload: The client.
        host: The host, without wildcard.
        port: The service's port.
        unread: Receives what is not asked about.
        http: Whether the client speaks HTTP.
    """
    proxy = Proxy(port, "mesh", workload.labels, workload.ref.namespace, unread)
    scope = mesh.visibility.scope_of(workload).egress_for(port) if workload.injected else None
    for service in scope.virtual_services if scope else ():
        if any(is_subset(host, full_name(name, service.namespace)) for name in service.hosts):
            yield from _routes_of(service, (), proxy, http=http)


def _routes_of(
    service: VirtualService, asked: Sequence[Requirement], proxy: Proxy, *, http: bool
) -> Iterator[OnwardRoute]:
    if http:
        numbered = http_clauses(service, asked, proxy)
        found: Iterator[tuple[Clause, list[Place]]] = (
            (changing(clause, service, rule), places_of(service, rule)) for clause, rule in numbered
        )
    else:
        found = l4_clauses(service, asked, proxy)
    for clause, places in found:
        whole = (place._replace(host=full_name(place.host, service.namespace)) for place in places)
        yield OnwardRoute(clause, tuple(whole))
