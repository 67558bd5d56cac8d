"""Notes on VirtualServices: what Istio accepts although it is a mistake, one sentence each.

Nothing of it is refused: a cluster runs it, so the lab runs it, too. A person wants to read it beside the verdicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.delegates import exports
from meshlab.istio.model.virtual_services import MESH
from meshlab.istio.read.hosts import hosts_overlap

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.virtual_service import Destination, HttpMatch, VirtualService
    from meshlab.manifest import Problem

__all__ = ["route_notes"]


def route_notes(mesh: Mesh, ports: Mapping[str, Collection[int]]) -> Iterator[Problem]:
    """Yield the notes on the VirtualServices of a mesh.

    Args:
        mesh: The mesh.
        ports: The ports of every service, by its full name.
    """
    refused = {problem.subject for refusal in mesh.refusals for problem in refusal.problems}
    for service in mesh.virtual_services:
        if service.gateway_api:
            # The conversion has said what is wrong with parents and backends.
            yield from dict.fromkeys(
                where.manifest.problem(where.keys, text, code=code)
                for where, code, text in _unreachable(service)
            )
            continue
        for where, code, text in (
            *_gateways(mesh, service, refused),
            *_destinations(service, ports, refused),
            *_delegates(mesh, service, mesh.settings.virtual_service_export_to),
            *_unreachable(service),
        ):
            yield where.manifest.problem(where.keys, text, code=code)


def _gateways(
    mesh: Mesh, service: VirtualService, refused: Collection[str]
) -> Iterator[tuple[Where, str, str]]:
    gateways = {f"{gateway.namespace}/{gateway.name}": gateway for gateway in mesh.gateways}
    where = service.where
    for name in service.gateways:
        if name != MESH and name not in gateways and f"Gateway {name}" not in refused:
            yield (
                where.key("gateways"),
                "ML201",
                f"there is no Gateway {name}, so its routes are not served there.",
            )
    if MESH in service.gateways or not any(name in gateways for name in service.gateways):
        return
    offered = [
        host
        for name in service.gateways
        if name in gateways
        for server in gateways[name].servers
        for host in server.hosts
    ]
    for index, host in enumerate(service.hosts):
        fitting = [entry for entry in offered if hosts_overlap(entry.name, host)]
        if any(entry.namespace in ("", service.namespace) for entry in fitting):
            continue
        reason = f"lets namespace {service.namespace} bind it" if fitting else "has that host"
        names = ", ".join(service.gateways)
        yield where.key("hosts").item(index), "ML202", f"{host!r}: no server of {names} {reason}."


def _destinations(
    service: VirtualService, ports: Mapping[str, Collection[int]], refused: Collection[str]
) -> Iterator[tuple[Where, str, str]]:
    for destination in _all_destinations(service):
        found = ports.get(destination.host)
        if found is None and _may_be_refused(destination.host, refused):
            continue
        if found is None:
            problem = f"no service is called {destination.host}, so what is sent there is answered 503."
            yield destination.where.key("host"), "ML203", problem
        elif destination.port is not None and destination.port not in found:
            have = ", ".join(map(str, sorted(found))) or "none"
            problem = f"{destination.host} has no port {destination.port}, it has {have}; the answer is 503."
            yield destination.where.key("port", "number"), "ML204", problem


def _may_be_refused(host: str, refused: Collection[str]) -> bool:
    """Return whether a host may be that of a Service or ServiceEntry that was not read."""
    if host.endswith(_CLUSTER):
        name, _, namespace = host.removesuffix(_CLUSTER).partition(".")
        return f"Service {namespace}/{name}" in refused
    return any(subject.startswith("ServiceEntry ") for subject in refused)


_CLUSTER = ".svc.cluster.local"


def _all_destinations(service: VirtualService) -> Iterator[Destination]:
    for rule in service.http:
        yield from (entry.destination for entry in rule.destinations)
        yield from (mirror.destination for mirror in rule.all_mirrors)
    connections = [route.destinations for route in service.tls] + [
        route.destinations for route in service.tcp
    ]
    yield from (entry.destination for destinations in connections for entry in destinations)


def _delegates(
    mesh: Mesh, service: VirtualService, default_export_to: Sequence[str]
) -> Iterator[tuple[Where, str, str]]:
    known = {(each.namespace, each.name): each for each in mesh.virtual_services if each.is_delegate}
    for rule in service.http:
        if rule.delegate is None:
            continue
        where, name = rule.where.key("delegate"), f"{rule.delegate.namespace}/{rule.delegate.name}"
        delegate = known.get((rule.delegate.namespace, rule.delegate.name))
        if delegate is None:
            yield (
                where,
                "ML205",
                f"there is no VirtualService {name} without hosts; Istio leaves the rule out.",
            )
        elif not exports(delegate, default_export_to) & {"*", service.namespace}:
            yield where, "ML205", f"{name} is not exported to {service.namespace}; Istio leaves the rule out."


def _unreachable(service: VirtualService) -> Iterator[tuple[Where, str, str]]:
    covered = False
    for rule in service.http:
        if covered:
            yield rule.where, "ML206", "is never reached: a rule before it takes every request."
        # A match for one proxy or port only may not be there for others.
        covered = covered or not rule.matches or any(map(_takes_everything, rule.matches))
    for route in service.tcp:
        for where in route.source_subnets:
            yield where, "ML207", "Istio does not implement it; the rule takes connections from everywhere."


def _takes_everything(match: HttpMatch) -> bool:
    on_request = (
        match.scheme,
        match.method,
        match.authority,
        match.headers,
        match.without_headers,
        match.query_params,
    )
    on_proxy = (match.port, match.gateways, match.source_labels, match.source_namespace)
    uri = match.uri
    every_path = uri is None or (uri.kind, uri.value) in (("prefix", "/"), ("regex", ".*"), ("present", ""))
    return every_path and not any(on_request) and not any(on_proxy)
