"""A gateway with AUTO_PASSTHROUGH: clients name a cluster, and their own mutual TLS reaches the sidecar behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.istio.walks import REFUSED, ask, walking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.istio.conftest import SmallMesh
    from tests.lab.istio.walks import Walk

SERVERS = [
    {
        "port": {"number": 8450, "name": "tls", "protocol": "TLS"},
        "hosts": ["*.local"],
        "tls": {"mode": "AUTO_PASSTHROUGH"},
    }
]
DENY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nothing, namespace: edge}
spec: {action: DENY, rules: [{}]}
"""
OUTSIDE = """
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: shop}
spec: {selector: {app: plain}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain, namespace: shop}
spec:
  template:
    metadata: {labels: {app: plain, sidecar.istio.io/inject: "false"}}
    spec: {containers: [{name: plain, ports: [{containerPort: 8080}]}]}
"""
CART, PLAIN = "outbound_.80_._.cart.shop.svc.cluster.local", "outbound_.80_._.plain.shop.svc.cluster.local"
MESH = ("istio-http/1.1", "istio")


@pytest.fixture(scope="module")
def walk(small: SmallMesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    gateway = small.changed(small.base("Gateway", "door"), "spec.servers", SERVERS)
    mesh = small.mesh(gateway, DENY, OUTSIDE)
    with walking(mesh, (small.gateway_ref, small.app_ref), tmp_path_factory.mktemp("pki")) as found:
        yield found


def test_the_cluster_that_a_client_names_is_reached_with_its_own_certificate(
    small: SmallMesh, walk: Walk
) -> None:
    identity = walk.pki.identity("mesh", uris=["spiffe://cluster.local/ns/a/sa/b"])
    client = walk.pki.client(identity, alpn=MESH, trust="mesh")

    reply = ask(walk.at(small.gateway_ref, 8450), tls=client, sni=CART)

    # No policy of the gateway decides here.
    assert reply.status == 200
    assert "sa/b" in reply.seen["headers"]["x-forwarded-client-cert"]


@pytest.mark.parametrize(
    ("sni", "alpn", "signer"),
    [
        (CART, (), "mesh"),  # not a proxy of the mesh
        (CART, ("h2",), "mesh"),
        (CART, MESH, "strangers"),  # the sidecar refuses it
        ("cart.shop.svc.cluster.local", MESH, "mesh"),
        ("outbound_.81_._.cart.shop.svc.cluster.local", MESH, "mesh"),
        (PLAIN, MESH, "mesh"),  # no server there takes mutual TLS
    ],
)
def test_nothing_else_is_reached(
    small: SmallMesh, walk: Walk, sni: str, alpn: tuple[str, ...], signer: str
) -> None:
    identity = walk.pki.identity(signer, uris=["spiffe://cluster.local/ns/a/sa/b"])
    client = walk.pki.client(identity, alpn=alpn, trust="mesh")

    assert ask(walk.at(small.gateway_ref, 8450), tls=client, sni=sni) == REFUSED


def test_plaintext_is_refused(small: SmallMesh, walk: Walk) -> None:
    assert ask(walk.at(small.gateway_ref, 8450)) == REFUSED


def test_a_host_that_no_server_name_can_stand_for_closes_the_port(small: SmallMesh) -> None:
    gateway = small.changed(small.base("Gateway", "door"), "spec.servers", SERVERS)
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wide, namespace: shop}
spec:
  hosts: ["*.shop.local"]
  location: MESH_INTERNAL
  resolution: NONE
  ports: [{number: 80, name: http, protocol: HTTP}]
"""
    mesh = small.mesh(gateway, entry)

    resources = small.compiled(small.gateway_ref, mesh).bootstrap["staticResources"]
    assert resources["listeners"] == []
    assert any("Envoy refuses the whole port 8450" in str(note) for note in mesh.notes)
    assert small.compiled(small.gateway_ref, small.mesh(gateway)).listener(8450)
