"""What the root gives from one module to another: order of what is made, images for nodes, every part within reach."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.infra.terraform.evaluate import kind_of
from tests.infra.terraform.roots import EVERYTHING, GOOGLE, PROJECT, google, variables


def blocks(text: str, kind: str) -> list[str]:
    """Return the top-level blocks of a kind."""
    return re.findall(rf"^{kind} [^\n]*{{\n.*?^}}", text, re.MULTILINE | re.DOTALL)


def test_no_module_reads_data_and_the_root_reads_it_before_everything() -> None:
    """A module that waits for APIs reads data after them: with each new API its grants would be replaced."""
    for file in GOOGLE.glob("modules/*/*.tf"):
        assert blocks(file.read_text(), "data") == [], file
    (read,) = blocks((GOOGLE / "main.tf").read_text(), "data")
    assert "depends_on" not in read
    assert "google_project_service" not in read


def test_what_takes_an_address_of_the_nodes_subnet_comes_after_the_gateways_is_reserved() -> None:
    (cluster,) = google().all("google_container_cluster").values()
    assert cluster["subnetwork"] == _node_subnet()
    takers = {
        re.findall(r'^module "(\w+)"', call)[0]: re.findall(
            r"= module\.(\w+)\[0\]\.node_subnet$", call, re.MULTILINE
        )
        for call in blocks((GOOGLE / "main.tf").read_text(), "module")
        if ".node_subnet" in call
    }
    assert takers == {
        "gateway_endpoint": ["network"],
        "cluster": ["gateway_endpoint"],
        "lookup_access": ["gateway_endpoint"],
    }


def _node_subnet() -> Any:  # noqa: ANN401
    (address,) = [
        found for name, found in google().all("google_compute_address").items() if "gateway_endpoint" in name
    ]
    return address["subnetwork"]


def test_nodes_pull_from_the_projects_repository_and_from_those_that_are_named() -> None:
    def readers(**changes: Any) -> set[tuple[str, str]]:  # noqa: ANN401
        return {
            (str(found["project"]), str(getattr(found["repository"], "address", found["repository"])))
            for found in google(**changes).all("google_artifact_registry_repository_iam_member").values()
            if found["role"] == "roles/artifactregistry.reader"
        }

    ((project, repository),) = readers()
    assert project == PROJECT
    assert "meshpass" in repository or "images" in repository
    named = {"shared": {"project": "acme-images", "location": "europe", "repository": "base"}}
    assert readers(image_repositories=named) == {(project, repository), ("acme-images", "base")}


@pytest.mark.parametrize(
    ("changes", "kind", "argument", "value"),
    [
        ({"fleet_project_id": PROJECT}, "google_container_cluster", "fleet", [{"project": PROJECT}]),
        ({"node_zones": ["a-b", "a-c"]}, "google_container_cluster", "node_locations", ["a-b", "a-c"]),
        (
            {"security_group": "gke-security-groups@example.com"},
            "google_container_cluster",
            "authenticator_groups_config",
            [{"security_group": "gke-security-groups@example.com"}],
        ),
        ({"nat": {"min_ports": 2048}}, "google_compute_router_nat", "min_ports_per_vm", 2048),
    ],
)
def test_what_a_module_offers_is_within_reach_of_the_root(
    changes: dict[str, Any], kind: str, argument: str, value: object
) -> None:
    (found,) = google(**changes).all(kind).values()
    assert found[argument] == value
    assert google(**changes).refusals == []


def test_the_managed_mesh_is_a_value_of_the_root() -> None:
    def features(**changes: Any) -> set[str]:  # noqa: ANN401
        return {kind_of(one) for one in google(**changes).resources if "gke_hub" in one}

    assert features() == set()
    assert features(fleet_project_id=PROJECT, managed_mesh=True) == {
        "google_gke_hub_feature",
        "google_gke_hub_feature_membership",
    }


@pytest.mark.parametrize(
    ("api", "changes"),
    [
        ("gkehub", {"fleet_project_id": PROJECT}),
        ("mesh", {"fleet_project_id": PROJECT, "managed_mesh": True}),
        ("vpcaccess", {"function_egress": "connector", "connector_range": "10.8.3.0/28"}),
        ("eventarc", {"function_trigger": "eventarc"}),
        ("cloudkms", {"signing_key": "kms"}),
    ],
)
def test_an_api_is_on_where_something_needs_it(api: str, changes: dict[str, Any]) -> None:
    def services(**values: Any) -> set[str]:  # noqa: ANN401
        return {found["service"] for found in google(**values).all("google_project_service").values()}

    assert f"{api}.googleapis.com" not in services()
    assert f"{api}.googleapis.com" in services(**changes)


def test_the_range_of_lookups_callers_is_compared_with_the_others() -> None:
    values = EVERYTHING | {"lookup_psc_range": "10.8.2.0/26"}
    (refusal,) = google(**values).refusals
    assert "Ranges overlap" in refusal
    assert "lookup_psc_range" in refusal


MODULES_OWN = {
    "cluster": {"deletion_protection", "maintenance", "release_channel"},
    "network": {"function_subnet_users", "google_domains", "node_subnet_users"},
}
"""What a user of the root rarely needs: the module is used directly for it."""


@pytest.mark.parametrize("module", MODULES_OWN)
def test_the_root_gives_every_value_of_a_module_but_those_that_are_listed(module: str) -> None:
    calls = blocks((GOOGLE / "main.tf").read_text(), "module")
    (call,) = [found for found in calls if f'source = "./modules/{module}"' in found]
    given = set(re.findall(r"^  (\w+) +=", call, re.MULTILINE)) - {"source", "count", "depends_on"}
    assert variables(GOOGLE / "modules" / module) - given == MODULES_OWN[module]
