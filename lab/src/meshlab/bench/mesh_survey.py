"""Survey of a mesh for `meshlab init`: entrances, endpoints, issuers and rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.bench.authorities import MESH
from meshlab.bench.survey import ClientCertificate, Endpoint, Entrance, Issuer, PolicyRule, Survey
from meshlab.istio.model.credentials import client_ca_resource
from meshlab.istio.model.workload import target_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshlab.istio import Mesh, Workload
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy, Rule, Values
    from meshlab.istio.read.gateway import Gateway, Server
    from meshlab.istio.read.virtual_service import HttpRoute, VirtualService

__all__ = ["survey_of"]

_SPEAKS_HTTP = ("http", "http2", "auto")
_MAX_PATHS = 3
_SENDABLE = re.compile(r"/[!-~]*")
"""A path that a request line can carry: ASCII without spaces and control characters (RFC 9112, section 3)."""


def survey_of(mesh: Mesh) -> Survey:
    """Return what is worth a first question in a mesh."""
    left_out: dict[str, None] = {}
    return Survey(
        entrances=tuple(dict.fromkeys(_entrances(mesh, left_out))),
        endpoints=tuple(dict.fromkeys(_endpoints(mesh))),
        senders=tuple(workload.ref for workload in mesh.workloads if workload.proxy == "sidecar"),
        issuers=_issuers(mesh),
        rules=tuple(_rules(mesh, left_out)),
        left_out=tuple(left_out),
    )


def _entrances(mesh: Mesh, left_out: dict[str, None]) -> Iterator[Entrance]:
    for workload in mesh.workloads:
        for gateway, server in mesh.servers(workload) if workload.is_gateway else ():
            scheme = "https" if server.tls and not server.redirects else "http"
            certificate = _certificate(mesh, server)
            hosts = _hosts(mesh, gateway, server, left_out)
            if server.is_https and server.tls and server.tls.asks_for_certificate and not certificate:
                pinned = f"{', '.join(hosts)}:{server.port} of {workload.ref} takes client certificates by their hash"
                left_out[f"{pinned}, which no certificate of a run has"] = None
            for host, paths in hosts.items():
                yield Entrance(workload.ref, scheme, host, server.port, paths, certificate)


def _certificate(mesh: Mesh, server: Server) -> ClientCertificate | None:
    """Return a certificate that a server takes from clients; `None` where it asks for none or for one by its hash."""
    tls = server.tls
    if tls is None or not server.is_https or not tls.asks_for_certificate:
        return None
    if tls.mode == "ISTIO_MUTUAL":
        return ClientCertificate(MESH, uris=(_any_identity(mesh),))
    if tls.credentials and (tls.certificate_spkis or tls.certificate_hashes):
        return None
    authority = client_ca_resource(tls)
    name = tls.subject_alt_names[0] if tls.subject_alt_names else "client.example"
    names = {"uris" if "://" in name else "dns": (name,)}
    return ClientCertificate(authority.credential, **names) if authority else None


def _any_identity(mesh: Mesh) -> str:
    """Return the identity of a workload that sends through its sidecar; of a default service account without one."""
    found = (
        workload.identity(mesh.trust_domain) for workload in mesh.workloads if workload.proxy == "sidecar"
    )
    return next(found, f"spiffe://{mesh.trust_domain}/ns/default/sa/default")


def _hosts(
    mesh: Mesh, gateway: Gateway, server: Server, left_out: dict[str, None]
) -> dict[str, tuple[str, ...]]:
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
                    found[name] = tuple(dict.fromkeys((*known, *_paths(service, left_out))))[:_MAX_PATHS]
    for server_host in server.hosts:
        if server_host.name != "*" and not found:
            found.setdefault(_concrete(server_host.name), ())
    return found


def _concrete(host: str) -> str:
    """Return a host that a wildcard covers."""
    if host == "*":
        return "any.example"
    return host.replace("*", "any", 1) if host.startswith("*") else host


def _paths(service: VirtualService, left_out: dict[str, None]) -> Iterator[str]:
    for path in (path for route in service.http for path in _paths_of(route)):
        if _SENDABLE.fullmatch(path):
            yield path
        else:
            _not_sent(path, f"routes of {service.namespace}/{service.name}", left_out)


def _not_sent(path: str, where: str, left_out: dict[str, None]) -> None:
    left_out[f"the path {path!r} of {where}, which no request can have"] = None


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


def _rules(mesh: Mesh, left_out: dict[str, None]) -> Iterator[PolicyRule]:
    for workload in mesh.workloads:
        for policy in mesh.attached_to(workload, mesh.authorization_policies):
            yield from _rules_of(workload, policy, left_out)


def _rules_of(
    workload: Workload, policy: AuthorizationPolicy, left_out: dict[str, None]
) -> Iterator[PolicyRule]:
    name = f"{policy.attachment.namespace}/{policy.attachment.name}"
    for rule in policy.rules:
        methods = [text for text in _named(rule.operations, "methods") if text.isalpha()]
        paths = list(_paths_for(rule, name, left_out))
        issuer, claims = _token_for(rule) if policy.action == "ALLOW" else ("", {})
        if methods or paths or issuer:
            unique = tuple(dict.fromkeys(methods)), tuple(dict.fromkeys(paths))
            yield PolicyRule(name, workload.ref, *unique, issuer, tuple(claims.items()))


def _token_for(rule: Rule) -> tuple[str, dict[str, str]]:
    """Return issuer and claims of a token that the rule asks for; an empty issuer where it asks for none."""
    principals = list(_named(rule.sources, "requestPrincipals"))
    claims: dict[str, str] = {}
    for condition in rule.conditions:
        value = next((text for text in condition.values.any_of if "*" not in text), "")
        if condition.key == "request.auth.principal":
            principals.append(value)
        # A claim within another one would need more than a name.
        elif value and (found := re.fullmatch(r"request\.auth\.claims\[([^\[\]]+)\]", condition.key)):
            claims[found[1]] = value
    issuer, _, subject = next(
        (text for text in principals if "/" in text and "*" not in text), ""
    ).rpartition("/")
    return issuer, {"sub": subject, **claims} if issuer else {}


def _paths_for(rule: Rule, policy: str, left_out: dict[str, None]) -> Iterator[str]:
    for path in filter(None, map(_path_for, _named(rule.operations, "paths"))):
        if _SENDABLE.fullmatch(path):
            yield path
        else:
            _not_sent(path, f"rules of {policy}", left_out)


def _path_for(pattern: str) -> str:
    """Return a path that matches what a rule names; empty where none is obvious."""
    path = re.sub(r"\{\*\*?\}", "1", pattern)
    if path.startswith("*"):
        path = f"/any{path[1:]}" if path != "*" else "/"
    if path.endswith("*"):
        path = path[:-1] if path[:-1].endswith("/") else f"{path[:-1]}1"
    return path if re.fullmatch(r"/[^*{}]*", path) else ""


def _named(entries: Iterable[Mapping[str, Values]], field: str) -> Iterator[str]:
    """Yield what sources or operations name in a field; what they exclude is not named."""
    for entry in entries:
        if field in entry:
            yield from entry[field].any_of
