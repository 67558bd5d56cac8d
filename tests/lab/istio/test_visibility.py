"""What a proxy knows: exports, Sidecars, and which DestinationRule counts."""

from __future__ import annotations

import pytest
from meshlab.istio import WorkloadRef
from meshlab.istio.read.mesh_config import MeshSettings

from tests.lab.istio.outbound_side import OutboundSide
from tests.lab.istio.sidecar_walks import namespace, service, workload

TEAM = WorkloadRef("team", "client")
BOTH = (namespace("shop"), namespace("team"), workload("shop/client"), workload("team/client"))


def cluster(name: str, port: int = 80, subset: str = "", namespace: str = "shop") -> str:
    return f"outbound|{port}|{subset}|{name}.{namespace}.svc.cluster.local"


def sidecar(name: str, spec: str, namespace: str = "shop", **metadata: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: {name}, namespace: {namespace}{"".join(f", {key}: {value!r}" for key, value in metadata.items())}}}
spec: {spec}
"""


def rule(name: str, spec: str, namespace: str = "shop", **metadata: str) -> str:
    return sidecar(name, spec, namespace, **metadata).replace("kind: Sidecar", "kind: DestinationRule")


def entry(name: str, spec: str, namespace: str = "shop", **metadata: str) -> str:
    return sidecar(name, spec, namespace, **metadata).replace("kind: Sidecar", "kind: ServiceEntry")


def routes(name: str, host: str, destination: str, namespace: str = "shop") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{hosts: [{host!r}], http: [{{route: [{{destination: {{host: {destination}}}}}]}}]}}
"""


def test_a_proxy_has_clusters_for_every_port_that_it_sees_and_for_no_other() -> None:
    side = OutboundSide(*BOTH, service("shop/cart", "http:80", "grpc:90"))
    assert side.outbound_clusters == [cluster("cart"), cluster("cart", 90)]


@pytest.mark.parametrize(("export_to", "sees"), [("*", True), ("shop", True), (".", False), ("~", False)])
def test_a_service_is_seen_where_it_is_exported(export_to: str, sees: bool) -> None:
    side = OutboundSide(*BOTH, service("team/cart", "http:80", export_to=export_to))
    assert (cluster("cart", namespace="team") in side.clusters) is sees


def test_the_mesh_says_what_a_service_without_an_export_exports() -> None:
    texts = (*BOTH, service("team/cart", "http:80"), service("team/open", "http:80", export_to="*"))
    side = OutboundSide(*texts, settings=MeshSettings(service_export_to=(".",)))
    assert side.outbound_clusters == [cluster("open", namespace="team")]
    own = OutboundSide(*texts, ref=TEAM, settings=MeshSettings(service_export_to=(".",)))
    assert cluster("cart", namespace="team") in own.clusters


IMPORTS = (
    *BOTH,
    service("shop/one", "http:80"),
    service("team/two", "http:80", "tcp:90"),
    service("team/three", "http:80"),
)


@pytest.mark.parametrize(
    ("hosts", "seen"),
    [
        ("['*/*']", {"one", "two", "three"}),
        ("['./*']", {"one"}),
        ("['team/*']", {"two", "three"}),
        ("['~/*']", set()),
        ("['*/two.team.svc.cluster.local']", {"two"}),
        ("['shop/two.team.svc.cluster.local']", set()),
        ("['*/*.team.svc.cluster.local']", {"two", "three"}),
        ("['*/*', '~team/three.team.svc.cluster.local']", {"one", "two"}),
        ("['*/*', '~/*.shop.svc.cluster.local']", {"two", "three"}),
        ("['./*', 'team/two.team.svc.cluster.local']", {"one", "two"}),
    ],
)
def test_a_sidecar_imports_hosts_by_namespace_and_name(hosts: str, seen: set[str]) -> None:
    side = OutboundSide(*IMPORTS, sidecar("it", f"{{egress: [{{hosts: {hosts}}}]}}"))
    assert {name.split("|")[3].partition(".")[0] for name in side.outbound_clusters} == seen


def test_a_listener_for_one_port_imports_that_port_alone() -> None:
    spec = "{egress: [{port: {number: 90, protocol: TCP}, hosts: ['*/*']}]}"
    side = OutboundSide(*IMPORTS, sidecar("it", spec))
    assert side.outbound_clusters == [cluster("two", 90, namespace="team")]


def test_what_a_route_leads_to_is_known_though_it_is_not_imported() -> None:
    texts = (
        *IMPORTS,
        routes("one", "one", "two.team.svc.cluster.local"),
        sidecar("it", "{egress: [{hosts: ['./*']}]}"),
    )
    side = OutboundSide(*texts)
    assert cluster("two", namespace="team") in side.clusters
    assert cluster("three", namespace="team") not in side.clusters
    assert side.routes(80)["one.shop.svc.cluster.local"] == [cluster("two", namespace="team")]


def test_the_sidecar_that_chooses_the_workload_counts_before_that_of_the_namespace_and_of_the_root() -> None:
    nothing, all_of_it = "{egress: [{hosts: ['~/*']}]}", "{egress: [{hosts: ['*/*']}]}"
    chosen = "{workloadSelector: {labels: {app: client}}, egress: [{hosts: ['./*']}]}"
    root = sidecar("default", nothing, "istio-system")
    wide = sidecar("a-default", all_of_it)
    narrow = sidecar("z-chosen", chosen)
    assert len(OutboundSide(*IMPORTS, root).outbound_clusters) == 0
    assert len(OutboundSide(*IMPORTS, root, wide).outbound_clusters) == 4
    assert OutboundSide(*IMPORTS, root, wide, narrow).outbound_clusters == [cluster("one")]
    assert len(OutboundSide(*IMPORTS, root, wide, narrow, ref=TEAM).outbound_clusters) == 0


def test_of_two_sidecars_the_older_counts() -> None:
    older = sidecar("z", "{egress: [{hosts: ['./*']}]}", creationTimestamp="2024-01-01T00:00:00Z")
    newer = sidecar("a", "{egress: [{hosts: ['~/*']}]}", creationTimestamp="2025-01-01T00:00:00Z")
    assert OutboundSide(*IMPORTS, newer, older).outbound_clusters == [cluster("one")]


def test_a_service_of_the_cluster_wins_over_a_service_entry_of_the_same_name() -> None:
    twin = entry(
        "twin",
        "{hosts: [one.shop.svc.cluster.local], resolution: DNS, ports: [{number: 81, name: http, protocol: HTTP}]}",
        "team",
    )
    side = OutboundSide(*IMPORTS, twin)
    assert cluster("one") in side.clusters
    assert cluster("one", 81) not in side.clusters


def test_of_service_entries_for_one_host_that_of_the_own_namespace_counts() -> None:
    spec = "{{hosts: [a.example], resolution: DNS, ports: [{{number: {}, name: http, protocol: HTTP}}]}}"
    texts = (
        *BOTH,
        entry("a", spec.format(80), "aaa"),
        entry("b", spec.format(81)),
        entry("c", spec.format(82), "team"),
    )
    assert OutboundSide(*texts).outbound_clusters == ["outbound|81||a.example"]
    assert OutboundSide(*texts, ref=TEAM).outbound_clusters == ["outbound|82||a.example"]


def test_service_entries_of_one_namespace_for_one_host_join_their_ports() -> None:
    spec = "{{hosts: [a.example], resolution: DNS, ports: [{{number: {}, name: http-{}, protocol: HTTP}}]}}"
    texts = (*BOTH, entry("a", spec.format(80, 80)), entry("b", spec.format(81, 81)))
    assert OutboundSide(*texts).outbound_clusters == ["outbound|80||a.example", "outbound|81||a.example"]


RULED = (*BOTH, service("team/cart", "http:80"))
HOST = "cart.team.svc.cluster.local"


def subset(name: str) -> str:
    return f"{{host: {HOST}, subsets: [{{name: {name}}}]}}"


def subsets(side: OutboundSide) -> set[str]:
    return {name.split("|")[2] for name in side.outbound_clusters} - {""}


def test_a_rule_is_looked_for_at_the_client_then_at_the_service_then_in_the_root_namespace() -> None:
    root = rule("r", subset("root"), "istio-system")
    theirs = rule("s", subset("service"), "team")
    own = rule("c", subset("client"), "shop")
    assert subsets(OutboundSide(*RULED, root)) == {"root"}
    assert subsets(OutboundSide(*RULED, root, theirs)) == {"service"}
    assert subsets(OutboundSide(*RULED, root, theirs, own)) == {"client"}


def test_a_rule_of_a_third_namespace_counts_in_no_other_namespace() -> None:
    assert subsets(OutboundSide(*RULED, rule("x", subset("third"), "other"))) == set()


def test_a_rule_that_is_not_exported_counts_at_home() -> None:
    private = rule("s", f"{{host: {HOST}, exportTo: [.], subsets: [{{name: private}}]}}", "team")
    assert subsets(OutboundSide(*RULED, private)) == set()
    assert subsets(OutboundSide(*RULED, private, ref=TEAM)) == {"private"}


def test_the_mesh_says_what_a_rule_without_an_export_exports() -> None:
    settings = MeshSettings(destination_rule_export_to=(".",))
    theirs = rule("s", subset("service"), "team")
    assert subsets(OutboundSide(*RULED, theirs, settings=settings)) == set()
    assert subsets(OutboundSide(*RULED, theirs, ref=TEAM, settings=settings)) == {"service"}


def test_the_narrowest_host_counts() -> None:
    wide = rule("w", "{host: '*.svc.cluster.local', subsets: [{name: wide}]}")
    narrower = rule("n", "{host: '*.team.svc.cluster.local', subsets: [{name: narrower}]}")
    exact = rule("e", subset("exact"))
    assert subsets(OutboundSide(*RULED, wide)) == {"wide"}
    assert subsets(OutboundSide(*RULED, wide, narrower)) == {"narrower"}
    assert subsets(OutboundSide(*RULED, wide, narrower, exact)) == {"exact"}


def test_rules_for_one_host_join_their_subsets_and_keep_the_first_policy() -> None:
    first = rule(
        "a", f"{{host: {HOST}, trafficPolicy: {{tls: {{mode: DISABLE}}}}, subsets: [{{name: one}}]}}"
    )
    second = rule(
        "b",
        f"{{host: {HOST}, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}, subsets: [{{name: one}}, {{name: two}}]}}",
    )
    side = OutboundSide(*RULED, second, first)
    assert subsets(side) == {"one", "two"}
    assert side.socket(cluster("cart", namespace="team")) == {}


def test_a_rule_that_chooses_workloads_counts_for_them_alone() -> None:
    chosen = rule(
        "c",
        f"{{host: {HOST}, workloadSelector: {{matchLabels: {{app: client}}}}, subsets: [{{name: chosen}}]}}",
    )
    missed = rule(
        "m",
        f"{{host: {HOST}, workloadSelector: {{matchLabels: {{app: other}}}}, subsets: [{{name: missed}}]}}",
    )
    for_all = rule("a", subset("all"))
    assert subsets(OutboundSide(*RULED, missed)) == set()
    assert subsets(OutboundSide(*RULED, for_all, missed)) == {"all"}
    assert subsets(OutboundSide(*RULED, for_all, chosen, missed)) == {"chosen"}


def test_a_gateway_ignores_sidecars() -> None:
    door = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: door, namespace: shop}
spec:
  template:
    metadata: {labels: {app: door}, annotations: {inject.istio.io/templates: gateway}}
    spec: {containers: [{name: istio-proxy, image: auto}]}
"""
    side = OutboundSide(
        *IMPORTS, door, sidecar("it", "{egress: [{hosts: ['~/*']}]}"), ref=WorkloadRef("shop", "door")
    )
    assert len(side.outbound_clusters) == 4
