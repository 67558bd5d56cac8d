"""Rules of VirtualServices for connections: `tls` by server name, `tcp` by address and port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio.envoy.routes import cluster_names, tcp_proxy
from meshlab.istio.model.connection_routes import (
    ConnectionRoute,
    ServiceRoutes,
    gateway_tcp,
    gateway_tls,
    sidecar_tcp,
    sidecar_tls,
)

from tests.lab.istio.virtual_services import DOOR, routed_service, server, virtual_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.read.virtual_service import VirtualService

HOST = "db.example"


def l4(
    kind: str, *rules: str, gateways: str = "mesh", hosts: str = f"[{HOST}]", name: str = "a"
) -> VirtualService:
    """A VirtualService with rules of the form `MATCH => HOST`, where the match may be missing."""
    written = []
    for text in rules:
        match, _, host = text.rpartition("=>")
        found = f"match: [{match.strip()}], " if match.strip() else ""
        written.append(f"{{{found}route: [{{destination: {{host: {host.strip()}}}}}]}}")
    return virtual_service(
        name=name, hosts=hosts, more=f"gateways: [{gateways}], {kind}: [{', '.join(written)}]"
    )


def hosts(chains: Sequence[ConnectionRoute]) -> list[tuple[tuple[str, ...], tuple[str, ...], str]]:
    return [
        (
            chain.sni_hosts,
            chain.destination_subnets,
            chain.destinations[0].destination.host.partition(".")[0],
        )
        for chain in chains
    ]


def tls(*services: VirtualService, subnets: Sequence[str] = ()) -> ServiceRoutes:
    return sidecar_tls(services, HOST, labels={"app": "a"}, namespace="shop", port=443, subnets=subnets)


def tcp(*services: VirtualService, subnets: Sequence[str] = ()) -> ServiceRoutes:
    return sidecar_tcp(services, HOST, labels={"app": "a"}, namespace="shop", port=9000, subnets=subnets)


@pytest.mark.parametrize(
    ("condition", "is_for_it"),
    [
        ("", True),
        ("port: 443", True),
        ("port: 444", False),
        ("gateways: [mesh]", True),
        ("gateways: [door]", False),
        ("sourceLabels: {app: a}", True),
        ("sourceLabels: {app: b}", False),
        ("sourceNamespace: shop", True),
        ("sourceNamespace: other", False),
        # Unlike in rules of http, all of them must hold.
        ("gateways: [mesh], sourceNamespace: other", False),
    ],
)
def test_a_match_says_for_which_sidecars_it_is(condition: str, is_for_it: bool) -> None:
    comma = ", " if condition else ""
    found = tls(l4("tls", f"{{sniHosts: [{HOST}]{comma}{condition}}} => first"))

    assert hosts(found.routes) == ([((HOST,), (), "first")] if is_for_it else [])
    assert found.to_service is not is_for_it


def test_the_first_of_two_rules_for_one_server_name_counts() -> None:
    rules = l4("tls", f"{{sniHosts: [{HOST}]}} => first", f"{{sniHosts: [{HOST}]}} => second")

    assert hosts(tls(rules).routes) == [((HOST,), (), "first")]


def test_the_ranges_of_a_match_stay_for_the_chains_after_it() -> None:
    rules = l4(
        "tls",
        f"{{sniHosts: [a.{HOST}], destinationSubnets: [10.0.0.0/8]}} => first",
        f"{{sniHosts: [b.{HOST}]}} => second",
        hosts=f"['*{HOST}']",
    )

    assert hosts(tls(rules, subnets=["192.0.2.0/24"]).routes) == [
        ((f"a.{HOST}",), ("10.0.0.0/8",), "first"),
        ((f"b.{HOST}",), ("10.0.0.0/8",), "second"),
    ]


def test_rules_of_another_host_do_not_count() -> None:
    other = l4("tls", "{sniHosts: [other.example]} => first", hosts="[other.example]")

    assert tls(other) == ServiceRoutes((), (), to_service=True)


def test_a_tcp_rule_without_a_match_ends_the_list() -> None:
    found = tcp(l4("tcp", "=> first", "=> second"), subnets=["192.0.2.0/24"])

    assert hosts(found.routes) == [((), ("192.0.2.0/24",), "first")]
    assert not found.to_service


def test_tcp_rules_with_ranges_leave_the_rest_to_the_service() -> None:
    found = tcp(
        l4("tcp", "{destinationSubnets: [10.0.0.0/8]}, {destinationSubnets: [172.16.0.0/12]} => first")
    )

    assert hosts(found.routes) == [((), ("10.0.0.0/8", "172.16.0.0/12"), "first")]
    assert found.to_service


def test_a_tcp_rule_with_the_services_own_range_replaces_its_chain() -> None:
    found = tcp(l4("tcp", "{destinationSubnets: [10.0.0.0/8]} => first"), subnets=["10.0.0.0/8"])

    assert not found.to_service


def test_a_tcp_rule_for_others_is_passed_over() -> None:
    found = tcp(l4("tcp", "{port: 9001} => first", "{port: 9000} => second", "=> third"))

    assert hosts(found.routes) == [((), (), "second")]


def test_a_gateways_tcp_server_has_the_first_rule_that_is_for_it() -> None:
    rules = l4(
        "tcp",
        "{port: 9001} => first",
        "{port: 9000, gateways: [door]} => second",
        "=> third",
        gateways="door",
    )
    found = gateway_tcp([rules], DOOR, server(HOST).hosts, 9000)

    assert found is not None
    assert hosts([found]) == [((), (), "second")]
    assert gateway_tcp([rules], DOOR, server("other.example").hosts, 9000) is None
    assert gateway_tcp([rules], DOOR, server(f"other/{HOST}").hosts, 9000) is None
    assert gateway_tcp([], DOOR, server(HOST).hosts, 9000) is None


def test_a_passthrough_server_has_a_chain_for_each_match() -> None:
    rules = l4(
        "tls",
        f"{{sniHosts: [a.{HOST}]}}, {{sniHosts: [b.{HOST}], port: 444}} => first",
        f"{{sniHosts: [c.{HOST}], sourceNamespace: nobody}} => second",
        gateways="door",
        hosts=f"['*.{HOST}']",
    )
    found = gateway_tls([rules], DOOR, server(f"*.{HOST}").hosts, 443, set())

    # The namespace of the caller is not looked at here, only the port and the gateway.
    assert hosts(found) == [((f"a.{HOST}",), (), "first"), ((f"c.{HOST}",), (), "second")]


def test_a_server_name_that_is_taken_takes_its_match_out() -> None:
    taken: set[str] = set()
    rules = [
        l4("tls", f"{{sniHosts: [{HOST}]}} => first", gateways="door", name="a"),
        l4("tls", f"{{sniHosts: [{HOST}]}} => second", gateways="door", name="b"),
    ]

    assert hosts(gateway_tls(rules, DOOR, server(HOST).hosts, 443, taken)) == [((HOST,), (), "first")]
    assert gateway_tls(rules, DOOR, server(HOST).hosts, 443, taken) == []


def test_a_connection_goes_to_one_cluster_or_by_weight_to_several() -> None:
    services = {"db.shop.svc.cluster.local": routed_service("db", 5432)}
    name_of = cluster_names(services.get, 9000)
    found = virtual_service(
        more="tcp: [{route: [{destination: {host: db}}]}, {match: [{port: 1}], route: ["
        "{destination: {host: db, subset: v2}, weight: 3}, {destination: {host: b}, weight: 0}, "
        "{destination: {host: c}, weight: 1}]}]"
    )
    one, several = (tcp_proxy("a.shop", route.destinations, name_of)["typedConfig"] for route in found.tcp)

    assert (one["cluster"], one["statPrefix"]) == ("outbound|5432||db.shop.svc.cluster.local",) * 2
    assert several["statPrefix"] == "a.shop"
    assert several["weightedClusters"]["clusters"] == [
        {"name": "outbound|5432|v2|db.shop.svc.cluster.local", "weight": 3},
        {"name": "outbound|9000||c.shop.svc.cluster.local", "weight": 1},
    ]
