"""Which IP addresses of pods are known, where pods with such an address are reached, and what stands for it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from meshlab.istio import Placement, WorkloadRef, load_mesh
from meshlab.manifest import parse_manifests

if TYPE_CHECKING:
    from meshlab.istio import Address, Mesh

PODS = """
apiVersion: v1
kind: Pod
metadata: {{name: cart, namespace: shop, labels: {{app: cart}}}}
spec: {{containers: [{{name: cart, ports: [{{containerPort: 8080}}]}}]}}
status: {cart}
---
apiVersion: v1
kind: Pod
metadata: {{name: caller, namespace: shop, labels: {{app: caller}}}}
spec: {{containers: [{{name: caller}}]}}
status: {caller}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: caller, namespace: shop}}
spec: {{address: 10.8.0.9}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: elsewhere, namespace: shop}}
spec: {{address: 10.8.0.10}}
"""
CART, CALLER = WorkloadRef("shop", "cart"), WorkloadRef("shop", "caller")


def mesh(cart: str = "{}", caller: str = "{}") -> Mesh:
    text = PODS.format(cart=cart, caller=caller)
    return load_mesh(parse_manifests(text, "mesh.yaml"), inject_unknown_namespaces=True)


def plan(found: Mesh, known: dict[object, Address] | None = None, clients: tuple[str, ...] = ()) -> Placement:
    ports = itertools.count(21000)
    return Placement.plan(found, lambda: next(ports), known=known, clients=clients)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("{podIP: 10.8.0.1}", "10.8.0.1"),
        ('{podIP: "FD00::1"}', "fd00::1"),
        ("{phase: Pending}", None),
        ("{podIP: none}", None),
        ("null", None),
    ],
)
def test_a_pods_status_states_its_address(status: str, expected: str | None) -> None:
    assert mesh(cart=status).stated_addresses.get(CART) == expected


def test_a_workload_entry_states_the_address_of_the_workload_of_its_name_and_a_pods_status_wins() -> None:
    assert mesh().stated_addresses == {CALLER: "10.8.0.9"}
    assert mesh(caller="{podIP: 10.8.0.3}").stated_addresses == {CALLER: "10.8.0.3"}


def test_a_pod_is_reached_at_its_stated_address() -> None:
    found = mesh(cart="{podIP: 10.8.0.1}")
    placement = plan(found)
    assert found.registry.pod_ips[CART] == "10.8.0.1"
    assert placement.without_proxy("10.8.0.1", 8080) == placement.proxies[CART, 8080]
    assert placement.without_proxy("10.8.0.1", 9999) is None
    assert placement.without_proxy("10.8.0.2", 8080) == placement.internet


@pytest.mark.parametrize(
    ("cart", "caller"),
    [("{podIP: 10.8.0.1}", "{podIP: 10.8.0.1}"), ('{podIP: "fd00::1"}', "{}"), ("{podIP: 10.8.0.10}", "{}")],
    ids=["two pods of one node", "IPv6", "a WorkloadEntry has it"],
)
def test_a_pod_is_reached_at_an_invented_address_where_the_stated_one_names_no_single_pod(
    cart: str, caller: str
) -> None:
    found = mesh(cart, caller)
    assert CART in found.stated_addresses
    assert found.registry.pod_ips[CART].startswith("10.244.")


def test_each_stated_address_has_a_loopback_address_of_its_own_that_stays() -> None:
    known: dict[object, Address] = {}
    first = plan(mesh(cart="{podIP: 10.8.0.1}"), known, ("192.0.2.1", "10.8.0.1"))
    assert first.sources == {"10.8.0.1": "127.100.0.1", "10.8.0.9": "127.100.0.2", "192.0.2.1": "127.100.0.3"}
    assert first.source_of(CART) == "127.100.0.1"

    later = plan(replace(mesh(), stated_addresses={CART: "10.8.0.7"}), known, ("192.0.2.1",))
    assert later.sources == {"10.8.0.7": "127.100.0.4", "192.0.2.1": "127.100.0.3"}
    assert later.source_of(CALLER) is None
