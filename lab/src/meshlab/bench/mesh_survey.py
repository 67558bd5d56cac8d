"""From a mesh to what `meshlab init` asks about: entrances, endpoints, issuers and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.survey import Endpoint, Entrance, Issuer, PolicyRule, Survey
from meshlab.istio.model.workload import target_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio import Mesh, Workload
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy
    from meshlab.istio.read.gateway import Gateway, Server
    from meshlab.istio.read.virtual_service import HttpRoute, VirtualService

__all__ = ["survey_of"]

_SPEAKS_HTTP = ("http", "http2", "auto")
_MAX_PATHS = 3


def survey_of(mesh: Mesh) -> Survey:
    """Return what is worth a first question in a mesh."""
    return Survey(
        entrances=tuple(dict.fromkeys(_entrances(mesh))),
        endpoints=tuple(dict.fromkeys(_endpoints(mesh))),
        senders=tuple(workload.ref for workload in mesh.workloads if workload.proxy == "sidecar"),
        issuers=_issuers(mesh),
        rules=tuple(_rules(mesh)),
    )


def _entrances(mesh: Mesh) -> Iterator[Entrance]:
    for workload in mesh.workloads:
        for gateway, server in mesh.servers(workload) if workload.is_gateway else ():
            scheme = "https" if server.tls else "http"
            for host, paths in _hosts(mesh, gateway, server).items():
                yield Entrance(workload.ref, scheme, host, server.port, paths)


def _hosts(mesh: Mesh, gateway: Gateway, server: Server) -> dict[str, tuple[str, ...]]:
    """Return the hosts that a server serves with VirtualServices, and paths that their routes match."""
    found: dict[str, tuple[str, ...]] = {}
    for service in mesh.virtual_services:
        if f"{gateway.namespace}/{gateway.name}" not in service.gateways or not service.http:
            continue
        for host in service.hosts:
            for server_host in server.hosts:
                shared = server_host.shares(service.namespace, host)
                if shared:
                    name = _concrete(shared)
                    known = found.get(name, ())
                    found[name] = tuple(dict.fromkeys((*known, *_paths(service))))[:_MAX_PATHS]
    for server_host in server.hosts:
        if server_host.name != "*" and not found:
            found.setdefault(_concrete(server_host.name), ())
    return found


def _concrete(host: str) -> str:
    """Return a host that a wildcard covers."""
    if host == "*":
        return "any.example"
    return host.replace("*", "any", 1) if host.startswith("*") else host


def _paths(service: VirtualService) -> Iterator[str]:
    for route in service.http:
        yield from _paths_of(route)


def _paths_of(route: HttpRoute) -> Iterator[str]:
    if not route.matches:
        yield "/"
    for match in route.matches:
        uri = match.uri
        if uri is not None and uri.kind in ("exact", "prefix") and uri.value.startswith("/"):
            yield uri.value


def _endpoints(mesh: Mesh) -> Iterator[Endpoint]:
    for workload in mesh.workloads:
        if workload.is_gateway:
            continue
        for service in mesh.services_of(workload):
            for port in service.ports:
                http = port.protocol in _SPEAKS_HTTP
                target = target_number(workload.named_ports, port) or port.number
                yield Endpoint(workload.ref, service.hostname, port.number, target, http)


def _issuers(mesh: Mesh) -> tuple[Issuer, ...]:
    reached: dict[str, list[Workload]] = {}
    for workload in mesh.workloads:
        for policy in mesh.attached_to(workload, mesh.request_authentications):
            for rule in policy.rules:
                reached.setdefault(rule.issuer, []).append(workload)
    return tuple(
        Issuer(name, tuple(dict.fromkeys(workload.ref for workload in workloads)))
        for name, workloads in reached.items()
    )


def _rules(mesh: Mesh) -> Iterator[PolicyRule]:
    for workload in mesh.workloads:
        for policy in mesh.attached_to(workload, mesh.authorization_policies):
            yield from _rules_of(workload, policy)


def _rules_of(workload: Workload, policy: AuthorizationPolicy) -> Iterator[PolicyRule]:
    name = f"{policy.attachment.namespace}/{policy.attachment.name}"
    for index, rule in enumerate(policy.rules):
        for operation in rule.operations:
            methods = [text for text in _any_of(operation, "methods") if text.isalpha()]
            paths = [text for text in _any_of(operation, "paths") if text.startswith("/")]
            plain = [path.removesuffix("*") for path in paths if "*" not in path[:-1] and "{" not in path]
            if methods or plain:
                yield PolicyRule(name, index, workload.ref, tuple(methods), tuple(plain))


def _any_of(operation: object, field: str) -> tuple[str, ...]:
    values = operation.get(field) if isinstance(operation, dict) else None
    return values.any_of if values is not None else ()
