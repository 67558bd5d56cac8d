"""Small meshes for batteries: a gateway, a service, and the objects of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.istio import load_mesh
from meshlab.manifest import parse_manifests

from tests import yaml_text
from tests.lab.door_and_cart import DOOR_AND_CART

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio import Mesh

__all__ = ["ISSUER", "ROUTE", "mesh", "policy", "tokens", "written"]

ISSUER = "https://idp.example"

ROUTE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [edge/door]
  http: [{route: [{destination: {host: cart.shop.svc.cluster.local}}]}]
"""


def written(*objects: str | Mapping[str, Any]) -> str:
    """Return the gateway and the service with further objects, as one text."""
    texts = [each if isinstance(each, str) else yaml_text.write(dict(each)) for each in objects]
    return "\n---\n".join((DOOR_AND_CART, *texts))


def mesh(*objects: str | Mapping[str, Any]) -> Mesh:
    """Return the gateway and the service with further objects, as a mesh."""
    return load_mesh(parse_manifests(written(*objects), "mesh.yaml"), inject_unknown_namespaces=True)


def policy(
    *rules: Mapping[str, Any], action: str = "ALLOW", namespace: str = "shop", name: str = "callers"
) -> dict[str, Any]:
    """Return an AuthorizationPolicy for a namespace."""
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"action": action, "rules": list(rules)},
    }


def tokens(namespace: str, *, audiences: tuple[str, ...] = (), forward: bool = True) -> dict[str, Any]:
    """Return a RequestAuthentication with one issuer for a namespace."""
    rule: dict[str, Any] = {"issuer": ISSUER, "forwardOriginalToken": forward}
    if audiences:
        rule["audiences"] = list(audiences)
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": "tokens", "namespace": namespace},
        "spec": {"jwtRules": [rule]},
    }
