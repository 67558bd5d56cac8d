"""The nodes of a mesh with their policies, and the ways that its routes lead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.html_report.drawing.graph import Badge, Edge, Graph, Node
from meshlab.html_report.drawing.route_targets import Route, routes_of
from meshlab.istio.model.mtls import mtls_mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshlab.html_report.drawing.graph import Kind
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.attachment import Attachment

__all__ = ["graph_of", "host_node"]

_TONES = {"ALLOW": "allow", "DENY": "deny", "CUSTOM": "deny", "AUDIT": "plain"}
_MTLS_TONES = {"STRICT": "mtls", "PERMISSIVE": "open", "DISABLE": "open"}
HOSTS = "external"
"""The group of external hosts."""


def graph_of(mesh: Mesh) -> Graph:
    """Return a mesh as a drawing: its workloads, gateways and external hosts, and where its routes lead."""
    routes = list(routes_of(mesh))
    outgoing = _egress_gateways(routes)
    workloads = [
        _workload(mesh, workload, egress=str(workload.ref) in outgoing) for workload in mesh.workloads
    ]
    hosts = dict.fromkeys(host for entry in mesh.service_entries if entry.external for host in entry.hosts)
    hosts |= dict.fromkeys(route.target for route in routes if route.external)
    edges = (Edge(route.source, route.target, routed=True) for route in routes)
    return Graph.of([*map(host_node, hosts), *workloads], edges)


def host_node(host: str) -> Node:
    """Return the node of a host outside of the mesh."""
    return Node(host, "host", HOSTS, host)


def _egress_gateways(routes: Sequence[Route]) -> set[str]:
    """Return the gateways all of whose routes lead out of the mesh; they are drawn on the side of the hosts."""
    leading_out = {route.source for route in routes if route.external}
    return leading_out - {route.source for route in routes if not route.external}


def _workload(mesh: Mesh, workload: Workload, *, egress: bool) -> Node:
    kind: Kind = "workload"
    if workload.is_gateway:
        kind = "egress" if egress else "gateway"
    servers = list(dict.fromkeys(_servers(mesh, workload))) if workload.is_gateway else []
    return Node(
        str(workload.ref),
        kind,
        workload.ref.namespace,
        workload.ref.name,
        badges=tuple(_badges(mesh, workload)),
        lines=tuple(servers),
        facts=tuple(_facts(mesh, workload, servers)),
    )


def _servers(mesh: Mesh, workload: Workload) -> Iterator[str]:
    for _, server in mesh.servers(workload):
        mode = server.tls.mode if server.tls and server.is_tls else ""
        how = f" {mode}" if mode not in ("", "SIMPLE") else ""
        for host in server.hosts:
            yield f"{server.port} {server.protocol.upper()}{how} {host.name}"


def _badges(mesh: Mesh, workload: Workload) -> Iterator[Badge]:
    if not workload.injected:
        yield Badge("no proxy", "open")
        return
    if not workload.is_gateway:
        modes = dict.fromkeys(_modes(mesh, workload))
        yield from (Badge(f"mTLS {mode}", _MTLS_TONES[mode]) for mode in modes)
    policies = [
        policy for policy in mesh.attached_to(workload, mesh.authorization_policies) if not policy.dry_run
    ]
    for action, tone in _TONES.items():
        count = sum(policy.action == action for policy in policies)
        if count:
            yield Badge(action if count == 1 else f"{action} {count}", tone)
    if any(policy.rules for policy in mesh.attached_to(workload, mesh.request_authentications)):
        yield Badge("JWT", "token")


def _facts(mesh: Mesh, workload: Workload, servers: Iterable[str]) -> Iterator[tuple[str, str]]:
    yield "namespace", workload.ref.namespace
    yield "proxy", {"none": "none", "sidecar": "a sidecar", "gateway": "a gateway"}[workload.proxy]
    if workload.injected:
        yield "identity", workload.identity(mesh.trust_domain)
    if workload.assumed:
        yield "assumed", "the manifests do not hold it"
    yield from (("server", server) for server in servers)
    if not workload.is_gateway:
        yield from (("port", f"{port.number} {port.protocol}") for port in workload.ports)
        if workload.injected:
            yield from (("mutual TLS", mode) for mode in dict.fromkeys(_modes(mesh, workload)))
    for policy in mesh.attached_to(workload, mesh.authorization_policies):
        action = f"{policy.action}, dry run" if policy.dry_run else policy.action
        rules = f"{len(policy.rules)} rule{'' if len(policy.rules) == 1 else 's'}"
        yield f"AuthorizationPolicy ({action})", f"{_placed(policy.attachment)}, {rules}"
    for tokens in mesh.attached_to(workload, mesh.request_authentications):
        issuers = ", ".join(rule.issuer or "any issuer" for rule in tokens.rules) or "no issuer"
        yield "RequestAuthentication", f"{_placed(tokens.attachment)}: {issuers}"
    for peers in mesh.attached_to(workload, mesh.peer_authentications):
        yield "PeerAuthentication", _placed(peers.attachment)


def _modes(mesh: Mesh, workload: Workload) -> Iterator[str]:
    """Yield the mTLS mode of each port of a sidecar."""
    policies = mesh.attached_to(workload, mesh.peer_authentications)
    for number in [port.number for port in workload.ports] or [0]:
        yield mtls_mode(
            policies, namespace=workload.ref.namespace, root_namespace=mesh.root_namespace, port=number
        )


def _placed(attachment: Attachment) -> str:
    manifest = attachment.where.manifest
    place = f"{manifest.source}:{manifest.line}" if manifest.line else manifest.source
    return f"{attachment.namespace}/{attachment.name} ({place})"
