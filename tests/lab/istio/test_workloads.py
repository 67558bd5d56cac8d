"""Deployments and Services: who has a proxy, on which ports, under which identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio import WorkloadPort, WorkloadRef

if TYPE_CHECKING:
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
        (f"{POD}.spec.hostNetwork", True, "hostNetwork: such a pod has no sidecar"),
        (f"{POD}.spec.serviceAccountName", "nobody", "there is no ServiceAccount shop/nobody"),
        (f"{POD}.metadata.labels", {"app": "cart", "sidecar.istio.io/inject": "maybe"}, "neither"),
        (f"{POD}.metadata.labels", {"app": "cart", "istio.io/dataplane-mode": "ambient"}, "does not know"),
        (f"{POD}.metadata.annotations", {"sidecar.istio.io/inject": "true"}, "write it as a label"),
        (
            f"{POD}.metadata.annotations",
            {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"},
            "does not know",
        ),
        (
            f"{POD}.metadata.annotations",
            {"traffic.sidecar.istio.io/excludeOutboundIPRanges": "0.0.0.0/0"},
            "not know",
        ),
        (f"{POD}.metadata.annotations", {"proxy.istio.io/config": "{}"}, "does not know"),
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


def test_a_gateway_template_without_injection_is_refused(small: SmallMesh) -> None:
    bare = namespace("{}").replace("shop", "edge")

    assert "the gateway template needs injection" in small.refusal(bare)


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("istio-injection", "yes", "write enabled or disabled"),
        ("istio.io/dataplane-mode", "ambient", "use sidecars"),
        ("istio.io/use-waypoint", "w", "does not know what this changes"),
    ],
)
def test_a_namespace_label_without_meaning_is_refused(
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
        ("spec.ports.0.name", "web", "port 8080 is not HTTP by name"),
        ("spec.ports.0.appProtocol", "tcp", "port 8080 is not HTTP by name"),
        ("spec.ports.0.protocol", "UDP", "protocol: 'UDP'"),
        ("spec.ports.0.targetPort", "nothing", "no container of shop/cart names a port 'nothing'"),
        ("spec.ports.0.port", 0, "from 1 to 65535"),
        ("spec.ports.0.port", "80", "expected a whole number"),
        ("spec.type", "ExternalName", "'ExternalName' is not supported"),
        ("spec.clusterIP", "None", "headless"),
        ("spec.externalName", "x", "a name outside the cluster"),
        ("spec.sessionAffinity", "ClientIP", "Istio does not honour it"),
        ("spec.externalIPs", ["10.0.0.1"], "does not know this field"),
        ("metadata.annotations", {"networking.istio.io/exportTo": "."}, "does not know what this changes"),
        ("metadata.labels", {"istio.io/use-waypoint": "w"}, "does not know what this changes"),
    ],
)
def test_a_service_that_the_lab_cannot_reproduce_is_refused(
    small: SmallMesh, path: str, value: object, says: str
) -> None:
    assert says in small.refusal(small.changed(small.base("Service", "cart"), path, value))


def test_two_services_must_agree_on_a_ports_protocol(small: SmallMesh) -> None:
    other = small.changed(small.base("Service", "cart"), "metadata.name", "other")
    other = small.changed(other, "spec.ports.0.name", "grpc")

    assert "another protocol" in small.refusal(other)


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
