"""What a request meets that leaves a sidecar, on real Envoys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.istio.sidecar_walks import CLIENT, Walks, namespace, service, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

CART = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http:
    - match: [{headers: {x-version: {exact: two}}}]
      route: [{destination: {host: cart, subset: two}}]
    - route: [{destination: {host: cart, subset: one}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec:
  host: cart
  subsets: [{name: one, labels: {version: one}}, {name: two, labels: {version: two}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: strict}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: plain, namespace: shop}
spec:
  host: plain.strict.svc.cluster.local
  trafficPolicy: {tls: {mode: DISABLE}}
"""
ROUTED = service("shop/cart", "http:80:8080")


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    with Walks(
        tmp_path_factory.mktemp("keys"),
        namespace("shop"),
        namespace("strict"),
        workload("shop/client"),
        workload("shop/cart-one", {"app": "cart", "version": "one"}),
        workload("shop/cart-two", {"app": "cart", "version": "two"}),
        ROUTED,
        workload("strict/safe"),
        service("strict/safe", "http:80:8080", "tcp-raw:9000"),
        service("strict/plain", "http:80:8080", app="safe"),
        workload("shop/bare", sidecar=False),
        service("shop/bare", "http:80:8080"),
        service("shop/headless", "tcp:9100", clusterIP="None"),
        workload("shop/headless"),
        service("strict/hidden", "http:80:8080", app="safe", export_to="."),
        CART,
    ) as walks:
        yield walks


def test_the_servers_sidecar_sees_the_identity_of_the_client(inside: Walks) -> None:
    reply = inside.get("safe.strict")
    assert (reply.status, reply.app) == (200, "strict/safe")
    assert reply.peer == "spiffe://cluster.local/ns/shop/sa/client"


def test_a_client_cannot_write_the_identity_itself(inside: Walks) -> None:
    forged = "x-forwarded-client-cert: URI=spiffe://cluster.local/ns/root/sa/admin\r\n"
    reply = inside.get("safe.strict", more=forged)
    assert "admin" not in reply.body["forwarded"]


def test_a_route_leads_to_the_subset_that_it_names(inside: Walks) -> None:
    assert inside.get("cart").app == "shop/cart-one"
    assert inside.get("cart", more="x-version: two\r\n").app == "shop/cart-two"


def test_plaintext_to_a_server_that_demands_mutual_tls_fails(inside: Walks) -> None:
    assert inside.get("plain.strict").status == 503


def test_a_pod_without_a_sidecar_is_called_in_plaintext(inside: Walks) -> None:
    reply = inside.get("bare")
    assert (reply.status, reply.app, reply.peer) == (200, "shop/bare", "")


def test_a_tcp_service_is_found_by_its_address(inside: Walks) -> None:
    assert inside.say("safe.strict", 9000) == "strict/safe"


def test_a_headless_service_is_found_by_the_address_of_its_pod(inside: Walks) -> None:
    assert inside.say("headless", 9100) == "shop/headless"


def test_an_unknown_host_passes_to_where_it_was_sent(inside: Walks) -> None:
    assert inside.get("nobody.example").app == "internet"
    assert inside.get("nobody.example", 8443).app == "internet"
    assert inside.say("nobody.example", 5432) == "internet"


def test_a_service_that_is_not_exported_is_unknown_and_still_there(inside: Walks) -> None:
    # Its virtual address passes through like any other; the pod behind demands mutual TLS.
    assert inside.get("hidden.strict").status == 503


def test_a_host_header_decides_and_not_the_address(inside: Walks) -> None:
    reply = inside.get("nobody.example", header="safe.strict")
    assert (reply.status, reply.app) == (200, "strict/safe")


def test_bytes_on_a_port_for_http_go_where_they_were_sent(inside: Walks) -> None:
    assert inside.say("bare", 80) == "shop/bare"
    assert inside.say("safe.strict", 80) == ""


def test_the_client_is_one_of_the_workloads(inside: Walks) -> None:
    assert inside.mesh.workload(CLIENT).proxy == "sidecar"


INGRESS = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: server, namespace: shop}
spec:
  workloadSelector: {labels: {app: server}}
  ingress:
    - {port: {number: 8080, protocol: TCP, name: raw}, defaultEndpoint: "127.0.0.1:1234"}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: server, namespace: shop}
spec:
  selector: {matchLabels: {app: server}}
  action: DENY
  rules: [{to: [{operation: {paths: [/secret]}}]}]
"""
SELECTING = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: by-labels, namespace: shop}
spec:
  hosts: [by-labels.example]
  addresses: [192.0.2.33]
  location: MESH_INTERNAL
  resolution: STATIC
  workloadSelector: {labels: {app: chosen}}
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 9080}]
"""


@pytest.fixture(scope="module")
def inbound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    with Walks(
        tmp_path_factory.mktemp("keys"),
        namespace("shop"),
        workload("shop/client"),
        workload("shop/server"),
        service("shop/server", "http:80:8080"),
        workload("shop/chosen"),
        INGRESS,
        SELECTING,
    ) as walks:
        yield walks


def test_a_sidecar_says_how_inbound_ports_are_taken(inbound: Walks) -> None:
    # Taken as TCP, the rule on a path denies every connection.
    assert inbound.get("server").status == 503


def test_a_service_entry_that_chooses_pods_opens_their_ports(inbound: Walks) -> None:
    reply = inbound.get("by-labels.example")
    assert (reply.app, reply.peer) == ("shop/chosen", "spiffe://cluster.local/ns/shop/sa/client")
