"""Runs and meshes for the tests of reports, made without a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.html_report.drawing.of_mesh import graph_of
from meshlab.html_report.of_test import report_of_run
from meshlab.istio import load_mesh
from meshlab.manifest import parse_manifests

from tests.lab.kube import app, gateway_app, mesh_of, namespace, service

if TYPE_CHECKING:
    from meshlab.html_report.drawing.graph import Graph
    from meshlab.html_report.report import Report

HOSTILE = '</script><!--<img src=x onerror="alert(1)">&amp;\u2028\u202egnp.exe\x1b[31m\x00 {{x}} $style'
"""A text with everything that could leave its place: tags, comments, quotes, line separators, controls, templates."""

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"

MESH = mesh_of(
    namespace("edge"),
    namespace("shop"),
    namespace("bank"),
    gateway_app("door", "edge", labels="istio: ingressgateway"),
    service("door", "edge", "{name: https, port: 443, targetPort: 8443}"),
    app("cart", "shop"),
    service("cart", "shop"),
    app("orders", "shop"),
    service("orders", "shop"),
    app("ledger", "bank"),
    service("ledger", "bank"),
    """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      tls: {mode: SIMPLE, credentialName: shop-tls}
      hosts: [shop.example, "*.partners.example"]
""",
    """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [edge/public]
  http:
    - {match: [{uri: {prefix: /orders}}], route: [{destination: {host: orders}}]}
    - {route: [{destination: {host: cart}}]}
""",
    """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: payments, namespace: bank}
spec:
  hosts: [payments.example]
  ports: [{number: 443, name: tls, protocol: TLS}]
  location: MESH_EXTERNAL
  resolution: DNS
""",
    """\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  jwtRules: [{issuer: "https://customers.example", jwksUri: "https://customers.example/keys"}]
""",
    """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: customers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules: [{from: [{source: {requestPrincipals: ["https://customers.example/*"]}}]}]
""",
    """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: cart-only, namespace: bank}
spec: {action: DENY, rules: [{from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/cart]}}]}]}
""",
    """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
""",
)


def graph(text: str = MESH) -> Graph:
    """The drawing of manifests."""
    return graph_of(load_mesh(parse_manifests(text, "mesh.yaml")))


def hop(proxy: str, direction: str = "inbound", port: int = 8080, **more: object) -> dict[str, Any]:
    """One proxy on the way of a request."""
    return {"proxy": proxy, "direction": direction, "port": port, **more}


def case(name: str, state: str = "passed", **more: object) -> dict[str, Any]:
    """A case of a run, with everything that a report asks for; `sender` is its `from`."""
    sender = more.pop("sender", {"outside": "edge/door"})
    return {
        "name": name,
        "file": "tests/shop.yaml",
        "line": 7,
        "state": state,
        "from": sender,
        "request": "GET https://shop.example/cart",
        "tokens": [],
        "expected": {"status": 200, "app": "shop/cart"},
        "got": {"status": 200, "app": "shop/cart", "body": "hello"},
        "mismatches": [],
        "reasons": [],
        "hops": [hop("edge/door", "gateway", 8443, status=200), hop("shop/cart", status=200)],
        "duration_s": 0.01,
        **more,
    }


def refused(name: str, **more: object) -> dict[str, Any]:
    """A case that a sidecar refused and that expected an answer."""
    got = {"status": 403, "proxy": "bank/ledger", "policy": "bank/cart-only", "rule": 0, "reason": "denied"}
    found: dict[str, Any] = {
        "state": "failed",
        "sender": {"workload": "shop/orders"},
        "request": "GET http://ledger.bank/entries",
        "expected": {"status": 200, "app": "bank/ledger"},
        "got": got,
        "mismatches": [
            {"part": "status", "expected": "200", "got": "403 by the proxy of bank/ledger: denied"},
            {"part": "app", "expected": "the application of bank/ledger", "got": "403 by the proxy"},
        ],
        "hops": [
            hop("shop/orders", "outbound", 80, status=403),
            hop("bank/ledger", status=403, reason="denied by AuthorizationPolicy bank/cart-only, rule 0"),
        ],
    }
    return case(name, **found | more)


def run_of(*cases: dict[str, Any]) -> dict[str, Any]:
    """The JSON document of a run of these cases."""
    states = ("failed", "error", "not_judged", "seen", "passed")
    counts = {state: sum(found["state"] == state for found in cases) for state in states}
    return {
        "version": 1,
        "exit_code": 1 if counts["failed"] else 0,
        "counts": counts | {"left_out": 0},
        "duration_s": 1.25,
        "cases": list(cases),
        "refusals": [],
        "notes": [],
    }


ROWS = ("alice", "an expired token", "no token")
COLUMNS = ("read", "write")


def shop() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A run of two matrices and some cases, and its matrices."""
    cells = [[row, column, f"cart: {row} / {column}"] for row in ROWS for column in COLUMNS]
    inside = [case(name) for _, _, name in cells[:-1]]
    inside.append(refused(cells[-1][2], request="POST https://shop.example/cart"))
    others = [
        case("the cart reads the ledger", sender={"workload": "shop/cart"}),
        refused("orders reads the ledger"),
        case("over an EnvoyFilter", "not_judged", got=None, hops=[], reasons=["mesh.yaml:7: not supported"]),
    ]
    matrix = {
        "name": "cart",
        "file": "tests/shop.yaml",
        "rows": list(ROWS),
        "columns": list(COLUMNS),
        "cells": cells,
    }
    return run_of(*inside, *others) | {"coverage": coverage()}, [matrix]


def coverage(word: str = "readers") -> dict[str, Any]:
    """The coverage of a run in which no case met one of two rules."""
    place = {"object": f"AuthorizationPolicy bank/{word}", "file": "mesh.yaml", "line": 7}
    missed = {
        "kind": "rule",
        **place,
        "path": "spec.rules[1]",
        "text": f"methods: {word}",
        "reason": f"no request matched it: {word}",
    }
    count = {"exercised": 1, "total": 2}
    return {
        **count,
        "percent": 50.0,
        "kinds": {"rule": {**count, "percent": 50.0}},
        "objects": [{**place, "rule": count}],
        "missed": [missed],
    }


def shop_report() -> Report:
    """The report of that run."""
    run, matrices = shop()
    return report_of_run(run, matrices, graph(), about=("meshlab test", "mesh", "1 Jan 2027 10:00 UTC"))


def many(count: int) -> Report:
    """A report of this many cases in matrices of ten columns, each with a way through three proxies."""
    hops = [
        hop("shop/orders", "outbound", 80, status=403, listener="virtualOutbound", route="ledger.bank:80",
            cluster="outbound|80||ledger.bank.svc.cluster.local", upstream="the proxy of bank/ledger"),
        hop("bank/ledger", "inbound", 8080, status=403, listener="virtualInbound", filter_chain="0.0.0.0_8080",
            client_certificate="spiffe://cluster.local/ns/shop/sa/orders", reason="denied by bank/cart-only, rule 0",
            details="rbac_access_denied_matched_policy[ns[bank]-policy[cart-only]-rule[0]]"),
    ]  # fmt: skip
    token = {"issuer": "https://idp.example", "claims": {"sub": "alice"}, "in": "header"}
    names = [
        f"matrix {number // 100}: caller {number // 10 % 10} / request {number % 10}"
        for number in range(count)
    ]
    cases = [
        (refused if number % 7 == 0 else case)(name, hops=hops, tokens=[token])
        for number, name in enumerate(names)
    ]  # fmt: skip
    matrices = [
        {
            "name": f"matrix {number}",
            "file": "tests/shop.yaml",
            "rows": [f"caller {row}" for row in range(10)],
            "columns": [f"request {column}" for column in range(10)],
            "cells": [
                [f"caller {row}", f"request {column}", f"matrix {number}: caller {row} / request {column}"]
                for row in range(10)
                for column in range(10)
            ],
        }
        for number in range(-(-count // 100))
    ]
    return report_of_run(run_of(*cases), matrices, graph())


def large_mesh(count: int) -> Graph:
    """The drawing of a mesh with this many workloads in ten namespaces."""
    objects = [namespace(f"team-{number}") for number in range(10)]
    for number in range(count):
        objects += [
            app(f"service-{number}", f"team-{number % 10}"),
            service(f"service-{number}", f"team-{number % 10}"),
        ]
    return graph(mesh_of(*objects))
