"""Every module and root below infra/terraform: accepted by terraform, tested, typed, described."""

import re
from collections.abc import Callable
from pathlib import Path

import hcl2
import pytest

from tests.infra.terraform.conftest import AWS, ROOT, Terraform
from tests.infra.terraform.evaluate import Plan, Reference
from tests.infra.terraform.example import cluster, endpoint, network

TERRAFORM = ROOT / "infra/terraform"
FOLDERS = sorted(
    {path.parent.relative_to(ROOT) for path in TERRAFORM.rglob("*.tf") if ".terraform" not in path.parts}
)
MODULES = [folder for folder in FOLDERS if folder.parent.name == "modules"]
TESTED = [folder for folder in FOLDERS if list((ROOT / folder / "tests").glob("*.tftest.hcl"))]


def read(folder: Path, name: str) -> str:
    path = ROOT / folder / name
    return path.read_text() if path.exists() else ""


@pytest.fixture
def accepted(request: pytest.FixtureRequest, terraform: Terraform) -> Terraform:
    """Terraform, where the providers of the folder under test are there."""
    folder = request.node.callspec.params["folder"]
    if AWS.removeprefix("registry.terraform.io/") in "".join(
        path.read_text() for path in (ROOT / folder).glob("*.tf")
    ):
        request.getfixturevalue("aws_provider")
    return terraform


# `terraform test` validates what it plans.
@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder not in TESTED], ids=str)
def test_terraform_validates_it(accepted: Terraform, folder: Path) -> None:
    assert [*map(str, accepted(folder).validate())] == []


@pytest.mark.parametrize("folder", TESTED, ids=str)
def test_its_own_tests_pass(accepted: Terraform, folder: Path) -> None:
    run = accepted(folder).test()
    assert not run.failed, "\n".join(map(str, run.diagnostics))
    assert run.passed


def test_every_module_has_tests() -> None:
    assert [module for module in MODULES if module not in TESTED] == []


@pytest.mark.parametrize("folder", MODULES, ids=str)
def test_a_module_has_the_same_files_as_the_others(folder: Path) -> None:
    names = {path.name for path in (ROOT / folder).iterdir()}
    assert {"README.md", "main.tf", "outputs.tf", "variables.tf", "versions.tf"} <= names


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_providers_are_pinned_to_what_is_tested(folder: Path) -> None:
    versions = read(folder, "versions.tf")
    pins = dict(re.findall(r'source\s*=\s*"(hashicorp/\w+)".*?version\s*=\s*"([^"]+)"', versions, re.DOTALL))
    assert pins
    assert pins.get("hashicorp/google", "~> 7.45") == "~> 7.45"
    assert 'required_version = ">= 1.11"' in versions


@pytest.mark.parametrize("folder", MODULES, ids=str)
def test_every_variable_and_output_is_described(folder: Path) -> None:
    for name, needed in (("variables.tf", {"description", "type"}), ("outputs.tf", {"description", "value"})):
        for block in hcl2.loads(read(folder, name)).get(name.removesuffix("s.tf"), []):
            ((label, body),) = block.items()
            assert needed <= set(body), f"{label} in {folder}/{name} lacks {sorted(needed - set(body))}"


@pytest.mark.parametrize("folder", MODULES, ids=str)
def test_a_module_says_why_its_values_are_hardened(folder: Path) -> None:
    text = "".join(path.read_text() for path in (ROOT / folder).glob("*.tf") if path.name != "versions.tf")
    assert text.count("# Why: ") >= 5
    assert [line for line in text.splitlines() if re.search(r"#\s*why\b(?!: )", line, re.IGNORECASE)] == []


def differences(mine: object, theirs: object, where: str) -> list[str]:
    """Return where an evaluated value differs from the plan's. What is a reference here is left out."""
    if isinstance(mine, Reference):
        return []
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return [
            found
            for key, value in mine.items()
            for found in differences(value, theirs.get(key), f"{where}.{key}")
        ]
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        # Terraform orders sets by their elements.
        if all(isinstance(one, str) for one in [*mine, *theirs]):
            return [] if sorted(mine) == sorted(theirs) else [f"{where}: {mine} and {theirs}"]
        return [
            found for one, other in zip(mine, theirs, strict=True) for found in differences(one, other, where)
        ]
    if isinstance(mine, list) and not mine and theirs is None:
        return []
    return [] if mine == theirs else [f"{where}: {mine!r} and {theirs!r}"]


@pytest.mark.parametrize(
    ("folder", "run", "mine"),
    [
        ("network", "tests/network.tftest.hcl:default", network),
        ("cluster", "tests/cluster.tftest.hcl:shipped", cluster),
        ("gateway-endpoint", "tests/gateway_endpoint.tftest.hcl:shipped", endpoint),
    ],
)
def test_it_is_what_terraform_plans(
    terraform: Terraform, folder: str, run: str, mine: Callable[[], Plan]
) -> None:
    plan: Plan = mine()
    changes = terraform(f"infra/terraform/modules/{folder}").test().plans[run]["resource_changes"]
    theirs = {one["address"]: one["change"]["after"] for one in changes if one["mode"] == "managed"}
    assert set(plan.resources) == set(theirs)
    found = [
        found
        for address, values in plan.resources.items()
        for found in differences(values, theirs[address], address)
    ]
    assert found == []
