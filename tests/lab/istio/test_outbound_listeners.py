"""The listeners of a sidecar's outbound side: who shares one, who has one alone, and who is left out."""

from __future__ import annotations

import pytest
from meshlab.istio import WorkloadRef
from meshlab.istio.read.mesh_config import MeshSettings

from tests.lab.istio.outbound_side import OutboundSide
from tests.lab.istio.sidecar_walks import namespace, service, workload
from tests.lab.istio.test_visibility import entry, rule, sidecar

BASE = (namespace("shop"), workload("shop/client"))
HTTP = {"applicationProtocols": ["http/1.1", "h2c"], "transportProtocol": "raw_buffer"}
ONLY_KNOWN = MeshSettings(outbound_traffic_policy="REGISTRY_ONLY")
VIP, OTHER_VIP = "10.96.0.10", "10.96.0.11"


def cluster(name: str, port: int) -> str:
    return f"outbound|{port}||{name}.shop.svc.cluster.local"


def vip(name: str, address: str, *ports: str) -> str:
    return service(f"shop/{name}", *ports, clusterIP=address)


def connection_routes(name: str, host: str, spec: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: shop}}
spec: {{hosts: [{host}], {spec}}}
"""


def test_http_services_share_a_listener_on_all_addresses() -> None:
    side = OutboundSide(*BASE, vip("one", VIP, "http:80"), vip("two", OTHER_VIP, "grpc:80"))
    assert set(side.listeners) == {"virtualOutbound", "0.0.0.0_80"}
    assert side.leads_to("0.0.0.0_80") == [(HTTP, "routes 80"), ({}, "PassthroughCluster")]


def test_only_virtual_outbound_binds_a_port() -> None:
    side = OutboundSide(*BASE, vip("one", VIP, "http:80", "tcp:90"))
    bound = [name for name, each in side.listeners.items() if each.get("bindToPort", True)]
    assert bound == ["virtualOutbound"]
    assert side.listeners["virtualOutbound"]["useOriginalDst"] is True


def test_what_no_listener_takes_goes_where_the_mesh_says() -> None:
    known = OutboundSide(*BASE, settings=ONLY_KNOWN)
    assert known.leads_to("virtualOutbound")[-1] == ({}, "BlackHoleCluster")
    assert OutboundSide(*BASE).leads_to("virtualOutbound")[-1] == ({}, "PassthroughCluster")


def test_what_is_sent_to_the_sidecar_itself_ends() -> None:
    assert OutboundSide(*BASE).leads_to("virtualOutbound")[0] == (
        {"destinationPort": 15001},
        "BlackHoleCluster",
    )


def test_tcp_services_have_a_listener_on_their_address() -> None:
    side = OutboundSide(*BASE, vip("one", VIP, "tcp:90"), vip("two", OTHER_VIP, "redis:90"))
    assert side.leads_to(f"{VIP}_90") == [({}, cluster("one", 90))]
    assert side.leads_to(f"{OTHER_VIP}_90") == [({}, cluster("two", 90))]


def test_tls_on_an_address_needs_no_server_name() -> None:
    side = OutboundSide(*BASE, vip("one", VIP, "https:443"))
    assert side.leads_to(f"{VIP}_443") == [({}, cluster("one", 443))]
    assert "listenerFilters" not in side.listeners[f"{VIP}_443"]


def test_tls_without_an_address_is_distinguished_by_server_names() -> None:
    spec = "{{hosts: [{}], resolution: DNS, ports: [{{number: 443, name: tls, protocol: TLS}}]}}"
    side = OutboundSide(*BASE, entry("a", spec.format("a.example")), entry("b", spec.format("b.example")))
    assert side.leads_to("0.0.0.0_443") == [
        ({"serverNames": ["a.example"]}, "outbound|443||a.example"),
        ({"serverNames": ["b.example"]}, "outbound|443||b.example"),
        ({}, "PassthroughCluster"),
    ]


def test_a_port_of_unknown_protocol_is_looked_into() -> None:
    side = OutboundSide(*BASE, vip("one", VIP, "odd:90"))
    assert side.leads_to(f"{VIP}_90") == [
        (HTTP, "routes one.shop.svc.cluster.local:90"),
        ({}, cluster("one", 90)),
    ]
    (host,) = side.chains(f"{VIP}_90")[0]["filters"][-1]["typedConfig"]["routeConfig"]["virtualHosts"]
    assert host["domains"] == ["*"]


def test_a_headless_service_has_a_listener_on_each_pod_and_none_on_the_own() -> None:
    texts = (*BASE, workload("shop/db"), service("shop/db", "tcp:90", clusterIP="None"))
    side = OutboundSide(*texts)
    pod = side.mesh.registry.pod_ips[WorkloadRef("shop", "db")]
    assert side.leads_to(f"{pod}_90") == [({}, cluster("db", 90))]
    assert f"{pod}_90" not in OutboundSide(*texts, ref=WorkloadRef("shop", "db")).listeners


def test_http_of_a_headless_service_is_found_by_its_host() -> None:
    side = OutboundSide(*BASE, workload("shop/db"), service("shop/db", "http:90", clusterIP="None"))
    assert "db" in side.routes(90)
    assert "*.db" in side.routes(90)


def test_tcp_without_an_address_takes_the_whole_port() -> None:
    spec = "{hosts: [a.example], resolution: NONE, ports: [{number: 90, name: tcp, protocol: TCP}]}"
    assert OutboundSide(*BASE, entry("a", spec)).leads_to("0.0.0.0_90") == [({}, "outbound|90||a.example")]


def test_a_range_of_addresses_is_a_condition() -> None:
    spec = (
        "{hosts: [a.example], addresses: [198.51.100.0/24], resolution: NONE,"
        " ports: [{number: 90, name: tcp, protocol: TCP}]}"
    )
    assert OutboundSide(*BASE, entry("a", spec)).leads_to("0.0.0.0_90") == [
        (
            {"prefixRanges": [{"addressPrefix": "198.51.100.0", "prefixLen": 24}]},
            "outbound|90||a.example",
        ),
        ({}, "PassthroughCluster"),
    ]


TCP_90 = "{{hosts: [{}], resolution: NONE, ports: [{{number: 90, name: tcp, protocol: {}}}]}}"


def test_http_and_tcp_share_a_port_and_the_connection_says_which() -> None:
    side = OutboundSide(*BASE, vip("one", VIP, "http:90"), entry("a", TCP_90.format("a.example", "TCP")))
    assert side.leads_to("0.0.0.0_90") == [(HTTP, "routes 90"), ({}, "outbound|90||a.example")]


def test_of_two_tcp_services_that_take_a_whole_port_the_first_has_it() -> None:
    side = OutboundSide(
        *BASE,
        entry("a", TCP_90.format("b.example", "TCP")),
        entry("b", TCP_90.format("a.example", "TCP")),
    )
    # Istio orders ServiceEntries of one age by their hosts.
    assert side.leads_to("0.0.0.0_90") == [({}, "outbound|90||a.example")]


def test_the_older_of_them_is_the_first() -> None:
    older = entry("z", TCP_90.format("z.example", "TCP"), creationTimestamp="2024-01-01T00:00:00Z")
    newer = entry("a", TCP_90.format("a.example", "TCP"), creationTimestamp="2025-01-01T00:00:00Z")
    assert OutboundSide(*BASE, newer, older).leads_to("0.0.0.0_90") == [({}, "outbound|90||z.example")]


def test_a_detected_port_joins_the_http_listener_and_adds_its_connections() -> None:
    spec = "{hosts: [a.example], resolution: NONE, ports: [{number: 90, name: any}]}"
    side = OutboundSide(*BASE, vip("one", VIP, "http:90"), entry("a", spec))
    assert side.leads_to("0.0.0.0_90") == [(HTTP, "routes 90"), ({}, "outbound|90||a.example")]
    assert side.routes(90)["a.example"] == ["outbound|90||a.example"]


def test_rules_for_connections_lead_elsewhere() -> None:
    tcp = "tcp: [{match: [{port: 90}], route: [{destination: {host: two, port: {number: 91}}}]}]"
    texts = (*BASE, vip("one", VIP, "tcp:90", "tcp-b:92"), vip("two", OTHER_VIP, "tcp:91"))
    side = OutboundSide(*texts, connection_routes("one", "one", tcp))
    assert side.leads_to(f"{VIP}_90") == [({}, cluster("two", 91))]
    assert side.leads_to(f"{VIP}_92") == [({}, cluster("one", 92))]


def test_rules_by_server_name_replace_the_services_own_chain() -> None:
    tls = (
        "tls: [{match: [{port: 443, sniHosts: [one.shop.svc.cluster.local]}],"
        " route: [{destination: {host: two}}]}]"
    )
    texts = (*BASE, vip("one", VIP, "tls:443"), vip("two", OTHER_VIP, "tls:443"))
    side = OutboundSide(*texts, connection_routes("one", "one.shop.svc.cluster.local", tls))
    assert side.leads_to(f"{VIP}_443") == [
        ({"serverNames": ["one.shop.svc.cluster.local"]}, cluster("two", 443)),
        ({}, "PassthroughCluster"),
    ]


def test_an_alias_has_no_listener_and_its_name_counts_at_the_service() -> None:
    side = OutboundSide(
        *BASE,
        vip("one", VIP, "http:80", "tls:443"),
        service("shop/alias", type="ExternalName", externalName="one.shop.svc.cluster.local"),
    )
    assert side.routes(80)["alias"] == [cluster("one", 80)]
    assert set(side.listeners) == {"virtualOutbound", "0.0.0.0_80", f"{VIP}_443"}


EGRESS = (*BASE, vip("one", VIP, "http:80", "tcp:90"), vip("two", OTHER_VIP, "http:80"))


def test_a_listener_with_a_port_serves_it_and_the_others_leave_it_alone() -> None:
    spec = "{egress: [{port: {number: 80, protocol: HTTP}, hosts: ['./one.shop.svc.cluster.local']}, {hosts: ['./*']}]}"
    side = OutboundSide(*EGRESS, sidecar("it", spec))
    assert "one" in side.routes(80)
    assert "two" not in side.routes(80)
    assert f"{VIP}_90" in side.listeners


def test_a_listener_binds_the_address_that_it_names() -> None:
    spec = "{egress: [{port: {number: 90, protocol: TCP}, bind: 127.7.7.7, hosts: ['./*']}]}"
    side = OutboundSide(*EGRESS, sidecar("it", spec))
    assert side.leads_to("127.7.7.7_90") == [({}, cluster("one", 90))]
    assert f"{VIP}_90" not in side.listeners


def test_unknown_hosts_are_refused_or_passed_on_or_sent_to_the_egress_proxy() -> None:
    refused = OutboundSide(*EGRESS, settings=ONLY_KNOWN)
    assert refused.routes(80)["*"] == ["direct"]
    assert refused.leads_to("0.0.0.0_80")[-1] == ({}, "BlackHoleCluster")
    assert OutboundSide(*EGRESS).routes(80)["*"] == ["PassthroughCluster"]
    policy = "{mode: ALLOW_ANY, egressProxy: {host: two, port: {number: 80}}}"
    proxied = OutboundSide(
        *EGRESS, sidecar("it", f"{{outboundTrafficPolicy: {policy}}}"), settings=ONLY_KNOWN
    )
    assert proxied.routes(80)["*"] == [cluster("two", 80)]
    assert proxied.leads_to("virtualOutbound")[-1] == ({}, cluster("two", 80))


def test_policies_of_the_workload_say_nothing_about_what_it_sends() -> None:
    denied = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nothing, namespace: shop}
spec: {}
"""
    (chain, _) = OutboundSide(*EGRESS, denied).chains("0.0.0.0_80")
    filters = [each["name"] for each in chain["filters"][-1]["typedConfig"]["httpFilters"]]
    assert filters == [f"envoy.filters.http.{name}" for name in ("fault", "cors", "router")]


def test_udp_has_neither_listener_nor_cluster() -> None:
    spec = "{hosts: [a.example], resolution: DNS, ports: [{number: 53, name: dns, protocol: UDP}]}"
    side = OutboundSide(*BASE, entry("a", spec))
    assert set(side.listeners) == {"virtualOutbound"}
    assert side.outbound_clusters == []


def test_workloads_with_the_same_view_have_the_same_listeners_and_others_their_own() -> None:
    route = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: one, namespace: shop}
spec:
  hosts: [one]
  http:
    - match: [{sourceLabels: {tier: gold}}]
      route: [{destination: {host: two}}]
    - route: [{destination: {host: one}}]
"""
    texts = (*EGRESS, workload("shop/gold", {"tier": "gold"}), route)
    plain, gold = OutboundSide(*texts), OutboundSide(*texts, ref=WorkloadRef("shop", "gold"))
    assert plain.routes(80)["one"] == [cluster("one", 80)]
    assert gold.routes(80)["one"] == [cluster("two", 80)]


def test_connections_of_a_detected_port_offer_mutual_tls_as_tcp_does() -> None:
    texts = (*BASE, workload("shop/one"), vip("one", VIP, "odd:90"))
    filters = [each["name"] for each in OutboundSide(*texts).chains(f"{VIP}_90")[-1]["filters"]]
    assert filters == ["envoy.filters.network.set_filter_state", "envoy.filters.network.tcp_proxy"]
    disabled = rule("one", "{host: one, trafficPolicy: {tls: {mode: DISABLE}}}")
    filters = [each["name"] for each in OutboundSide(*texts, disabled).chains(f"{VIP}_90")[-1]["filters"]]
    assert filters == ["envoy.filters.network.tcp_proxy"]


@pytest.mark.parametrize(
    ("name", "policy", "offer"),
    [
        ("tcp", "loadBalancer: {simple: RANDOM}", "istio-peer-exchange,istio"),
        ("odd", "tls: {mode: ISTIO_MUTUAL}", "istio-peer-exchange,istio"),
        ("http", "tls: {mode: ISTIO_MUTUAL}", "istio-peer-exchange,istio"),
        ("grpc", "tls: {mode: ISTIO_MUTUAL}", "istio-peer-exchange,istio,h2"),
        ("http", "connectionPool: {http: {h2UpgradePolicy: UPGRADE}}", "istio-peer-exchange,istio,h2"),
        ("http", "tls: {mode: DISABLE}", ""),
        ("http", "tls: {mode: SIMPLE}", ""),
    ],
)
def test_a_route_for_connections_offers_what_tcp_does_whatever_the_port_that_it_leads_to_speaks(
    name: str, policy: str, offer: str
) -> None:
    route = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: one, namespace: shop}
spec: {hosts: [one], tcp: [{match: [{port: 90}], route: [{destination: {host: two, port: {number: 80}}}]}]}
"""
    texts = (*BASE, workload("shop/two"), vip("one", VIP, "tcp:90"), service("shop/two", f"{name}:80"), route)
    side = OutboundSide(*texts, rule("two", f"{{host: two, trafficPolicy: {{{policy}}}}}"))
    *before, proxy = side.chains(f"{VIP}_90")[-1]["filters"]
    offers = [
        value["formatString"]["textFormatSource"]["inlineString"]
        for each in before
        for value in each["typedConfig"]["onNewConnection"]
    ]
    assert proxy["typedConfig"]["cluster"] == cluster("two", 80)
    assert offers == ([offer] if offer else [])


@pytest.mark.parametrize("name", ["tcp", "http"])
def test_connections_to_a_headless_service_go_where_the_client_wanted_even_behind_a_route(name: str) -> None:
    texts = (*BASE, workload("shop/two"), service("shop/two", f"{name}:80", clusterIP="None"))
    side = OutboundSide(*texts)
    (group,) = side.clusters[cluster("two", 80)]["loadAssignment"]["endpoints"]
    assert group["lbEndpoints"] == [{"endpoint": {"address": side.placement.relay.envoy}}]
    usual = OutboundSide(*BASE, workload("shop/two"), service("shop/two", f"{name}:80"))
    (group,) = usual.clusters[cluster("two", 80)]["loadAssignment"]["endpoints"]
    assert group["lbEndpoints"][0]["endpoint"]["address"] != usual.placement.relay.envoy
