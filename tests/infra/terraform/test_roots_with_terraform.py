"""Terraform plans the root and the modules of the function with mocked providers (`terraform test`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.infra.terraform.conftest import Terraform


@pytest.mark.parametrize("folder", ["", "modules/function-platform", "modules/lookup-access"])
def test_terraform_plans_it(terraform: Terraform, folder: str) -> None:
    run = terraform(f"infra/terraform/{folder}").test()
    assert run.failed == [], [*map(str, run.diagnostics)]
    assert len(run.passed) >= 4


def test_terraform_plans_the_module_for_aws_with_the_real_provider(
    terraform: Terraform, aws_provider: None
) -> None:
    run = terraform("infra/terraform/modules/aws-lambda").test()
    assert run.failed == [], [*map(str, run.diagnostics)]
    assert len(run.passed) == 2


def test_terraform_validates_the_root_for_aws_with_the_real_provider(
    terraform: Terraform, aws_provider: None
) -> None:
    assert [*map(str, terraform("infra/terraform/aws").validate())] == []
