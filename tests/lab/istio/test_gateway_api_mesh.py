"""Routes of the Gateway API for services of the mesh (GAMMA), on real sidecars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio import WorkloadRef

from tests.lab.istio.gateway_api import gateway, load, notes, route
from tests.lab.istio.sidecar_walks import Walks, namespace, service, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = WorkloadRef("other", "client")


def parent(name: str, more: str = "") -> str:
    return f"[{{kind: Service, group: '', name: {name}{more}}}]"


def mesh_route(
    rules: str, service_: str, *, more: str = "", name: str, namespace: str = "shop", kind: str = "HTTPRoute"
) -> str:
    return route(rules, kind=kind, name=name, namespace=namespace, hosts="", parents=parent(service_, more))


SPLIT = mesh_route(
    "[{matches: [{path: {value: /new}}], backendRefs: [{name: cart-two, port: 80}]},"
    " {backendRefs: [{name: cart-one, port: 80}]}]",
    "cart",
    name="split",
)
CONSUMER = mesh_route(
    "[{backendRefs: [{name: cart-two, port: 80}]}]", "items", more=", namespace: stock", name="consumer"
)
PRODUCER = mesh_route(
    "[{filters: [{type: RequestRedirect, requestRedirect: {hostname: moved.example}}]}]",
    "items",
    name="producer",
    namespace="stock",
)
FOREIGN = mesh_route(
    "[{backendRefs: [{name: gone, port: 80}]}]", "free", more=", namespace: stock", name="foreign"
)
BROKEN = mesh_route("[{backendRefs: [{name: gone, port: 80}]}]", "broken", name="broken")
ONE_PORT = mesh_route(
    "[{backendRefs: [{name: cart-two, port: 80}]}]", "two-ports", more=", port: 81", name="one-port"
)
CONNECTIONS = mesh_route("[{backendRefs: [{name: raw-two, port: 9000}]}]", "raw", name="raw", kind="TCPRoute")


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    with Walks(
        tmp_path_factory.mktemp("keys"),
        namespace("shop"),
        namespace("stock"),
        namespace("other"),
        workload("shop/client"),
        workload("other/client"),
        workload("shop/one", sidecar=False),
        workload("shop/two", sidecar=False),
        workload("stock/items", sidecar=False),
        service("shop/cart", "http:80:8080", app="one"),
        service("shop/cart-one", "http:80:8080", app="one"),
        service("shop/cart-two", "http:80:8080", app="two"),
        service("shop/broken", "http:80:8080", app="one"),
        service("shop/two-ports", "http:80:8080", "http-more:81:8080", app="one"),
        service("shop/raw", "tcp:9000", app="one"),
        service("shop/raw-two", "tcp:9000", app="two"),
        service("stock/items", "http:80:8080"),
        service("stock/free", "http:80:8080", app="items"),
        SPLIT,
        CONSUMER,
        PRODUCER,
        FOREIGN,
        BROKEN,
        ONE_PORT,
        CONNECTIONS,
    ) as walks:
        yield walks


def test_a_route_replaces_the_route_to_the_service(inside: Walks) -> None:
    assert inside.get("cart").app == "shop/one"


def test_a_producers_route_counts_for_every_client(inside: Walks) -> None:
    reply = inside.get("items.stock", client=OTHER)

    assert reply.status == 302


def test_a_consumers_route_goes_before_the_producers_in_its_own_namespace(inside: Walks) -> None:
    assert inside.get("items.stock").app == "shop/two"


def test_a_consumers_route_counts_in_its_own_namespace_alone(inside: Walks) -> None:
    assert inside.get("free.stock").status == 500
    assert inside.get("free.stock", client=OTHER).app == "stock/items"


def test_a_backend_that_is_not_there_is_answered_500(inside: Walks) -> None:
    assert inside.get("broken").status == 500


def test_a_route_can_be_for_one_port(inside: Walks) -> None:
    assert inside.get("two-ports", 80).app == "shop/one"
    assert inside.get("two-ports", 81).app == "shop/two"


def test_connections_follow_a_tcp_route(inside: Walks) -> None:
    assert inside.say("raw", 9000) == "shop/two"


def test_a_backend_of_another_namespace_needs_no_grant_in_the_mesh() -> None:
    text = mesh_route("[{backendRefs: [{name: items, namespace: stock, port: 80}]}]", "cart", name="cart")
    mesh = load(text)
    (found,) = mesh.virtual_services

    assert found.gateways == ("mesh",)
    assert found.hosts == ("cart.shop.svc.cluster.local",)
    assert found.http[0].destinations[0].destination.host == "items.stock.svc.cluster.local"
    assert notes(mesh) == ""


def test_a_route_for_a_service_entry_has_all_of_its_hosts() -> None:
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec: {hosts: [a.test, b.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
"""
    text = route(hosts="", parents="[{kind: ServiceEntry, group: networking.istio.io, name: api}]")

    assert [found.hosts for found in load(text, entry).virtual_services] == [("a.test",), ("b.test",)]


def test_a_tls_route_of_the_mesh_has_the_names_of_its_service() -> None:
    text = route(
        "[{backendRefs: [{name: items, namespace: stock, port: 80}]}]",
        kind="TLSRoute",
        version="v1alpha2",
        hosts="",
        parents=parent("cart", ", port: 90"),
    )
    (found,) = load(text).virtual_services
    (match,) = found.tls[0].matches

    assert (match.sni_hosts, match.port) == (("cart.shop.svc.cluster.local",), 90)


def test_one_route_can_be_for_a_gateway_and_for_the_mesh() -> None:
    parents = "[{name: door, namespace: infra}, {kind: Service, group: '', name: cart}]"
    backend = "[{backendRefs: [{name: items, namespace: stock, port: 80}]}]"
    found = {
        each.gateways[0]: each for each in load(gateway(), route(backend, parents=parents)).virtual_services
    }

    assert found["mesh"].hosts == ("cart.shop.svc.cluster.local",)
    assert found["infra/door~istio-autogenerated-k8s-gateway~web"].hosts == ("cart.example",)
    # Only the gateway asks for a grant.
    hosts = [each.http[0].destinations[0].destination.host for each in (found["mesh"], *found.values())]
    assert sorted(set(hosts)) == ["", "items.stock.svc.cluster.local"]
