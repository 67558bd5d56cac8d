"""Deployments and Services: who has a proxy, on which ports, under which identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio import WorkloadPort, WorkloadRef, load_mesh

if TYPE_CHECKING:
    from meshlab.istio.model.trust import Direction

    from tests.lab.istio.conftest import SmallMesh

POD = "spec.template"


def deployment(small: SmallMesh, path: str, value: object, name: str = "cart") -> str:
    return small.changed(small.base("Deployment", name), path, value)


def namespace(labels: str) -> str:
    return f"{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {labels}}}}}"


def test_a_workload_is_known_by_name_account_labels_and_ports(small: SmallMesh) -> None:
    workload = small.mesh().workload(small.app_ref)

    assert (workload.service_account, workload.is_gateway, workload.injected) == ("cart", False, True)
    assert workload.labels == {"app": "cart", "version": "v1"}
    assert workload.ports == (WorkloadPort(8080, "http"),)
    assert workload.identity("cluster.local") == "spiffe://cluster.local/ns/shop/sa/cart"


def test_an_unknown_workload_is_answered_with_those_there_are(small: SmallMesh) -> None:
    with pytest.raises(LookupError, match="no workload a/b; the manifests have edge/door, shop/cart"):
        small.mesh().workload(WorkloadRef.parse("a/b"))


@pytest.mark.parametrize("text", ["cart", "/cart", "shop/", "a/b/c"])
def test_a_reference_that_is_no_qualified_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write namespace/name"):
        WorkloadRef.parse(text)


@pytest.mark.parametrize(
    ("labels", "pod", "injected"),
    [
        ("{istio-injection: enabled}", {}, True),
        ("{istio.io/rev: stable}", {}, True),
        ("{}", {}, False),
        ("{istio-injection: enabled}", {"sidecar.istio.io/inject": "false"}, False),
        ("{}", {"sidecar.istio.io/inject": "true"}, True),
        ("{}", {"istio.io/rev": "stable"}, True),
        ("{istio-injection: disabled}", {"sidecar.istio.io/inject": "true"}, False),
        ("{istio-injection: disabled, istio.io/rev: stable}", {}, False),
    ],
)
def test_injection_follows_the_namespace_and_the_pods_label(
    small: SmallMesh, labels: str, pod: dict[str, str], injected: bool
) -> None:
    changed = deployment(small, f"{POD}.metadata.labels", {"app": "cart", **pod})

    assert small.mesh(namespace(labels), changed).workload(small.app_ref).injected is injected


def test_a_proxy_that_is_not_there_cannot_be_compiled(small: SmallMesh) -> None:
    with pytest.raises(LookupError, match="shop/cart has no proxy"):
        small.app(namespace("{}"))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (f"{POD}.spec.serviceAccountName", "nobody", "there is no ServiceAccount shop/nobody"),
        (f"{POD}.metadata.labels", {"app": "cart", "istio.io/dataplane-mode": "ambient"}, "ambient mode"),
        (
            f"{POD}.metadata.labels",
            {"app": "cart", "gateway.istio.io/managed": "istio.io-mesh-controller"},
            "waypoints",
        ),
        (
            f"{POD}.metadata.annotations",
            {"traffic.sidecar.istio.io/excludeInboundPorts": "8080,http"},
            "'8080,http' is no list of ports",
        ),
        (
            f"{POD}.metadata.annotations",
            {"sidecar.istio.io/interceptionMode": "NONE"},
            "'NONE' changes which traffic passes the sidecar",
        ),
        (
            f"{POD}.metadata.annotations",
            {"inject.istio.io/templates": "grpc-agent"},
            "not gateway or sidecar",
        ),
        ("metadata.namespace", "", "metadata.namespace: missing"),
    ],
)
def test_a_pod_that_traffic_could_pass_unseen_is_refused(
    small: SmallMesh, path: str, value: object, says: str
) -> None:
    assert says in small.refusal(deployment(small, path, value), without=("Deployment/cart",))


@pytest.mark.parametrize(
    ("name", "value", "direction", "unjudged", "judged"),
    [
        ("excludeOutboundPorts", "3306, 6379", "outbound", [3306, 6379], [80, 8080]),
        ("excludeOutboundIPRanges", "10.0.0.0/8", "outbound", [80, 443], []),
        ("includeOutboundIPRanges", "10.0.0.0/8", "outbound", [80, 443], []),
        ("includeOutboundIPRanges", "*", "outbound", [], [80]),
        ("includeOutboundPorts", "3306", "outbound", [], [3306]),
        ("excludeInboundPorts", "15090,8080", "inbound", [8080], [9090]),
        ("excludeInboundPorts", "15020,15090", "inbound", [], [8080, 15090]),
        ("includeInboundPorts", "9090", "inbound", [8080], [9090]),
        ("includeInboundPorts", "", "inbound", [8080], []),
        ("includeInboundPorts", "*", "inbound", [], [8080]),
    ],
)
def test_traffic_that_an_annotation_leads_past_the_sidecar_is_not_judged_and_other_traffic_is(
    small: SmallMesh, name: str, value: str, direction: Direction, unjudged: list[int], judged: list[int]
) -> None:
    annotations = {f"traffic.sidecar.istio.io/{name}": value}
    mesh = small.mesh(deployment(small, f"{POD}.metadata.annotations", annotations))
    cart = mesh.workload(small.app_ref)
    for port in unjudged:
        (problem,) = mesh.untrusted(cart, direction, None, port)
        assert f"{value!r} leads requests" in str(problem)
    for port in judged:
        assert mesh.untrusted(cart, direction, None, port) == []
    other: Direction = "inbound" if direction == "outbound" else "outbound"
    assert mesh.untrusted(cart, other, None, 8080) == []


def test_a_gateway_template_without_injection_is_refused(small: SmallMesh) -> None:
    bare = namespace("{}").replace("shop", "edge")

    assert "the gateway template needs injection" in small.refusal(bare)


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("istio.io/dataplane-mode", "ambient", "use sidecars"),
        ("istio.io/use-waypoint", "w", "what this changes is not known"),
    ],
)
def test_a_namespace_label_that_changes_more_than_injection_is_refused(
    small: SmallMesh, setting: str, value: str, says: str
) -> None:
    assert says in small.refusal(namespace(f'{{{setting}: "{value}"}}'))


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ({"name": "http"}, "http"),
        ({"name": "http-web"}, "http"),
        ({"name": "HTTP-web"}, "http"),
        ({"name": "http2"}, "http2"),
        ({"name": "grpc-api"}, "http2"),
        ({"name": "web", "appProtocol": "http"}, "http"),
        ({"name": "grpc-web"}, "http2"),
        ({"name": "https"}, "tls"),
        ({"name": "TLS-secure"}, "tls"),
        ({"name": "tcp"}, "tcp"),
        ({"name": "redis"}, "tcp"),
        ({"name": "http", "appProtocol": "tcp"}, "tcp"),
        ({"name": "http", "appProtocol": "kubernetes.io/wss"}, "tls"),
        ({"name": "web"}, "auto"),
        ({}, "auto"),
        ({"name": "http", "appProtocol": ""}, "auto"),
        ({"name": "tcp-web", "appProtocol": "kubernetes.io/h2c"}, "http2"),
    ],
)
def test_a_ports_protocol_is_in_its_name_or_its_app_protocol(
    small: SmallMesh, port: dict[str, str], protocol: str
) -> None:
    service = small.changed(
        small.base("Service", "cart"), "spec.ports.0", {"port": 80, "targetPort": 8080, **port}
    )

    assert small.mesh(service).workload(small.app_ref).ports == (WorkloadPort(8080, protocol),)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec.ports.0.port", 0, "from 1 to 65535"),
        ("spec.ports.0.port", "80", "expected a whole number"),
        ("spec.surprise", "x", "this field is not known"),
        ("metadata.labels", {"istio.io/use-waypoint": "w"}, "what this changes is not known"),
    ],
)
def test_a_service_that_the_lab_cannot_reproduce_is_refused(
    small: SmallMesh, path: str, value: object, says: str
) -> None:
    assert says in small.refusal(small.changed(small.base("Service", "cart"), path, value))


@pytest.mark.parametrize(
    ("name", "created", "protocol"),
    [
        ("other", "", "http"),
        ("aisle", "", "http2"),
        ("other", "2025-01-01T00:00:00Z", "http"),
        ("aisle", "2025-01-01T00:00:00Z", "http"),
        ("aisle", "2023-01-01T00:00:00Z", "http2"),
    ],
)
def test_of_two_services_on_a_port_the_oldest_or_the_first_by_name_decides_its_protocol(
    small: SmallMesh, name: str, created: str, protocol: str
) -> None:
    base = small.base("Service", "cart")
    other = small.changed(small.changed(base, "metadata.name", name), "spec.ports.0.name", "grpc")
    texts = [other]
    if created:
        texts = [
            small.changed(base, "metadata.creationTimestamp", "2024-01-01T00:00:00Z"),
            small.changed(other, "metadata.creationTimestamp", created),
        ]

    assert small.mesh(*texts).workload(small.app_ref).ports == (WorkloadPort(8080, protocol),)


@pytest.mark.parametrize(
    ("service_age", "entry_age", "protocol"),
    [("", "", "http"), ("2025", "", "http"), ("2025", "2024", "tcp"), ("2024", "2025", "http")],
)
def test_a_service_entry_decides_the_protocol_of_a_port_where_it_is_older(
    small: SmallMesh, service_age: str, entry_age: str, protocol: str
) -> None:
    def aged(text: str, year: str) -> str:
        return small.changed(text, "metadata.creationTimestamp", f"{year}-01-01T00:00:00Z") if year else text

    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a, namespace: shop}
spec:
  hosts: [a.example]
  location: MESH_INTERNAL
  resolution: STATIC
  workloadSelector: {labels: {app: cart}}
  ports: [{number: 80, name: raw, protocol: TCP, targetPort: 8080}]
"""
    mesh = small.mesh(aged(small.base("Service", "cart"), service_age), aged(entry, entry_age))

    assert mesh.workload(small.app_ref).ports == (WorkloadPort(8080, protocol),)


def test_a_port_that_no_service_names_is_known_as_undeclared(small: SmallMesh) -> None:
    udp = small.changed(small.base("Service", "cart"), "spec.ports.0.protocol", "UDP")

    assert small.mesh(udp).workload(small.app_ref).ports == (WorkloadPort(8080, "auto", declared=False),)


@pytest.mark.parametrize(
    ("kind", "api_version"),
    [
        ("StatefulSet", "apps/v1"),
        ("DaemonSet", "apps/v1"),
        ("Job", "batch/v1"),
        ("Rollout", "argoproj.io/v1alpha1"),
    ],
)
def test_everything_that_runs_pods_is_a_workload(small: SmallMesh, kind: str, api_version: str) -> None:
    changed = small.changed(deployment(small, "kind", kind), "apiVersion", api_version)

    mesh = small.mesh(changed, without=("Deployment/cart",))
    assert mesh.workload(small.app_ref).ports == (WorkloadPort(8080, "http"),)


def test_a_bare_pod_is_a_workload(small: SmallMesh) -> None:
    pod = """
apiVersion: v1
kind: Pod
metadata: {name: sleep, namespace: shop, labels: {app: sleep}}
spec: {containers: [{name: sleep}]}
"""
    assert small.mesh(pod).workload(WorkloadRef("shop", "sleep")).injected


def test_a_gateway_that_is_only_selected_is_assumed_and_noted(small: SmallMesh) -> None:
    gateway = small.changed(small.base("Gateway", "door"), "spec.selector", {"istio": "ingressgateway"})
    mesh = small.mesh(gateway)

    workload = mesh.workload(WorkloadRef("istio-system", "istio-ingressgateway"))
    assert (workload.is_gateway, workload.assumed, workload.ports) == (
        True,
        True,
        (WorkloadPort(8443, "https"),),
    )
    assert "the gateway istio-system/istio-ingressgateway is assumed" in str(mesh.notes[0])


def test_a_namespace_that_the_manifests_do_not_hold_is_noted(small: SmallMesh) -> None:
    mesh = small.mesh(without=("Namespace/shop",))

    assert not mesh.workload(small.app_ref).injected
    assert any("do not hold Namespace shop" in str(note) for note in mesh.notes)
    assert (
        load_mesh(small.manifests(without=("Namespace/shop",)), inject_unknown_namespaces=True)
        .workload(small.app_ref)
        .injected
    )


def test_what_only_a_cluster_can_enforce_is_listed(small: SmallMesh) -> None:
    network = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {}}
"""
    limited = small.changed(small.base("Service", "door"), "spec.loadBalancerSourceRanges", ["10.0.0.0/8"])

    first, second = small.mesh(network, limited).not_enforced
    assert "NetworkPolicy shop/closed" in first
    assert "Service edge/door: spec.loadBalancerSourceRanges" in second


@pytest.mark.parametrize(
    "name", ["readiness.status.sidecar.istio.io/periodSeconds", "sidecar.istio.io/statsInclusionPrefixes"]
)
def test_an_annotation_about_probes_and_statistics_changes_nothing(small: SmallMesh, name: str) -> None:
    assert small.mesh(deployment(small, f"{POD}.metadata.annotations", {name: "2"})).refusals == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sidecar.istio.io/interceptionMode", "TPROXY"),
        ("traffic.sidecar.istio.io/includeInboundPorts", "*"),
        ("traffic.sidecar.istio.io/includeOutboundIPRanges", "*"),
        ("traffic.sidecar.istio.io/excludeOutboundPorts", ""),
        ("traffic.sidecar.istio.io/excludeInboundPorts", "15020, 15090"),
    ],
)
def test_an_annotation_that_leaves_all_traffic_to_the_sidecar_changes_nothing(
    small: SmallMesh, name: str, value: str
) -> None:
    assert small.mesh(deployment(small, f"{POD}.metadata.annotations", {name: value})).refusals == ()
