"""A refusal covers the traffic that its object can change, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio.model.address_conditions import address_conditions
from meshlab.istio.read.mesh_config import MeshSettings

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


def test_a_policy_on_addresses_is_trusted_and_says_what_it_asks_for(small: SmallMesh) -> None:
    text = manifest(
        "AuthorizationPolicy",
        "shop",
        "{selector: {matchLabels: {app: cart}}, rules: [{to: [{operation: {paths: [/]}}]},"
        " {from: [{source: {notIpBlocks: [10.0.0.0/8], remoteIpBlocks: [10.0.0.1]}}],"
        " when: [{key: source.ip, values: [10.0.0.2]}, {key: destination.ip, notValues: [10.0.0.3]}]}]}",
        SECURITY,
    )
    mesh = small.mesh(NEIGHBOUR, text)
    found = list(address_conditions(mesh, mesh.workload(small.app_ref)))

    assert covered(mesh) == set()
    assert [(condition.kind, condition.rule) for condition in found] == [
        ("remote.ip", 1),
        ("source.ip", 1),
        ("destination.ip", 1),
    ]
    assert found[0].problem("no.") == "test.yaml:1: AuthorizationPolicy shop/x: spec.rules[1]: no."
    assert not list(address_conditions(mesh, mesh.workload(small.gateway_ref)))


@pytest.mark.parametrize("action", ["action: AUDIT", "action: DENY"])
def test_a_policy_that_decides_nothing_asks_for_no_address(small: SmallMesh, action: str) -> None:
    text = manifest(
        "AuthorizationPolicy",
        "shop",
        f"{{{action}, rules: [{{from: [{{source: {{ipBlocks: [10.0.0.0/8]}}}}]}}]}}",
        SECURITY,
    )
    dry = text.replace("metadata: {", 'metadata: {annotations: {istio.io/dry-run: "true"}, ', 1)
    mesh = small.mesh(NEIGHBOUR, dry if action == "action: DENY" else text)

    assert mesh.refusals == ()
    assert not list(address_conditions(mesh, mesh.workload(small.app_ref)))


HIDDEN = """
apiVersion: v1
kind: Service
metadata: {{name: cart, namespace: shop, annotations: {{networking.istio.io/exportTo: "{export_to}"}}}}
spec: {{selector: {{app: cart}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
"""
ROUTED = manifest(
    "VirtualService", "shop", "{hosts: [a.example], http: [{route: [{destination: {host: cart}}]}]}"
)
IMPORTED = manifest("Sidecar", "edge", "{egress: [{hosts: [shop/cart.shop.svc.cluster.local]}]}")
# In place of the route that the small mesh has.
AWAY = ROUTED.replace("name: x", "name: cart").replace("host: cart", "host: card")


@pytest.mark.parametrize(
    ("export_to", "text", "expected"),
    [
        ("~", ROUTED, {"cart outbound cart"}),
        ("~", "", set()),
        ("~", IMPORTED, set()),
        (".", ROUTED, set()),
        ("~, edge", IMPORTED, {"other outbound cart"}),
        ("edge", IMPORTED, set()),
        (
            "*,~",
            "",
            {"cart outbound cart", "door inbound cart", "door outbound cart", "other outbound cart"},
        ),
        ("*", "", set()),
    ],
)
def test_istiod_may_or_may_not_know_the_pods_of_a_hidden_service(
    small: SmallMesh, export_to: str, text: str, expected: set[str]
) -> None:
    mesh = small.mesh(NEIGHBOUR, HIDDEN.format(export_to=export_to), AWAY, text)
    assert covered(mesh) == expected


BETWEEN = """
apiVersion: v1
kind: Service
metadata: {{name: between, namespace: edge, labels: {{topology.istio.io/network: {network}{port}}}}}
spec: {{selector: {{app: between}}, ports: [{{name: tls, port: 15443}}]}}
"""
SYSTEM = """
apiVersion: v1
kind: Namespace
metadata: {{name: istio-system, labels: {{topology.istio.io/network: {}}}}}
"""
THROUGH = {"cart outbound cart", "door inbound cart", "door outbound cart", "other outbound cart"}


@pytest.mark.parametrize(
    ("pods", "here", "gateway", "installed", "expected"),
    [
        ("", "", "", "", set()),
        ("one", "", "", "", set()),  # no gateway: networks change nothing
        ("one", "two", "", "", set()),
        ("", "one", "one", "", set()),  # one network
        ("one", "one", "one", "", set()),
        ("one", "two", "two", "", set()),  # the pods' network has no gateway
        ("one", "two", "one", "", THROUGH),
        ("one", "", "one", "", THROUGH),
        ("", "one", "one", "two", THROUGH),
        ("", "one", "one", "one", set()),
        ("one", "", "one", "one", set()),
    ],
)
def test_servers_of_another_network_are_reached_through_its_gateway(
    small: SmallMesh, pods: str, here: str, gateway: str, installed: str, expected: set[str]
) -> None:
    texts = [NEIGHBOUR]
    if pods:
        labels = {"app": "cart", "topology.istio.io/network": pods}
        texts.append(small.changed(small.base("Deployment", "cart"), "spec.template.metadata.labels", labels))
    texts += [SYSTEM.format(here)] if here else []
    texts += [BETWEEN.format(network=gateway, port="")] if gateway else []
    mesh = small.mesh(*texts, settings=MeshSettings(network=installed))
    assert covered(mesh) == expected


def test_a_service_that_does_not_listen_for_other_networks_is_no_gateway_of_one(small: SmallMesh) -> None:
    labels = {"app": "cart", "topology.istio.io/network": "one"}
    cart = small.changed(small.base("Deployment", "cart"), "spec.template.metadata.labels", labels)
    elsewhere = BETWEEN.format(network="one", port=', networking.istio.io/gatewayPort: "15444"')
    assert covered(small.mesh(NEIGHBOUR, cart, elsewhere)) == set()
    assert covered(small.mesh(NEIGHBOUR, cart, elsewhere.replace("port: 15443", "port: 15444"))) == THROUGH


ENTRY = "{{hosts: [cart.shop.svc.cluster.local], location: MESH_INTERNAL{}, ports: [{}]}}"
WEB = "{number: 80, name: http, protocol: HTTP}"


@pytest.mark.parametrize(
    ("one", "two", "ordered", "tied"),
    [
        ((", resolution: DNS", WEB), (", resolution: STATIC", WEB), False, True),
        ((", resolution: DNS", WEB), (", resolution: STATIC", WEB), True, False),
        ((", resolution: DNS", WEB), (", resolution: DNS", WEB.replace("HTTP", "TCP")), False, True),
        ((", resolution: DNS", WEB), (", resolution: DNS", WEB.replace("80", "81")), False, False),
        (
            (", resolution: DNS", WEB),
            (", resolution: DNS, endpoints: [{address: a.example}]", WEB),
            False,
            False,
        ),
        ((", resolution: DNS", WEB), (", resolution: DNS, exportTo: [.]", WEB), False, True),
    ],
)
def test_of_two_service_entries_that_nothing_orders_either_may_count(
    small: SmallMesh, one: tuple[str, str], two: tuple[str, str], ordered: bool, tied: bool
) -> None:
    texts = [
        manifest("ServiceEntry", "edge", ENTRY.format(*one)),
        manifest("ServiceEntry", "edge", ENTRY.format(*two)),
    ]
    texts[1] = texts[1].replace("name: x", "name: y")
    if ordered:
        texts[1] = texts[1].replace("name: y", "name: y, creationTimestamp: '2025-01-01T00:00:00Z'")
    mesh = small.mesh(NEIGHBOUR, *texts)
    assert bool(mesh.refusals) is tied
    assert ("cart outbound cart" in covered(mesh)) is tied
    assert "cart inbound cart" not in covered(mesh)
