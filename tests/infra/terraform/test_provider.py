"""The schema-only provider refuses what the real one refuses, and nothing that is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.terraform.conftest import ROOT, Terraform
from tests.infra.terraform.provider.argument_rules import UNKNOWN, problems

if TYPE_CHECKING:
    from tests.infra.terraform.running import Diagnostic, TerraformFolder

VERSIONS = """terraform {
  required_version = ">= 1.11"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45"
    }
  }
}
"""

RIGHT = """
resource "google_compute_network" "this" {
  name                    = "example"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  name          = "example"
  network       = google_compute_network.this.id
  ip_cidr_range = "10.0.0.0/24"
  log_config {
    aggregation_interval = "INTERVAL_5_SEC"
  }
}

resource "google_secret_manager_secret" "this" {
  secret_id = "example"
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "this" {
  secret                 = google_secret_manager_secret.this.id
  secret_data_wo         = "not in the state"
  secret_data_wo_version = 1
}

data "google_project" "this" {
  project_id = "example"
}

output "number" {
  value = data.google_project.this.number
}
"""

CONFLICT = """resource "google_cloudfunctions2_function" "a" {
  name     = "a"
  location = "europe-west1"
  service_config {
    vpc_connector = "c"
    direct_vpc_network_interface {}
  }
}"""

# Each is one file: what is wrong in it, and what terraform must say about it.
MISTAKES = {
    "unknown_argument": (
        'resource "google_compute_network" "a" {\n  name = "a"\n  colour = "red"\n}',
        'An argument named "colour" is not expected here',
    ),
    "unknown_block": (
        'resource "google_compute_network" "a" {\n  name = "a"\n  colour {}\n}',
        'Blocks of type "colour" are not expected here',
    ),
    "missing_argument": (
        'resource "google_compute_network" "a" {}',
        'The argument "name" is required',
    ),
    "second_block": (
        'resource "google_secret_manager_secret" "a" {\n  replication {}\n  replication {}\n}',
        "replication",
    ),
    "wrong_type": (
        'resource "google_compute_network" "a" {\n  name = "a"\n  mtu = "wide"\n}',
        "a number is required",
    ),
    "unknown_attribute": (
        'resource "google_compute_network" "a" {\n  name = google_compute_network.right.colour\n}',
        'This object has no argument, nested block, or exported attribute named "colour"',
    ),
    "unknown_resource": (
        'resource "google_compute_nettwork" "a" {}',
        'does not support resource type "google_compute_nettwork"',
    ),
    "unknown_data_source": (
        'data "google_projekt" "a" {}',
        'does not support data source "google_projekt"',
    ),
    "read_only": (
        'resource "google_compute_network" "a" {\n  name = "a"\n  self_link = "s"\n}',
        "self_link is read-only",
    ),
    "value": (
        'resource "google_compute_network" "a" {\n  name = "a"\n  routing_mode = "LOCAL"\n}',
        "routing_mode is 'LOCAL', and takes REGIONAL, GLOBAL.",
    ),
    "conflict": (CONFLICT, "conflicts with service_config.0."),
    "exactly_one_of": (
        'resource "google_secret_manager_secret" "a" {\n  secret_id = "a"\n  replication {}\n}',
        "needs exactly one of replication.0.auto, replication.0.user_managed, and has 0.",
    ),
    "required_with": (
        'resource "google_vpc_access_connector" "a" {\n  name = "a"\n  ip_cidr_range = "10.8.0.0/28"\n}',
        "needs network beside it",
    ),
}


@pytest.fixture(scope="module")
def module(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> TerraformFolder:
    folder = tmp_path_factory.mktemp("right")
    (folder / "versions.tf").write_text(VERSIONS)
    (folder / "main.tf").write_text(RIGHT)
    (folder / "right.tftest.hcl").write_text(
        'mock_provider "google" {}\n\nrun "plan" {\n  command = plan\n}\n\nrun "apply" {}\n'
        'run "wrong" {\n  command = plan\n  assert {\n    condition = google_compute_network.this.name == "other"\n'
        '    error_message = "another name"\n  }\n}\n'
    )
    return terraform(folder)


def test_right_arguments_are_valid(module: TerraformFolder) -> None:
    assert module.validate() == []


def test_a_mocked_provider_plans_and_applies(module: TerraformFolder) -> None:
    run = module.test()
    assert run.passed == ["right.tftest.hcl:plan", "right.tftest.hcl:apply"], [*map(str, run.diagnostics)]
    names = {found["address"] for found in run.plans["right.tftest.hcl:plan"]["resource_changes"]}
    assert "google_compute_subnetwork.this" in names


def test_a_failed_assertion_is_reported(module: TerraformFolder) -> None:
    run = module.test()
    assert run.failed == ["right.tftest.hcl:wrong"]
    assert [found.detail for found in run.diagnostics] == ["another name"]


@pytest.fixture(scope="module")
def found(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> list[Diagnostic]:
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "right.tf").write_text(
        VERSIONS + 'resource "google_compute_network" "right" {\n  name = "right"\n}\n'
    )
    for name, (text, _) in MISTAKES.items():
        (folder / f"{name}.tf").write_text(text.replace('"a" {', f'"{name}" {{') + "\n")
    return terraform(folder).validate()


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused(found: list[Diagnostic], name: str) -> None:
    here = [str(one) for one in found if one.place.startswith(f"{name}.tf:")]
    assert any(MISTAKES[name][1] in one for one in here), here


STRING: dict[str, Any] = {"type": "string", "optional": True}


def block(**arguments: dict[str, Any]) -> dict[str, Any]:
    """A schema with a repeated block `part` that has the arguments, and an argument `top` beside it."""
    part = {
        "nesting_mode": "list",
        "block": {"attributes": {name: STRING | found for name, found in arguments.items()}},
    }
    return {"attributes": {"top": STRING}, "block_types": {"part": part}}


RULES = {
    "a value": (block(a={"values": ["x"]}), [{"a": "y"}], "is 'y', and takes x."),
    "a value of an element": (block(a={"values": ["x"]}), [{"a": ["x", "y"]}], "is 'y', and takes x."),
    "too little": (block(a={"range": [2, None]}), [{"a": 1}], "is 1, and takes 2 or more."),
    "too much": (block(a={"range": [None, 2]}), [{"a": "3"}], "is 3, and takes 2 or less."),
    "too few elements": (block(a={"min_items": 1}), [{"a": []}], "has 0 elements, and needs at least 1."),
    "too many elements": (
        block(a={"max_items": 1}),
        [{"a": ["x", "y"]}],
        "has 2 elements, and takes at most 1.",
    ),
    "conflict": (block(a={"conflicts_with": ["part.0.b"]}), [{"a": "", "b": ""}], "conflicts with part.0.b."),
    "conflict in the second block": (
        block(a={"conflicts_with": ["part.0.b"]}),
        [{"b": ""}, {"a": "", "b": ""}],
        "conflicts with part.0.b.",
    ),
    "required with": (block(a={"required_with": ["top"]}), [{"a": ""}], "needs top beside it."),
    "none of one": (
        block(a={"exactly_one_of": ["part.0.a", "part.0.b"]}),
        [{}],
        "needs exactly one of part.0.a, part.0.b, and has 0.",
    ),
    "two of one": (
        block(a={"exactly_one_of": ["part.0.a", "part.0.b"]}),
        [{"a": "", "b": ""}],
        "needs exactly one of part.0.a, part.0.b, and has 2.",
    ),
    "none of several": (
        block(a={"at_least_one_of": ["part.0.a", "part.0.b"]}),
        [{}],
        "needs at least one of part.0.a, part.0.b.",
    ),
    "read-only": (
        block(a={"optional": False, "computed": True}),
        [{"a": ""}],
        "is read-only: the service decides it.",
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_between_arguments_is_kept(name: str) -> None:
    schema, parts, expected = RULES[name]
    assert [problem.text for problem in problems(schema, {"part": parts})] == [expected]


@pytest.mark.parametrize(
    ("schema", "parts"),
    [
        (block(a={"values": ["x"]}), [{"a": "x"}, {"a": ""}, {"a": None}, {"a": UNKNOWN}]),
        (block(a={"range": [1, 3]}), [{"a": 1}, {"a": 3}, {"a": UNKNOWN}]),
        (block(a={"conflicts_with": ["part.0.b"]}), [{"a": ""}, {"b": ""}, {"a": "", "b": UNKNOWN}]),
        (block(a={"required_with": ["part.0.b"]}), [{"b": ""}, {"a": "", "b": ""}, {"a": "", "b": UNKNOWN}]),
        (block(a={"exactly_one_of": ["part.0.a", "part.0.b"]}), [{"a": ""}, {"b": ""}, {"a": UNKNOWN}]),
        (block(a={"at_least_one_of": ["part.0.a", "part.0.b"]}), [{"a": "", "b": ""}, {"b": UNKNOWN}]),
        # A rule of a block is judged only where the block is.
        (block(a={"at_least_one_of": ["part.0.a"]}), []),
    ],
)
def test_what_is_right_or_not_known_yet_is_accepted(
    schema: dict[str, Any], parts: list[dict[str, Any]]
) -> None:
    assert problems(schema, {"part": parts}) == []


def test_an_empty_list_of_blocks_is_not_set() -> None:
    schema = block(a={})
    schema["attributes"]["top"] = STRING | {"conflicts_with": ["part"]}
    assert problems(schema, {"top": "", "part": []}) == []
    assert [one.text for one in problems(schema, {"top": "", "part": [{}]})] == ["conflicts with part."]


def test_no_lock_file_names_the_checksum_of_this_provider() -> None:
    for lock in (ROOT / "infra/terraform").rglob(".terraform.lock.hcl"):
        # A registry gives a `zh:` checksum for each platform, a filesystem mirror gives none.
        assert "zh:" in lock.read_text(), f"{lock} was not written by a run against the registry"
