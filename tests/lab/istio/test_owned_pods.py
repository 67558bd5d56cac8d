"""Pods and ReplicaSets beside the Deployment that makes them, as a cluster exports them."""

from __future__ import annotations

from meshlab.istio import WorkloadRef, load_mesh
from meshlab.manifest import parse_manifests

from tests.lab.kube import app, mesh_of, namespace, service

CART = WorkloadRef("shop", "cart")
BASE = mesh_of(namespace("shop", ""), app("cart", "shop"), service("cart", "shop"))


def replica_set(owner: str = "cart") -> str:
    return f"""
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: cart-5d8f, namespace: shop, ownerReferences: [{{kind: Deployment, name: {owner}}}]}}
spec:
  template:
    metadata: {{labels: {{app: cart, pod-template-hash: 5d8f}}}}
    spec: {{containers: [{{name: app, image: app, ports: [{{containerPort: 8080}}]}}]}}
"""


def pod(name: str, address: str, owner: str = "cart-5d8f") -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata:
  name: cart-5d8f-{name}
  namespace: shop
  labels: {{app: cart, pod-template-hash: 5d8f}}
  ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: {owner}, controller: true}}]
spec: {{containers: [{{name: app, image: app, ports: [{{containerPort: 8080}}]}}]}}
status: {{podIP: {address}}}
"""


def found(*texts: str) -> tuple[list[str], dict[WorkloadRef, str]]:
    mesh = load_mesh(parse_manifests("\n---\n".join((BASE, *texts)), "test.yaml"))
    assert mesh.refusals == ()
    return [str(each.ref) for each in mesh.workloads], dict(mesh.stated_addresses)


def test_what_a_deployment_makes_is_no_workload_of_its_own() -> None:
    assert found(replica_set(), pod("a", "10.8.0.1")) == (["shop/cart"], {CART: "10.8.0.1"})
    # The ReplicaSet between the two need not be there.
    assert found(pod("a", "10.8.0.1")) == (["shop/cart"], {CART: "10.8.0.1"})


def test_of_several_pods_none_states_the_address() -> None:
    assert found(pod("a", "10.8.0.1"), pod("b", "10.8.0.2")) == (["shop/cart"], {})


def test_what_the_manifests_do_not_make_stays_a_workload() -> None:
    other = WorkloadRef("shop", "cart-5d8f-a")

    assert found(pod("a", "10.8.0.1", owner="other-5d8f")) == (
        ["shop/cart", "shop/cart-5d8f-a"],
        {other: "10.8.0.1"},
    )
    assert found(replica_set(owner="other"))[0] == ["shop/cart", "shop/cart-5d8f"]
