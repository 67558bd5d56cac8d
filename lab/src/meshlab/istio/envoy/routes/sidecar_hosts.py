"""Virtual hosts of one outbound HTTP port of a sidecar.

Follows `pilot/pkg/networking/core/httproute.go#BuildSidecarOutboundVirtualHosts` and
`route/route.go#BuildSidecarVirtualHostWrapper`: a service has the routes of the first VirtualService for it, or a
route to itself. Routes of several VirtualServices are not joined, unlike at a gateway.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.istio.envoy.routes.destinations import cluster_names, outbound_cluster
from meshlab.istio.envoy.routes.domains import bracketed, virtual_host_domains
from meshlab.istio.envoy.routes.http_routes import default_route, http_routes
from meshlab.istio.envoy.routes.settings import RouteSettings
from meshlab.istio.model.virtual_services import MESH, wildcard_owners
from meshlab.istio.read.hosts import hosts_overlap
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.routes.settings import ProxyView, RoutedService
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = ["detected_port_hosts", "sidecar_virtual_hosts"]

_DEFAULTS = RouteSettings()
_HTTP_PORT = 80


def sidecar_virtual_hosts(
    virtual_services: Sequence[VirtualService],
    services: Iterable[RoutedService],
    *,
    proxy: ProxyView,
    port: int,
    settings: RouteSettings = _DEFAULTS,
) -> list[Json]:
    """Return the virtual hosts of the services on a port, and of hosts that only VirtualServices name.

    The virtual host for all other hosts is not among them: see `allow_any` and `block_all`.

    Args:
        virtual_services: What the sidecar sees on `mesh`, in order.
        services: The services that the sidecar sees, with all their ports.
        proxy: The workload of the sidecar.
        port: The port of the listener.
        settings: The mesh's and the destinations' settings.
    """
    here = {
        service.hostname.lower(): replace(service, hostname=service.hostname.lower(), ports=(found,))
        for service in services
        if (found := service.port(port)) is not None
    }
    # On port 80, and only there, Istio also serves hosts of VirtualServices that have no service at all.
    chosen = [each for each in virtual_services if port == _HTTP_PORT or _fits(each, here)]
    owners = wildcard_owners(virtual_services, here)
    groups = [
        group
        for virtual_service in chosen
        if (group := _group(virtual_service, here, owners, proxy, port, settings)) is not None
    ]
    with_rules = {service.hostname for group in groups for service in group.services}
    for hostname, service in sorted(here.items()):
        # A name that stands for another service is served as an alias of that one.
        if hostname not in with_rules and service.ports[0].is_http and not service.external_name:
            routes = [default_route(outbound_cluster(hostname, port), settings)]
            groups.append(_Group((), (service,), routes))
    return sorted(_named(groups, proxy, port, settings), key=lambda virtual_host: str(virtual_host["name"]))


def detected_port_hosts(virtual_hosts: Iterable[Json], hostname: str) -> list[Json]:
    """Return the virtual host of one service, for a listener of its own, where Istio detects the protocol.

    Such a listener serves one service only, so that every host header leads to it, and unknown hosts are not a case.
    """
    found = [each for each in virtual_hosts if hostname in each["domains"]]
    return [{**found[0], "domains": ["*"]}] if len(found) == 1 else found


@dataclass(frozen=True)
class _Group:
    """Hosts that are no services, and services, that share routes."""

    hosts: tuple[str, ...]
    services: tuple[RoutedService, ...]
    routes: list[Json]


def _fits(virtual_service: VirtualService, services: Mapping[str, RoutedService]) -> bool:
    wildcards = [hostname for hostname in services if hostname.startswith("*")]
    for host in (host.lower() for host in virtual_service.hosts):
        candidates: Iterable[str] = services if host.startswith("*") else wildcards
        if host in services or any(hosts_overlap(host, hostname) for hostname in candidates):
            return True
    return False


def _group(
    virtual_service: VirtualService,
    services: Mapping[str, RoutedService],
    owners: Mapping[str, VirtualService],
    proxy: ProxyView,
    port: int,
    settings: RouteSettings,
) -> _Group | None:
    """Return what a VirtualService gives routes to on this port, `None` where that is nothing."""
    routes = http_routes(
        virtual_service,
        proxy=proxy,
        gateway_names=(MESH,),
        listener_port=port,
        cluster_name=cluster_names(services.get, port),
        settings=settings,
    )
    if not routes:
        return None
    hosts, matching = _hosts_and_services(virtual_service, services, owners)
    if virtual_service.gateway_api:
        # A route counts at sidecars of its own namespace, or at all of them for services of its own namespace.
        places = {proxy.namespace, *(service.namespace for service in matching)} if matching else set()
        if virtual_service.namespace not in places:
            return None
    on_http = tuple(service for service in matching if service.ports[0].is_http)
    if not on_http and port != _HTTP_PORT:
        return None
    return _Group(tuple(hosts), on_http, routes)


def _hosts_and_services(
    virtual_service: VirtualService,
    services: Mapping[str, RoutedService],
    owners: Mapping[str, VirtualService],
) -> tuple[list[str], list[RoutedService]]:
    hosts: list[str] = []
    matching: list[RoutedService] = []
    lowered = [host.lower() for host in virtual_service.hosts]
    for host in lowered:
        if host.startswith("*"):
            continue
        if host in services:
            matching.append(services[host])
        else:
            hosts.append(host)
    for host in lowered:
        if not host.startswith("*"):
            continue
        # A wildcard of the Gateway API covers no service.
        every = () if virtual_service.gateway_api else sorted(services)
        covered = [hostname for hostname in every if hosts_overlap(hostname, host)]
        matching += [services[hostname] for hostname in covered if owners.get(hostname) is virtual_service]
        if not covered:
            hosts.append(host)
    return hosts, matching


def _named(groups: Sequence[_Group], proxy: ProxyView, port: int, settings: RouteSettings) -> Iterable[Json]:
    """Yield the virtual hosts; of two that claim one name the first has it."""
    full_names = {service.hostname for group in groups for service in group.services}
    names: set[str] = set()
    taken: set[str] = set()
    for group in groups:
        entries: list[tuple[str, list[str], list[str]]] = [
            (host, [bracketed(host)], []) for host in group.hosts
        ]
        entries += [(service.hostname, *virtual_host_domains(service, proxy)) for service in group.services]
        for hostname, domains, short in entries:
            name = f"{bracketed(hostname)}:{port}"
            if name in names:
                continue
            names.add(name)
            free = []
            for domain in domains:
                is_anothers = domain in short and domain in full_names
                if domain.lower() not in taken and not is_anothers:
                    free.append(domain)
                    taken.add(domain.lower())
            if free:
                yield {
                    "name": name,
                    "domains": free,
                    "routes": group.routes,
                    **({"includeRequestAttemptCount": True} if settings.count_attempts else {}),
                }
