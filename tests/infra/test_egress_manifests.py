"""What infra/mesh/egress says, object by object: hardening, and ports that are written once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from meshlab.env_file import read_env_file
from meshlab.istio import load_mesh
from meshlab.kustomize import build

if TYPE_CHECKING:
    from meshlab.manifest import Manifest

ROOT = Path(__file__).parents[2]
EGRESS = ROOT / "infra/mesh/egress"
OVERLAY = EGRESS / "overlays/example"

Objects = Mapping[tuple[str, str, str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return build(OVERLAY)


@pytest.fixture(scope="module")
def objects(manifests: list[Manifest]) -> Objects:
    return {(found.kind, found.namespace, found.name): found.body for found in manifests}


@pytest.fixture(scope="module")
def pod(objects: Objects) -> Mapping[str, Any]:
    template: Mapping[str, Any] = objects["Deployment", "istio-egress", "istio-egressgateway"]["spec"][
        "template"
    ]
    return template


def test_the_lab_understands_all_of_it_and_has_nothing_to_note(manifests: list[Manifest]) -> None:
    load_mesh(manifests).require_complete(without_notes=True)


def test_no_kind_is_used_that_managed_control_planes_lack(manifests: list[Manifest]) -> None:
    assert {found.kind for found in manifests} & {"EnvoyFilter", "WasmPlugin", "IstioOperator"} == set()


def test_every_object_that_may_be_exported_says_to_whom(objects: Objects) -> None:
    exporting = ("ServiceEntry", "VirtualService", "DestinationRule")
    found = [body["spec"].get("exportTo") for (kind, _, _), body in objects.items() if kind in exporting]
    assert len(found) >= 15
    assert found == [["."]] * len(found)


def test_no_reference_to_the_contract_is_left(manifests: list[Manifest]) -> None:
    assert [str(found) for found in manifests if "${" in str(found.body)] == []


def test_googles_apis_are_those_of_the_contract(objects: Objects) -> None:
    entry = objects["ServiceEntry", "team-x", "google-apis"]["spec"]
    contract = read_env_file(ROOT / "infra/contract.env")
    assert [endpoint["address"] for endpoint in entry["endpoints"]] == [contract["GOOGLE_APIS_HOST"]]
    assert contract["GOOGLE_APIS_HOST"] in ("private.googleapis.com", "restricted.googleapis.com")


def test_the_gateway_is_injected_as_a_gateway_and_by_label(pod: Mapping[str, Any]) -> None:
    assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"
    assert pod["metadata"]["annotations"] == {"inject.istio.io/templates": "gateway"}


def test_the_gateway_runs_on_its_own_nodes_alone(pod: Mapping[str, Any]) -> None:
    (toleration,) = pod["spec"]["tolerations"]
    assert toleration["key"]
    assert (toleration["operator"], toleration["effect"]) == ("Equal", "NoSchedule")
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    ((expression,),) = [term["matchExpressions"] for term in required["nodeSelectorTerms"]]
    # A kubelet may change other labels of its own node: tests/infra/access/test_node_labels.py.
    assert expression["key"] in (ROOT / "infra/mesh/access/nodes/policy.yaml").read_text()
    assert expression["operator"] == "In"


def test_the_gateway_is_restricted_and_has_its_own_account(pod: Mapping[str, Any], objects: Objects) -> None:
    spec = pod["spec"]
    assert ("ServiceAccount", "istio-egress", spec["serviceAccountName"]) in objects
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    for kind, _, name in objects:
        if kind == "Namespace":
            labels = objects[kind, "", name]["metadata"]["labels"]
            assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
            assert labels["istio-injection"] == "enabled"


def test_the_gateway_is_highly_available(pod: Mapping[str, Any], objects: Objects) -> None:
    (container,) = pod["spec"]["containers"]
    for probe in ("readinessProbe", "startupProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz/ready", "port": 15021}
    keys = {spread["topologyKey"] for spread in pod["spec"]["topologySpreadConstraints"]}
    assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    name = ("istio-egress", "istio-egressgateway")
    assert "replicas" not in objects["Deployment", *name]["spec"]
    assert objects["HorizontalPodAutoscaler", *name]["spec"]["minReplicas"] >= 2
    disruption = objects["PodDisruptionBudget", *name]["spec"]
    assert disruption["maxUnavailable"] == 1
    assert disruption["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_nothing_outside_the_cluster_reaches_the_gateway(objects: Objects) -> None:
    service = objects["Service", "istio-egress", "istio-egressgateway"]["spec"]
    assert service["type"] == "ClusterIP"
    assert {port["name"] for port in service["ports"]} == {"http-originate", "tls-passthrough"}


def test_target_ports_are_written_in_the_service_alone(objects: Objects) -> None:
    targets = {
        str(port["targetPort"])
        for port in objects["Service", "istio-egress", "istio-egressgateway"]["spec"]["ports"]
    }
    written = [
        path
        for path in (EGRESS / "gateway").glob("*.yaml")
        if re.search(rf"\b({'|'.join(targets)})\b", path.read_text())
    ]
    assert written == [EGRESS / "gateway/service.yaml"]
    policies = [
        body
        for (kind, namespace, _), body in objects.items()
        if (kind, namespace) == ("AuthorizationPolicy", "istio-egress")
    ]
    ports = {
        port
        for body in policies
        for rule in body["spec"].get("rules", ())
        for to in rule["to"]
        for port in to["operation"]["ports"]
    }
    assert ports == targets


def test_nothing_is_allowed_in_the_root_nor_at_the_gateway_and_every_policy_selects_it(
    objects: Objects,
) -> None:
    for namespace in ("istio-system", "istio-egress"):
        assert objects["AuthorizationPolicy", namespace, "allow-nothing"]["spec"] == {}
    for (kind, namespace, name), body in objects.items():
        if (kind, namespace) == ("AuthorizationPolicy", "istio-egress") and name != "allow-nothing":
            assert body["spec"]["selector"] == {"matchLabels": {"istio": "egressgateway"}}
            assert body["spec"]["action"] == "ALLOW"
            assert all(rule["from"] and rule["to"] for rule in body["spec"]["rules"])


def mesh_config() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((ROOT / "infra/mesh/platform/mesh-config.yaml").read_text())
    return found


def test_the_mesh_sends_to_registered_hosts_alone_and_so_does_every_team(objects: Objects) -> None:
    assert mesh_config()["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}
    sidecars = [body["spec"] for (kind, _, _), body in objects.items() if kind == "Sidecar"]
    assert sidecars
    assert all(spec["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"} for spec in sidecars)


def test_the_listeners_are_the_gateways_alone(objects: Objects, pod: Mapping[str, Any]) -> None:
    selector = objects["Gateway", "istio-egress", "egress"]["spec"]["selector"]
    assert selector
    assert selector.items() <= pod["metadata"]["labels"].items()


def test_no_host_of_the_gateway_is_a_wildcard(objects: Objects) -> None:
    specs = [
        body.get("spec", {}) for (_, namespace, _), body in objects.items() if namespace == "istio-egress"
    ]
    hosts = [host for spec in specs for host in spec.get("hosts", ())]
    servers = objects["Gateway", "istio-egress", "egress"]["spec"]["servers"]
    hosts += [host for server in servers for host in server["hosts"]]
    assert len(hosts) >= 6
    assert [host for host in hosts if "*" in host] == []


def test_the_gateway_logs_every_connection(objects: Objects) -> None:
    spec = objects["Telemetry", "istio-egress", "egress-gateway"]["spec"]
    assert spec["accessLogging"] == [{"providers": [{"name": "envoy"}]}]
