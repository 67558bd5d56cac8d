"""Kinds that may decide a request are read or refused, wherever they come from; the rest is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.istio import WorkloadRef, load_mesh
from meshlab.istio.read.ingress import IngressSettings
from meshlab.istio.read.mesh_config import MeshSettings
from meshlab.manifest import parse_manifests

from tests import yaml_text
from tests.lab.kube import app, gateway_app, mesh_of, namespace, service

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.istio import Mesh

MESH = mesh_of(
    namespace("shop"),
    namespace("edge"),
    app("cart", "shop", ""),
    gateway_app("door", "edge", labels='sidecar.istio.io/inject: "true"'),
    service("cart", "shop", "{port: 80}"),
    service("far", "shop", "{port: 80}", selector=""),
)
CART, DOOR = WorkloadRef("shop", "cart"), WorkloadRef("edge", "door")
FAR = "far.shop.svc.cluster.local"
ISTIO = "networking.istio.io/v1"


def mesh(
    api: str, kind: str, spec: object = None, settings: MeshSettings | None = None, **metadata: object
) -> Mesh:
    it: dict[str, Any] = {"apiVersion": api, "kind": kind, "spec": spec or {}}
    it["metadata"] = {"name": "it", "namespace": "shop", **metadata}
    return load_mesh(parse_manifests(f"{MESH}---\n{yaml_text.write(it)}", "mesh.yaml"), settings)


def silenced(found: Mesh, ref: WorkloadRef, host: str) -> bool:
    return bool(found.untrusted(found.workload(ref), "outbound", host))


@pytest.mark.parametrize(
    ("api", "kind"),
    [
        (ISTIO, "Virtualservice"),
        (ISTIO, "AuthorizationPolicy"),
        ("security.istio.io", "AuthorizationPolicy"),
        ("unheard.istio.io/v1", "Gateway"),
        ("v2", "Secret"),
        ("sailoperator.io/v1", "Istio"),
        ("maistra.io/v2", "ServiceMeshControlPlane"),
        ("gateway.networking.x-k8s.io/v1alpha1", "XListenerSet"),
    ],
)
def test_what_may_decide_and_is_not_known_is_refused_for_all_that_it_could_touch(api: str, kind: str) -> None:
    found = mesh(api, kind)
    assert len(found.refusals) == 1
    assert silenced(found, CART, "any.example")
    assert silenced(found, DOOR, "any.example")


def test_an_operators_object_is_passed_over_where_a_mesh_config_is_given() -> None:
    assert mesh("sailoperator.io/v1", "Istio", settings=MeshSettings()).refusals == ()


BY_NOTE = {"kubernetes.io/ingress.class": "istio"}
ISTIOS = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: door%s}
spec: {controller: istio.io/ingress-controller}
"""
OTHERS = ISTIOS.replace("istio.io/ingress-controller", "k8s.io/ingress-nginx")
USUAL = ", annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}"


@pytest.mark.parametrize(
    ("name", "annotations", "config", "ingress_class", "served"),
    [
        ("istio", {}, IngressSettings(), "", True),
        ("nginx", {}, IngressSettings(), "", False),
        ("", {}, IngressSettings(), "", False),
        ("", {}, IngressSettings("DEFAULT"), "", True),
        ("nginx", {}, IngressSettings("DEFAULT"), "", True),  # the cluster may not have the class
        ("", BY_NOTE, IngressSettings(), "", True),
        ("nginx", BY_NOTE, IngressSettings(), "", True),
        ("istio", {"kubernetes.io/ingress.class": "nginx"}, IngressSettings(), "", False),
        ("", BY_NOTE, IngressSettings(class_name="own"), "", False),
        ("own", {}, IngressSettings(class_name="own"), "", True),
        ("door", {}, IngressSettings(), ISTIOS % "", True),
        ("door", {}, IngressSettings("DEFAULT"), OTHERS % "", False),
        ("", {}, IngressSettings(), ISTIOS % "", False),
        ("", {}, IngressSettings(), ISTIOS % USUAL, True),
        ("", {}, IngressSettings("DEFAULT"), OTHERS % USUAL, False),
        ("istio", BY_NOTE, IngressSettings("OFF"), ISTIOS % USUAL, False),
    ],
)
def test_an_ingress_that_istio_serves_silences_its_gateways(
    name: str, annotations: dict[str, str], config: IngressSettings, ingress_class: str, served: bool
) -> None:
    spec = {"ingressClassName": name} if name else {}
    it = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec}
    it["metadata"] = {"name": "it", "namespace": "shop", "annotations": annotations}
    text = f"{MESH}---{ingress_class or chr(10)}---\n{yaml_text.write(it)}".replace(
        "app: door", "istio: ingressgateway"
    )
    found = load_mesh(parse_manifests(text, "mesh.yaml"), MeshSettings(ingress=config))

    assert silenced(found, DOOR, "any.example") is served
    assert not silenced(found, CART, "any.example")


def test_an_ingress_silences_no_gateway_of_other_labels() -> None:
    found = mesh("networking.k8s.io/v1", "Ingress", {"ingressClassName": "istio"})
    assert len(found.refusals) == 1
    assert not silenced(found, DOOR, "any.example")
    named = MeshSettings(ingress=IngressSettings(gateway="it"))
    text = MESH.replace("app: door", "istio: it")
    it = """apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: it, namespace: shop}
spec: {ingressClassName: istio}
"""
    assert silenced(load_mesh(parse_manifests(f"{text}---\n{it}", "mesh.yaml"), named), DOOR, "any.example")


POLICY = {"action": "DENY", "rules": [{}]}
GATEWAY_API = "gateway.networking.k8s.io/v1"


@pytest.mark.parametrize(
    ("api", "kind", "spec"),
    [
        ("security.istio.io/v1", "AuthorizationPolicy", POLICY),
        (
            ISTIO,
            "ServiceEntry",
            {"hosts": ["a.example"], "ports": [{"number": 80, "name": "h", "protocol": "HTTP"}]},
        ),
        (ISTIO, "WorkloadEntry", {"address": "203.0.113.1", "labels": {"app": "far"}}),
        (
            GATEWAY_API,
            "Gateway",
            {"gatewayClassName": "istio", "listeners": [{"name": "h", "port": 80, "protocol": "HTTP"}]},
        ),
        (GATEWAY_API, "HTTPRoute", {"parentRefs": [{"name": "it"}]}),
        (ISTIO, "EnvoyFilter", {}),
    ],
)
def test_only_an_istiod_of_its_revision_reads_an_object(api: str, kind: str, spec: object) -> None:
    canary = {"istio.io/rev": "canary"}
    unknown = mesh(api, kind, spec, labels=canary)
    other = mesh(api, kind, spec, MeshSettings(revision="default"), labels=canary)
    same = mesh(api, kind, spec, MeshSettings(revision="canary"), labels=canary)
    plain = mesh(api, kind, spec)

    assert "revision is not known" in str(unknown.refusals[0].problems[0])
    assert other.refusals == ()
    assert [each.kind for each in other.passed_over] == [kind]
    assert any("another revision" in str(note) for note in other.notes)
    assert [str(each.problems[0]) for each in same.refusals] == [
        str(each.problems[0]) for each in plain.refusals
    ]
    assert not any("revision" in str(note) for note in same.notes)


def test_every_istiod_reads_services_whatever_their_labels_say() -> None:
    found = mesh("v1", "Service", {"ports": [{"port": 80}]}, labels={"istio.io/rev": "canary"})
    assert found.refusals == ()
    assert "it.shop.svc.cluster.local" in {service.hostname for service in found.services}


def test_endpoints_of_a_service_without_pods_silence_what_is_sent_there() -> None:
    for found in (
        mesh("v1", "Endpoints", name="far"),
        mesh("discovery.k8s.io/v1", "EndpointSlice", labels={"kubernetes.io/service-name": "far"}),
    ):
        assert silenced(found, CART, FAR)
        assert not silenced(found, CART, "cart.shop.svc.cluster.local")


def test_endpoints_that_the_cluster_writes_change_nothing() -> None:
    assert mesh("v1", "Endpoints", name="cart").refusals == ()
    labels = {"kubernetes.io/service-name": "cart"}
    assert mesh("discovery.k8s.io/v1", "EndpointSlice", labels=labels).refusals == ()


def test_a_kind_that_is_not_known_is_named_once(tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    policy = (
        "---\n{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: %s, namespace: shop}}\n"
    )
    role = "---\n{apiVersion: rbac.istio.io/v1alpha1, kind: ServiceRole, metadata: {name: it, namespace: shop}}\n"
    file.write_text(MESH + policy % "a" + policy % "b" + role)
    notes = LocalBench().load(Sources((str(file),))).notes
    assert len([note for note in notes if "CiliumNetworkPolicy shop/a and 1 more: passed over" in note]) == 1
    assert (
        len([note for note in notes if "ServiceRole shop/it: passed over: Istio removed this group" in note])
        == 1
    )


@pytest.mark.parametrize("value", [["cart"], {"a": "b"}, 1, None])
def test_a_selector_that_cannot_be_read_narrows_nothing_down(value: object) -> None:
    spec = {"selector": {"matchLabels": {"app": value}}, "action": "DENY"}
    found = mesh("security.istio.io/v1", "AuthorizationPolicy", spec)
    assert found.untrusted(found.workload(CART), "inbound", None)


def test_a_refused_entry_for_tcp_silences_every_host_because_it_takes_a_port() -> None:
    spec: dict[str, Any] = {"hosts": ["db.example"], "strange": 1}
    spec["ports"] = [{"number": 1, "name": "t", "protocol": "TCP"}]
    assert silenced(mesh(ISTIO, "ServiceEntry", spec), CART, "192.0.2.1")
    spec["ports"] = [{"number": 1, "name": "t", "protocol": "HTTP"}]
    assert not silenced(mesh(ISTIO, "ServiceEntry", spec), CART, "192.0.2.1")


def test_a_refused_workload_entry_silences_the_services_that_may_select_it() -> None:
    assert silenced(mesh(ISTIO, "WorkloadEntry", {"strange": 1}), CART, FAR)
