"""The cluster has what the mesh's manifests and environment expect, and nothing of it is public."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.infra.terraform.conftest import ROOT
from tests.infra.terraform.example import APPLICATIONS, GATEWAYS, cluster, network

if TYPE_CHECKING:
    from tests.infra.terraform.evaluate import Plan

ENVIRONMENT = yaml.safe_load((ROOT / "infra/mesh/environments/example.yaml").read_text())
GATEWAY = yaml.safe_load((ROOT / "infra/mesh/egress/gateway/deployment.yaml").read_text())


@pytest.fixture(scope="module")
def plan() -> Plan:
    return cluster()


@pytest.fixture(scope="module")
def found(plan: Plan) -> dict[str, Any]:
    (one,) = plan.all("google_container_cluster").values()
    return one


def pool(plan: Plan, name: str) -> dict[str, Any]:
    node: dict[str, Any] = plan.resources[f'google_container_node_pool.this["{name}"]']["node_config"][0]
    return node


def test_the_gateway_pool_has_the_label_that_the_gateway_asks_for(plan: Plan) -> None:
    affinity = GATEWAY["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    asked = {one["key"]: one["values"] for term in terms for one in term["matchExpressions"]}
    labels = pool(plan, "gateways")["labels"]
    assert {key: [value] for key, value in labels.items()} == asked
    # A pool's labels are flags of the kubelet, which does not start with one of these.
    assert not [key for key in labels if re.search(r"(^|\.)(kubernetes|k8s)\.io/", key)]
    assert pool(plan, "applications")["labels"] == {}


def test_the_gateway_pool_has_the_taint_that_the_gateway_tolerates(plan: Plan) -> None:
    effects = {"NO_SCHEDULE": "NoSchedule"}
    taints = [
        {"key": one["key"], "operator": "Equal", "value": one["value"], "effect": effects[one["effect"]]}
        for one in pool(plan, "gateways")["taint"]
    ]
    assert taints == GATEWAY["spec"]["template"]["spec"]["tolerations"]
    assert pool(plan, "applications").get("taint", []) == []


def test_only_the_gateway_pool_has_the_tag_with_a_route_to_the_internet(plan: Plan) -> None:
    assert pool(plan, "gateways")["tags"] == [network().outputs["internet_tag"]]
    assert pool(plan, "applications")["tags"] == []


def test_each_pool_runs_as_an_account_of_its_own_that_the_firewall_names(plan: Plan) -> None:
    accounts = {one["account_id"]: address for address, one in plan.all("google_service_account").items()}
    assert set(accounts) == {account.partition("@")[0] for account in (APPLICATIONS, GATEWAYS)}
    for name in ("applications", "gateways"):
        used = pool(plan, name)["service_account"].address
        assert used == f"{accounts[f'meshpass-{name}']}.email"


def test_the_first_pool_runs_as_an_account_that_the_firewall_names(plan: Plan, found: dict[str, Any]) -> None:
    (first,) = found["node_config"]
    assert first["service_account"] == pool(plan, "applications")["service_account"]
    assert first["workload_metadata_config"] == [{"mode": "GKE_METADATA"}]


def test_nodes_have_the_role_of_a_node_and_no_other() -> None:
    plan = cluster(image_repositories={"own": {"project": "p", "location": "l", "repository": "r"}})
    assert {one["role"] for one in plan.all("google_project_iam_member").values()} == {
        "roles/container.defaultNodeServiceAccount"
    }
    repositories = plan.all("google_artifact_registry_repository_iam_member").values()
    assert {one["role"] for one in repositories} == {"roles/artifactregistry.reader"}
    assert len(repositories) == 2


def test_nothing_is_public(plan: Plan, found: dict[str, Any]) -> None:
    private = found["private_cluster_config"][0]
    assert private["enable_private_nodes"] is True
    assert private["enable_private_endpoint"] is True
    assert "cidr_blocks" not in found["master_authorized_networks_config"][0]
    assert all(
        one["network_config"][0]["enable_private_nodes"] is True
        for one in plan.all("google_container_node_pool").values()
    )


def test_nodes_keep_their_own_token(plan: Plan) -> None:
    for name in ("applications", "gateways"):
        node = pool(plan, name)
        assert node["workload_metadata_config"] == [{"mode": "GKE_METADATA"}]
        assert node["metadata"]["disable-legacy-endpoints"] == "true"
        assert node["shielded_instance_config"][0] == {
            "enable_secure_boot": True,
            "enable_integrity_monitoring": True,
        }


def test_the_cluster_is_as_the_environment_says(plan: Plan, found: dict[str, Any]) -> None:
    assert (found["datapath_provider"] == "ADVANCED_DATAPATH") == (ENVIRONMENT["dataPlane"] == "v2")
    node_local = found["addons_config"][0]["dns_cache_config"][0]["enabled"]
    assert node_local == (ENVIRONMENT["dns"]["mode"] == "node-local")
    managed = bool(plan.all("google_gke_hub_feature_membership"))
    assert managed == (ENVIRONMENT["controlPlane"]["mode"] == "managed")


def test_the_cluster_is_regional_and_the_gateway_in_two_zones(plan: Plan, found: dict[str, Any]) -> None:
    assert found["location"].count("-") == 1
    assert cluster(zones=["europe-west1-b"]).refusals
    assert (
        plan.resources['google_container_node_pool.this["gateways"]']["autoscaling"][0]["min_node_count"] == 1
    )


@pytest.mark.parametrize(
    "maintenance",
    [
        {"recurrence": "FREQ=DAILY"},
        {"end": "2026-01-03T05:00:00Z", "recurrence": "FREQ=WEEKLY;BYDAY=MO,WE,SA"},
        {"end": "2026-01-03T13:00:00Z", "recurrence": "FREQ=WEEKLY;BYDAY=SU"},
    ],
)
def test_windows_that_gke_takes_are_taken(maintenance: dict[str, str]) -> None:
    assert cluster(maintenance=maintenance).refusals == []


def test_no_scan_is_asked_for_that_gke_no_longer_has(found: dict[str, Any]) -> None:
    assert found["security_posture_config"] == [
        {"mode": "BASIC", "vulnerability_mode": "VULNERABILITY_DISABLED"}
    ]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"region": "europe-west1-b"}, "region must be a region"),
        ({"release_channel": "UNSPECIFIED"}, "release_channel must be"),
        ({"maintenance": {"end": "2026-01-03T02:00:00Z"}}, "maintenance.start and end"),
        (
            {"maintenance": {"end": "2026-01-03T05:00:00Z"}},
            "maintenance must have 12 hours a week",
        ),
        (
            {"maintenance": {"recurrence": "FREQ=WEEKLY;BYDAY=SA"}},
            "maintenance must have 12 hours a week",
        ),
        ({"trusted_images": ["*"]}, "trusted_images must be patterns"),
        ({"security_group": "all@example.com"}, "security_group must be gke-security-groups@DOMAIN"),
        ({"secrets_key": "key"}, "secrets_key must be"),
        (
            {"secrets_key": "projects/p/locations/l/keyRings/r/cryptoKeys/k"},
            "secrets_key needs project_number",
        ),
        ({"managed_mesh": True}, "managed_mesh needs fleet_project_id"),
        ({"gateway_nodes": {"min_per_zone": 0}}, "gateway_nodes.min_per_zone"),
    ],
)
def test_wrong_values_of_the_cluster_are_refused(values: dict[str, Any], named: str) -> None:
    assert any(named in refusal for refusal in cluster(**values).refusals)
