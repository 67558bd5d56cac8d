"""VirtualServices at a sidecar: one outbound HTTP port, the names of services, and hosts that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio.envoy.routes import (
    RoutedPort,
    RoutedService,
    allow_any,
    block_all,
    detected_port_hosts,
    route_configuration,
)
from meshlab.istio.envoy.routes.domains import short_names

from tests.lab.istio.virtual_services import TO_CART, at_sidecar, routed_service, virtual_service

if TYPE_CHECKING:
    from meshlab.istio.read.virtual_service import VirtualService

CART = "cart.shop.svc.cluster.local"
OTHER = "cart.other.svc.cluster.local"


def named(name: str, hosts: str) -> VirtualService:
    """A VirtualService whose only rule has its name."""
    return virtual_service(f"[{{name: {name}, {TO_CART}}}]", name=name, hosts=hosts)


def names(hosts: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {host: found["routes"][0]["name"] for host, found in hosts.items()}


def test_a_service_without_rules_has_a_route_to_itself() -> None:
    (host,) = at_sidecar(services=[routed_service("cart")]).values()
    (route,) = host["routes"]

    assert host["name"] == f"{CART}:80"
    assert route["match"] == {"prefix": "/"}
    assert route["route"]["cluster"] == f"outbound|80||{CART}"
    assert (route["route"]["timeout"], route["route"]["retryPolicy"]["numRetries"]) == ("0s", 2)


@pytest.mark.parametrize(
    ("service", "domains"),
    [
        (
            routed_service("cart", addresses=("10.1.0.1", "fd00::1")),
            [CART, f"{CART}.", "cart", "cart.shop.svc", "cart.shop", "10.1.0.1", "[fd00::1]"],
        ),
        (
            routed_service("cart", namespace="other"),
            [OTHER, f"{OTHER}.", "cart.other", "cart.other.svc"],
        ),
        (routed_service("api.example"), ["api.example", "api.example."]),
        (routed_service("*.example"), ["*.example", "*.example."]),
        (
            routed_service("api.example", addresses=("240.240.0.1",)),
            ["api.example", "api.example.", "240.240.0.1"],
        ),
        (
            routed_service("cart", aliases=("pay.shop.svc.cluster.local",)),
            [
                CART,
                f"{CART}.",
                "cart",
                "cart.shop.svc",
                "cart.shop",
                "pay.shop.svc.cluster.local",
                "pay.shop.svc.cluster.local.",
                "pay",
                "pay.shop.svc",
                "pay.shop",
            ],
        ),
    ],
)
def test_a_service_is_called_by_its_names_and_addresses(service: RoutedService, domains: list[str]) -> None:
    (host,) = at_sidecar(services=[service]).values()

    assert host["domains"] == domains


def test_a_pod_of_a_headless_service_is_called_by_its_own_name() -> None:
    (host,) = at_sidecar(services=[routed_service("cart", is_headless=True)]).values()

    assert host["domains"][5:] == [f"*.{CART}", f"*.{CART}.", "*.cart", "*.cart.shop.svc", "*.cart.shop"]


@pytest.mark.parametrize(
    "hostname", ["10.0.0.1", "fd00::1", "cart.svc.cluster.local", "cart.shop.svc.other.local"]
)
def test_a_name_outside_the_cluster_is_not_shortened(hostname: str) -> None:
    assert [name for name in short_names(hostname, "shop.svc.cluster.local") if not name.endswith(".")] == []


def test_a_port_in_the_host_header_does_not_count() -> None:
    found = route_configuration("80", [])

    assert found["ignorePortInHostMatching"] is True
    assert found["validateClusters"] is False


def test_the_rules_of_a_service_take_the_place_of_its_own_route() -> None:
    hosts = at_sidecar(named("rules", "[cart]"), services=[routed_service("cart"), routed_service("pay")])

    assert names(hosts) == {CART: "rules", "pay.shop.svc.cluster.local": "default"}


def test_the_first_virtual_service_of_a_host_wins_and_none_is_joined() -> None:
    hosts = at_sidecar(named("b", "[cart]"), named("a", "[cart]"), services=[routed_service("cart")])

    assert names(hosts) == {CART: "a"}
    assert len(hosts[CART]["routes"]) == 1


def test_what_the_own_namespace_keeps_to_itself_wins_over_what_all_see() -> None:
    private = virtual_service(f"[{{name: z, {TO_CART}}}]", name="z", hosts=f"[{OTHER}]", more="exportTo: [.]")
    public = virtual_service(f"[{{name: a, {TO_CART}}}]", name="a", namespace="other", hosts="[cart]")

    assert names(at_sidecar(public, private, services=[routed_service("cart", namespace="other")])) == {
        OTHER: "z"
    }


def test_rules_for_other_callers_leave_the_service_its_own_route() -> None:
    http = f"[{{name: a, match: [{{sourceLabels: {{app: somebody-else}}}}], {TO_CART}}}]"

    assert names(at_sidecar(virtual_service(http, hosts="[cart]"), services=[routed_service("cart")])) == {
        CART: "default"
    }


def test_rules_for_gateways_alone_are_not_for_sidecars() -> None:
    at_gateways = virtual_service(f"[{{name: a, {TO_CART}}}]", hosts="[cart]", more="gateways: [door]")
    both = virtual_service(f"[{{name: a, {TO_CART}}}]", hosts="[cart]", more="gateways: [door, mesh]")

    assert names(at_sidecar(at_gateways, services=[routed_service("cart")])) == {CART: "default"}
    assert names(at_sidecar(both, services=[routed_service("cart")])) == {CART: "a"}


@pytest.mark.parametrize(
    ("port", "served"), [(80, {"outside.example": "a", CART: "default"}), (8080, {CART: "default"})]
)
def test_a_host_that_is_no_service_is_served_on_port_80_only(port: int, served: dict[str, str]) -> None:
    assert (
        names(at_sidecar(named("a", "[outside.example]"), services=[routed_service("cart", port)], port=port))
        == served
    )


def test_a_host_that_is_no_service_is_served_on_other_ports_beside_one_that_is() -> None:
    rules = named("a", "[outside.example, cart]")

    assert names(at_sidecar(rules, services=[routed_service("cart", 8080)], port=8080)) == {
        "outside.example": "a",
        CART: "a",
    }


def test_a_wildcard_takes_the_services_that_no_narrower_host_takes() -> None:
    services = [routed_service(name) for name in ("one.a.example", "two.a.example", "three.b.example")]
    wide, narrow, exact = (
        named("wide", "['*.example']"),
        named("narrow", "['*.a.example']"),
        named("exact", "[two.a.example]"),
    )

    assert names(at_sidecar(wide, narrow, exact, services=services)) == {
        "one.a.example": "narrow",
        "two.a.example": "exact",
        "three.b.example": "wide",
    }


def test_a_wildcard_without_any_service_is_a_host_of_port_80() -> None:
    assert names(at_sidecar(named("a", "['*.nowhere.example']"), services=[])) == {"*.nowhere.example": "a"}


def test_services_on_other_ports_are_not_served_here() -> None:
    services = [routed_service("cart", 80, 8080), routed_service("pay", 9090)]

    assert list(at_sidecar(services=services, port=8080)) == [CART]
    assert (
        at_sidecar(services=services, port=8080)[CART]["routes"][0]["route"]["cluster"]
        == f"outbound|8080||{CART}"
    )


def test_a_tcp_port_has_no_virtual_host_but_may_be_a_destination() -> None:
    raw = RoutedService("raw.shop.svc.cluster.local", "shop", (RoutedPort(80, is_http=False),))
    to_raw = virtual_service("[{route: [{destination: {host: raw}}]}]", hosts="[cart]")

    assert at_sidecar(services=[raw]) == {}
    (host,) = at_sidecar(to_raw, services=[raw, routed_service("cart")]).values()
    assert host["routes"][0]["route"]["cluster"] == "outbound|80||raw.shop.svc.cluster.local"


def test_a_destination_without_a_port_is_called_on_the_port_of_the_listener() -> None:
    to_pay = virtual_service("[{route: [{destination: {host: pay}}]}]", hosts="[cart]")
    hosts = at_sidecar(to_pay, services=[routed_service("cart"), routed_service("pay", 9090)])

    # The listener sees no service but those of its own port, so the only port of pay does not count.
    assert hosts[CART]["routes"][0]["route"]["cluster"] == "outbound|80||pay.shop.svc.cluster.local"


def test_a_short_name_belongs_to_the_service_whose_full_name_it_is() -> None:
    outside = routed_service("cart.other")
    hosts = at_sidecar(services=[routed_service("cart", namespace="other"), outside])

    assert hosts["cart.other"]["domains"] == ["cart.other", "cart.other."]
    assert "cart.other" not in hosts[OTHER]["domains"]


def test_an_external_name_is_served_as_an_alias_only() -> None:
    alias = routed_service("pay", external_name=CART)

    assert list(at_sidecar(services=[alias, routed_service("cart")])) == [CART]


def test_the_case_of_a_host_makes_no_difference() -> None:
    assert names(at_sidecar(named("a", "[API.Example]"), services=[routed_service("api.example")])) == {
        "api.example": "a"
    }


def test_a_listener_of_its_own_serves_one_service_under_every_name() -> None:
    hosts = at_sidecar(services=[routed_service("cart"), routed_service("pay")])
    (found,) = detected_port_hosts(hosts.values(), CART)

    assert (found["name"], found["domains"]) == (f"{CART}:80", ["*"])
    assert detected_port_hosts(hosts.values(), "nobody") == []
    # What is shared with the common listener stays as it is.
    assert hosts[CART]["domains"][0] == CART


def test_unknown_hosts_are_passed_on_or_answered_502() -> None:
    (passed,), (refused,) = allow_any()["routes"], block_all()["routes"]

    assert passed["route"]["cluster"] == "PassthroughCluster"
    assert allow_any("outbound|443||proxy")["routes"][0]["route"]["cluster"] == "outbound|443||proxy"
    assert refused["directResponse"] == {"status": 502}
    assert allow_any()["domains"] == block_all()["domains"] == ["*"]
    assert (allow_any()["name"], block_all()["name"]) == ("allow_any", "block_all")
