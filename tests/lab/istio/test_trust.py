"""A refusal covers the traffic that its object can change, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshlab.istio import Mesh
    from meshlab.istio.model.trust import Direction

    from tests.lab.istio.conftest import SmallMesh

CART, OTHER = "cart.shop.svc.cluster.local", "other.shop.svc.cluster.local"
NEIGHBOUR = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: other, namespace: edge}
spec: {template: {metadata: {labels: {app: other}}, spec: {containers: [{name: other}]}}}
"""


def covered(mesh: Mesh) -> set[str]:
    """The traffic that cannot be judged, of two sidecars, a gateway and two hosts."""
    directions: tuple[Direction, ...] = ("inbound", "outbound")
    return {
        f"{workload.ref.name} {direction} {host.partition('.')[0]}"
        for workload in mesh.workloads
        for direction in directions
        for host in (CART, OTHER)
        if mesh.untrusted(workload, direction, host)
    }


def everything_of(*names: str) -> set[str]:
    return {
        f"{name} {way} {host}"
        for name in names
        for way in ("inbound", "outbound")
        for host in ("cart", "other")
    }


def manifest(kind: str, namespace: str, spec: str, group: str = "networking.istio.io/v1") -> str:
    return (
        f"{{apiVersion: {group}, kind: {kind}, metadata: {{name: x, namespace: {namespace}}}, spec: {spec}}}"
    )


SECURITY = "security.istio.io/v1"
UNKNOWN = "surprise: 1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (manifest("EnvoyFilter", "shop", "{}"), everything_of("cart")),
        (manifest("EnvoyFilter", "istio-system", "{}"), everything_of("cart", "door", "other")),
        (manifest("EnvoyFilter", "shop", "{workloadSelector: {labels: {app: nothing}}}"), set()),
        (
            manifest(
                "AuthorizationPolicy",
                "edge",
                f"{{{UNKNOWN}, selector: {{matchLabels: {{app: door}}}}}}",
                SECURITY,
            ),
            everything_of("door"),
        ),
        (
            manifest("DestinationRule", "shop", f"{{{UNKNOWN}, host: cart}}"),
            {"cart outbound cart", "other outbound cart", "door outbound cart", "door inbound cart"},
        ),
        (
            manifest("DestinationRule", "shop", f"{{{UNKNOWN}, host: cart, exportTo: ['.']}}"),
            {"cart outbound cart"},
        ),
        (
            manifest(
                "ServiceEntry",
                "edge",
                f"{{{UNKNOWN}, hosts: [other.shop.svc.cluster.local], ports: [{{protocol: HTTP}}]}}",
            ),
            {"cart outbound other", "other outbound other", "door outbound other", "door inbound other"},
        ),
        (manifest("Gateway", "edge", f"{{{UNKNOWN}, selector: {{app: door}}}}"), everything_of("door")),
    ],
)
def test_what_an_object_cannot_touch_is_still_judged(small: SmallMesh, text: str, expected: set[str]) -> None:
    mesh = small.mesh(NEIGHBOUR, text)

    assert len(mesh.refusals) == 1
    assert covered(mesh) == expected


def test_a_policy_on_addresses_inside_the_mesh_cannot_be_judged(small: SmallMesh) -> None:
    text = manifest(
        "AuthorizationPolicy",
        "shop",
        "{selector: {matchLabels: {app: cart}}, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}",
        SECURITY,
    )
    mesh = small.mesh(NEIGHBOUR, text)
    (problem,) = mesh.untrusted(mesh.workload(small.app_ref), "inbound", CART)

    assert mesh.refusals == ()
    assert covered(mesh) == {"cart inbound cart", "cart inbound other"}
    assert str(problem).startswith(
        "test.yaml:1: AuthorizationPolicy shop/x: spec.rules[0]: depends on IP addresses"
    )


def test_at_a_gateway_the_case_gives_the_address_so_it_can(small: SmallMesh) -> None:
    text = manifest(
        "AuthorizationPolicy",
        "edge",
        "{selector: {matchLabels: {app: door}}, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}",
        SECURITY,
    )
    assert covered(small.mesh(NEIGHBOUR, text)) == set()
