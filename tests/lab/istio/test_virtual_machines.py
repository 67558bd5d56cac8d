"""WorkloadEntries with a service account: their identity, and policies that only their own sidecar would enforce."""

from __future__ import annotations

import pytest
from meshlab.inputs import Inputs
from meshlab.istio import load_mesh
from meshlab.istio.model.virtual_machines import machine_identities
from meshlab.lint.run import lint
from meshlab.manifest import parse_manifests

from tests.lab.kube import app, mesh_of, namespace, service

MACHINE = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: shop}
spec: {address: 10.0.0.9, labels: {app: vm}, serviceAccount: vm}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: vms, namespace: shop}
spec:
  hosts: [vms.shop.internal]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: vm}}
"""
POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: NAMESPACE}
spec: {selector: {matchLabels: {app: vm}}, rules: [{to: [{operation: {methods: [GET]}}]}]}
"""


def text(*more: str) -> str:
    return "\n---\n".join(
        (mesh_of(namespace("shop", ""), app("cart", "shop"), service("cart", "shop")), MACHINE, *more)
    )


def test_the_identity_of_a_machine_is_that_of_its_account() -> None:
    mesh = load_mesh(parse_manifests(text(), "test.yaml"))

    assert mesh.refusals == ()
    assert machine_identities(mesh) == {"10.0.0.9": "spiffe://cluster.local/ns/shop/sa/vm"}


def test_a_machine_without_an_account_has_no_identity_and_no_sidecar() -> None:
    manifests = parse_manifests(
        text(POLICY.replace("NAMESPACE", "shop")).replace(", serviceAccount: vm", ""), "test.yaml"
    )

    assert machine_identities(load_mesh(manifests)) == {}
    assert load_mesh(manifests).refusals == ()


@pytest.mark.parametrize(("place", "judged"), [("shop", False), ("istio-system", False), ("bank", True)])
def test_requests_to_a_machine_are_not_judged_where_its_own_sidecar_decides(place: str, judged: bool) -> None:
    manifests = tuple(parse_manifests(text(POLICY.replace("NAMESPACE", place)), "test.yaml"))
    mesh = load_mesh(manifests)
    client = next(each for each in mesh.workloads if each.ref.name == "cart")

    reasons = [str(each) for each in mesh.untrusted(client, "outbound", "vms.shop.internal")]
    assert bool(reasons) is not judged
    assert mesh.untrusted(client, "outbound", "cart.shop.svc.cluster.local") == []
    # The manifests are right, so lint finds nothing, but for a policy that selects nothing.
    found = {each.rule.code for each in lint(Inputs(manifests, (), (), ()), mesh, lambda _: None).counted}
    assert found & {"ML000", "ML302"} == ({"ML302"} if judged else set())
