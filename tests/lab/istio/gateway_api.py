"""Objects of the Gateway API from a few words, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio import WorkloadRef, load_mesh
from meshlab.manifest import parse_manifests

from tests.lab.kube import app, mesh_of, namespace, service

if TYPE_CHECKING:
    from meshlab.istio import Mesh
    from meshlab.istio.read.gateway import Gateway
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = [
    "ALL",
    "BASE",
    "DOOR",
    "WEB",
    "gateway",
    "gateways",
    "grant",
    "load",
    "notes",
    "refusals",
    "route",
    "rules",
    "virtual_services",
]

DOOR = WorkloadRef("infra", "door-istio")
"""The gateway that Istio makes for Gateway infra/door."""

ALL = "allowedRoutes: {namespaces: {from: All}}"

WEB = f"{{name: web, port: 80, protocol: HTTP, {ALL}}}"

BASE = mesh_of(
    namespace("infra", ""),
    namespace("shop", "team: shop"),
    namespace("stock", "team: stock"),
    app("cart", "shop"),
    service(
        "cart", "shop", "{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090}"
    ),
    app("items", "stock"),
    service("items", "stock"),
)


def gateway(*listeners: str, name: str = "door", more: str = "", metadata: str = "") -> str:
    """Return a Gateway of namespace `infra`, by default with one listener for every route."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: infra{metadata}}}
spec: {{gatewayClassName: istio, listeners: [{", ".join(listeners or (WEB,))}]{more}}}
"""


def route(
    rules: str = "[{backendRefs: [{name: cart, port: 80}]}]",
    *,
    kind: str = "HTTPRoute",
    name: str = "cart",
    namespace: str = "shop",
    parents: str = "[{name: door, namespace: infra}]",
    hosts: str = "[cart.example]",
    created: str = "",
    version: str = "v1",
) -> str:
    """Return a route, by default of cart.example at Gateway `infra/door`."""
    time = f", creationTimestamp: '{created}'" if created else ""
    hostnames = f"hostnames: {hosts}, " if hosts else ""
    return f"""
apiVersion: gateway.networking.k8s.io/{version}
kind: {kind}
metadata: {{name: {name}, namespace: {namespace}{time}}}
spec: {{parentRefs: {parents}, {hostnames}rules: {rules}}}
"""


def grant(
    *,
    source: str = "HTTPRoute",
    source_namespace: str = "shop",
    namespace: str = "stock",
    target: str = "kind: Service",
    name: str = "allow",
) -> str:
    """Return a ReferenceGrant, by default for HTTPRoutes of `shop` to Services of `stock`."""
    group = "gateway.networking.k8s.io"
    return f"""
apiVersion: {group}/v1beta1
kind: ReferenceGrant
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  from: [{{group: {group}, kind: {source}, namespace: {source_namespace}}}]
  to: [{{group: "", {target}}}]
"""


def load(*texts: str, base: str = BASE) -> Mesh:
    """Return the mesh of some objects beside the base."""
    return load_mesh(parse_manifests("\n---\n".join([base, *texts]), "test.yaml"))


def gateways(mesh: Mesh) -> dict[str, Gateway]:
    """Return what the listeners of Gateways come to, by the name of the listener."""
    return {found.name.rpartition("~")[2]: found for found in mesh.gateways}


def virtual_services(mesh: Mesh) -> dict[str, VirtualService]:
    """Return what routes come to, by host; each host must be there once."""
    found: dict[str, VirtualService] = {}
    for virtual_service in mesh.virtual_services:
        (host,) = virtual_service.hosts
        assert host not in found, f"{host} is there twice"
        found[host] = virtual_service
    return found


def rules(mesh: Mesh, host: str = "cart.example") -> list[str]:
    """Return the names of the rules of a host, in the order in which they are tried."""
    return [rule.name for rule in virtual_services(mesh)[host].http]


def notes(mesh: Mesh) -> str:
    """Return all notes, one a line."""
    return "\n".join(map(str, mesh.notes))


def refusals(mesh: Mesh) -> str:
    """Return all refusals, one a line."""
    return "\n".join(str(problem) for refusal in mesh.refusals for problem in refusal.problems)
