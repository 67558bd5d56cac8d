"""A small mesh to change: a gateway, a service behind it that takes GET alone, and cases for a part of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case_file import parse_case_file
from meshlab.manifest import parse_manifests
from meshlab.mutate.changed_objects import Objects

from tests.lab.door_and_cart import DOOR_AND_CART

if TYPE_CHECKING:
    from meshlab.bench.case import CaseFile
    from meshlab.mutate.mutants import Mutant
    from meshlab.mutate.run import MutationRun

POLICIES = """---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: edge}
spec:
  selector: {app: door}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [shop/shop.example]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [edge/door]
  http: [{route: [{destination: {host: cart.shop.svc.cluster.local, port: {number: 80}}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: cart, namespace: shop}
spec:
  rules:
  - from: [{source: {principals: [cluster.local/ns/edge/sa/door]}}]
    to:
    - operation:
        methods: [GET]
        paths: [/open]
        notPaths: [/secret]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""

CASES = """
defaults: {from: {outside: edge/door}}
cases:
  - {name: open, request: "GET http://shop.example/open", expect: 200 shop/cart}
  - {name: closed, request: "GET http://shop.example/closed", expect: 403 shop/cart}
  - name: plaintext
    from: {bypass: none, to: shop/cart, port: 8080}
    request: GET http://cart.shop/open
    expect: refused shop/cart
"""


def shop(more: str = "") -> Objects:
    """Return the mesh with further objects."""
    return Objects(tuple(parse_manifests(f"{DOOR_AND_CART}{POLICIES}{more}", "shop.yaml")))


def cases(text: str = CASES) -> list[CaseFile]:
    """Return cases as a file."""
    return [parse_case_file(text, "cases.yaml")]


def mutant(run: MutationRun, kind: str, path: str, change: str) -> Mutant:
    """Return one mutant of a run's objects."""
    (found,) = (
        one for one in run.objects.mutants() if (one.kind, one.path, one.change) == (kind, path, change)
    )
    return found
