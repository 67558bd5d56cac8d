"""Ports that cases connect to and no pod lists: the proxy passes them on where its policies let them in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.bench.asked_ports import with_asked_ports
from meshlab.bench.case import Case, CasePlace, FromBypass, FromForeignMesh, FromOutside, HttpRequest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.istio import WorkloadRef
from meshlab.istio.model.load import load_mesh
from meshlab.manifest import parse_manifests

from tests.lab.door_and_cart import DOOR_AND_CART

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.bench.case import Sender
    from meshlab.istio import Mesh

CART, DOOR = WorkloadRef("shop", "cart"), WorkloadRef("edge", "door")


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return load_mesh(parse_manifests(DOOR_AND_CART, "mesh.yaml"))


def asked(sender: Sender) -> Case:
    return Case("c", sender, HttpRequest("http://cart.shop/"), None, CasePlace("f", 1))


def test_a_port_that_a_case_connects_to_is_one_that_no_service_declares(mesh: Mesh) -> None:
    cases = [
        asked(FromBypass(None, CART, 9999, "plaintext")),
        asked(FromForeignMesh("spiffe://a/b", "m", CART, 9998)),
    ]
    before = mesh.workload(CART).ports
    added = with_asked_ports(mesh, cases).workload(CART).ports[len(before) :]
    assert [(port.number, port.protocol, port.declared) for port in added] == [
        (9999, "auto", False),
        (9998, "auto", False),
    ]


@pytest.mark.parametrize(
    "sender",
    [
        FromBypass(None, CART, 8080, "tls"),
        FromBypass(None, CART, None, "tls"),
        FromBypass(None, DOOR, 9999, "tls"),
        FromOutside(DOOR),
    ],
)
def test_what_is_listed_a_gateway_and_other_clients_add_none(mesh: Mesh, sender: Sender) -> None:
    assert with_asked_ports(mesh, [asked(sender)]) is mesh


STRICT_AND_DENY = """---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ports, namespace: shop}
spec: {action: DENY, rules: [{to: [{operation: {ports: ["9998"]}}]}]}
"""
CASES = """
cases:
  - name: let in
    from: {mesh: spiffe://cluster.local/ns/a/sa/b, authority: mesh, to: shop/cart, port: 9999}
    request: GET http://cart.shop:9999/
    expect: 200 shop/cart
  - name: denied by its port
    from: {mesh: spiffe://cluster.local/ns/a/sa/b, authority: mesh, to: shop/cart, port: 9998}
    request: GET http://cart.shop:9998/
    expect: {status: 403, proxy: shop/cart, policy: shop/ports, rule: 0}
  - name: not plaintext
    from: {bypass: none, to: shop/cart, port: 9999}
    request: {tcp: "cart.shop:9999"}
    expect: refused shop/cart
"""


def test_peer_authentication_and_policies_decide_on_such_a_port(tmp_path: Path) -> None:
    manifests = tmp_path / "mesh.yaml"
    manifests.write_text(DOOR_AND_CART + STRICT_AND_DENY)
    bench = LocalBench()
    try:
        run = run_cases(bench.load(Sources((str(manifests),))), [parse_case_file(CASES, "c.yaml")], Choice())
    finally:
        bench.close()
    assert {outcome.case.name: outcome.state for outcome in run.outcomes} == dict.fromkeys(
        ("let in", "denied by its port", "not plaintext"), "passed"
    )
