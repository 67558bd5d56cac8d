"""A mesh with one of each thing that an explanation names, and the explanations of cases on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from meshlab.bench.case_file import parse_case_file
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.explain.run import explain_cases

from tests.lab.door_and_cart import DOOR_AND_CART
from tests.lab.kube import app, mesh_of, namespace, service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshlab.explain.explanation import Explanation, PolicyExplanation, RuleExplanation, Step

__all__ = ["MESH", "SETUP", "Town", "policy", "rule", "step", "town"]

SETUP = """
apps:
  partner.example: {certificate: {authority: internet, dns: [partner.example]}}
callers:
  internet: {outside: edge/door}
tokens:
  alice: {issuer: "https://customers.example", claims: {sub: alice}}
  acme: {issuer: "https://partners.example", claims: {sub: acme}}
defaults: {from: internet}
"""
"""What cases of this mesh begin with: its callers and tokens."""

MESH = mesh_of(
    DOOR_AND_CART,
    namespace("bank"),
    app("web", "shop", account="web"),
    app("cart-v2", "shop", "{name: web, containerPort: 8080}", account="cart", labels="version: v2"),
    service("web", "shop"),
    app("ledger", "bank"),
    service("ledger", "bank"),
    app("db", "bank", "{containerPort: 6379}"),
    service("db", "bank", "{name: tcp, port: 6379}"),
    """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      tls: {mode: SIMPLE, credentialName: shop-tls}
      hosts: [shop.example, empty.example]
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: [plain.example]}
    - port: {number: 443, name: https-mutual, protocol: HTTPS}
      tls: {mode: MUTUAL, credentialName: partner-tls, subjectAltNames: [partner.example]}
      hosts: [mutual.example]
""",
    """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [shop.example, plain.example]
  gateways: [edge/public]
  http:
    - match: [{uri: {exact: /gone}}]
      directResponse: {status: 410}
    - name: carts
      match:
        - {uri: {exact: /health}, method: {exact: HEAD}}
        - {uri: {prefix: /cart}}
      route: [{destination: {host: cart}}]
    - match: [{uri: {prefix: /nowhere}}]
      route: [{destination: {host: cart, subset: v3}}]
""",
    """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inside, namespace: shop}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web, subset: first}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web
  subsets: [{name: first, labels: {app: web}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec:
  hosts: [partner.example]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: partner, namespace: shop}
spec:
  host: partner.example
  trafficPolicy: {tls: {mode: SIMPLE, sni: partner.example, subjectAltNames: [other.example]}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: known-hosts-only, namespace: shop}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: ["*/*"]}]}
""",
    """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  jwtRules:
    - {issuer: "https://customers.example", jwksUri: "https://customers.example/keys", audiences: [shop]}
    - {issuer: "https://partners.example", jwksUri: "https://partners.example/keys"}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: customers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules:
    - from: [{source: {requestPrincipals: ["https://customers.example/*"]}}]
      to: [{operation: {methods: [GET], paths: [/cart*]}}]
      when: [{key: "request.headers[x-tier]", values: [gold, silver]}]
    - from: [{source: {principals: [cluster.local/ns/shop/sa/admin]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-deletes, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  action: DENY
  rules: [{to: [{operation: {methods: [DELETE, PURGE]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web-only, namespace: bank}
spec:
  selector: {matchLabels: {app: ledger}}
  action: DENY
  rules: [{from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/web]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: db, namespace: bank}
spec:
  selector: {matchLabels: {app: db}}
  rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}], to: [{operation: {ports: ["6379"]}}]}]
""",
)


class Town:
    """The mesh on a bench of its own."""

    def __init__(self, bench: LocalBench, file: Path) -> None:
        self.file = str(file)
        self.lines = file.read_text().splitlines()
        self._bench = bench
        self._loaded = bench.load(Sources((self.file,)))

    def explain(self, cases: str, *, changes: bool = False, widening: bool = False) -> dict[str, Explanation]:
        """Return the explanation of each case of a file."""
        files = [parse_case_file(cases, "cases.yaml")]
        found = explain_cases(
            self._bench, self._loaded, files, files[0].cases, with_changes=changes, with_widening=widening
        )
        return {each.name: each for each in found}

    def written(self, line: int) -> str:
        """Return a line of the manifests, without its indentation."""
        return self.lines[line - 1].strip()


@contextmanager
def town(directory: Path, manifests: str = MESH) -> Iterator[Town]:
    """Write the mesh to a directory and open a bench for it."""
    file = directory / "town.yaml"
    file.write_text(manifests)
    bench = LocalBench(condition_probes=True)
    try:
        yield Town(bench, file)
    finally:
        bench.close()


def step(explanation: Explanation, name: str, hop: int = -1) -> Step:
    """Return a step of a hop, the last one by default."""
    found = explanation.hops[hop].step(name)
    assert found is not None, [each.name for each in explanation.hops[hop].steps]
    return found


def policy(explanation: Explanation, name: str, hop: int = -1) -> PolicyExplanation:
    """Return what a hop says of a policy."""
    (found,) = [each for each in step(explanation, "policies", hop).policies if each.name == name]
    return found


def rule(explanation: Explanation, name: str, index: int = 0, hop: int = -1) -> RuleExplanation:
    """Return what a hop says of a rule."""
    return policy(explanation, name, hop).rules[index]
