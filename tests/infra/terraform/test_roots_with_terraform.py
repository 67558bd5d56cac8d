"""Terraform plans the roots and the modules of the function with mocked providers (`terraform test`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hcl2
import pytest

from tests.infra.terraform.roots import CONTRACT, GOOGLE

if TYPE_CHECKING:
    from tests.infra.terraform.conftest import Terraform


@pytest.mark.parametrize("folder", ["", "modules/function-platform", "modules/lookup-access"])
def test_terraform_plans_it(terraform: Terraform, folder: str) -> None:
    run = terraform(f"infra/terraform/{folder}").test()
    assert run.failed == [], [*map(str, run.diagnostics)]
    assert len(run.passed) >= 4


def test_terraform_plans_the_root_for_aws_with_the_real_provider(
    terraform: Terraform, aws_provider: None
) -> None:
    run = terraform("infra/terraform/aws").test()
    assert run.failed == [], [*map(str, run.diagnostics)]
    assert len(run.passed) == 2


def test_the_example_that_is_planned_has_the_values_of_the_contract() -> None:
    (given,) = hcl2.loads((GOOGLE / "tests/example.tftest.hcl").read_text())["variables"]
    for name, value in given.items():
        if name.startswith("__"):
            continue
        wanted = CONTRACT[name.upper()]
        plain = [one.strip('"') for one in value] if isinstance(value, list) else value.strip('"')
        assert plain == (wanted.split(",") if isinstance(value, list) else wanted), name
