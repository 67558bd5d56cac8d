"""Modules of infra/terraform: accepted by terraform, tested, described, evaluated as terraform plans them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import hcl2
import pytest
from hcl2.rules.base import AttributeRule, BlockRule, BodyRule

from tests.infra.terraform.conftest import ROOT, Terraform
from tests.infra.terraform.evaluate import Reference, evaluate
from tests.infra.terraform.evaluate.expressions import expression
from tests.infra.terraform.example import MODULES as FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULES = sorted(path.parent.name for path in FOLDER.glob("*/versions.tf"))
# Terraform is asked about the other modules as parts of their roots, and with their own tests.
ALONE = ["cluster", "dataflow", "gateway-endpoint", "network", "pull-worker"]


def read(name: str, file: str) -> str:
    return (FOLDER / name / file).read_text()


@pytest.mark.parametrize("name", ALONE)
def test_terraform_validates_it(terraform: Terraform, name: str) -> None:
    assert [*map(str, terraform(FOLDER.relative_to(ROOT) / name).validate())] == []


@pytest.mark.parametrize("name", ALONE)
def test_its_own_tests_pass(terraform: Terraform, name: str) -> None:
    run = terraform(FOLDER.relative_to(ROOT) / name).test()
    assert not run.failed, "\n".join(map(str, run.diagnostics))
    assert run.passed


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_the_same_files_as_the_others(name: str) -> None:
    names = {path.name for path in (FOLDER / name).iterdir()}
    assert {"README.md", "main.tf", "outputs.tf", "variables.tf", "versions.tf"} <= names


@pytest.mark.parametrize("name", MODULES)
def test_providers_are_pinned_to_what_is_tested(name: str) -> None:
    versions = read(name, "versions.tf")
    pins = dict(re.findall(r'source\s*=\s*"(hashicorp/\w+)".*?version\s*=\s*"([^"]+)"', versions, re.DOTALL))
    assert pins
    assert pins.get("hashicorp/google", "~> 7.45") == "~> 7.45"
    assert 'required_version = ">= 1.11' in versions


@pytest.mark.parametrize("name", MODULES)
def test_every_variable_and_output_is_described(name: str) -> None:
    for file, needed in (("variables.tf", {"description", "type"}), ("outputs.tf", {"description", "value"})):
        for block in hcl2.loads(read(name, file)).get(file.removesuffix("s.tf"), []):
            ((label, body),) = block.items()
            assert needed <= set(body), f"{label} in {name}/{file} lacks {sorted(needed - set(body))}"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_why_its_values_are_hardened(name: str) -> None:
    text = "".join(path.read_text() for path in (FOLDER / name).glob("*.tf") if path.name != "versions.tf")
    assert text.count("# Why: ") >= 5


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


def runs(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the variables of each run that must plan."""
    body = hcl2.parses(path.read_text()).body
    shared = [variables(block.body) for block in blocks(body, "variables")]
    for run in blocks(body, "run"):
        own = [variables(block.body) for block in blocks(run.body, "variables")]
        values = {key: value for one in [*shared, *own] for key, value in one.items()}
        names = {
            str(one.identifier.token.value) for one in run.body.children if isinstance(one, AttributeRule)
        }
        if "expect_failures" not in names:
            yield str(run.labels[1].serialize()).strip('"'), values


def blocks(body: BodyRule, kind: str) -> list[BlockRule]:
    return [one for one in body.children if isinstance(one, BlockRule) and one.labels[0].serialize() == kind]


class Nothing:
    """A scope without names: the variables of a test are literals."""

    def find(self, name: str) -> object:
        raise AssertionError(f"a variable of a test is made from {name}")


def variables(body: BodyRule) -> dict[str, Any]:
    return {
        str(one.identifier.token.value): expression(one.expression, Nothing())
        for one in body.children
        if isinstance(one, AttributeRule)
    }


@pytest.mark.parametrize("name", ALONE)
def test_the_evaluation_is_what_terraform_plans(terraform: Terraform, name: str) -> None:
    plans = terraform(FOLDER.relative_to(ROOT) / name).test().plans
    compared = 0
    for path in sorted((FOLDER / name / "tests").glob("*.tftest.hcl")):
        for run, values in runs(path):
            plan = plans.get(f"tests/{path.name}:{run}")
            if plan is None:
                continue  # applied: terraform shows a state, and no plan
            mine = evaluate(FOLDER / name, values).resources
            changes = [one for one in plan["resource_changes"] if one["mode"] == "managed"]
            theirs = {one["address"]: one["change"]["after"] for one in changes}
            assert set(mine) == set(theirs), run
            assert [found for one in mine for found in differences(mine[one], theirs[one], one)] == [], run
            compared += 1
    assert compared >= 2
