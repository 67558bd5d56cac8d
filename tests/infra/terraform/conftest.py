"""Fixtures with the real terraform and the schema-only Google provider, each made once for the session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.infra.terraform.provider.schema import schema_file
from tests.infra.terraform.running import TerraformFolder, copy_project, environment

ROOT = Path(__file__).parents[3]

AWS = "registry.terraform.io/hashicorp/aws"

Terraform = Callable[[str | Path], TerraformFolder]


def needs_terraform() -> None:
    """Skip the test where no terraform is installed."""
    if shutil.which("terraform") is None:
        pytest.skip("no terraform is installed: whether it accepts the files of infra/terraform is not shown")


def google_schema() -> Path:
    """Return the schema file, or skip the test where there is none."""
    found = schema_file()
    if found is None:
        pytest.skip(
            "GOOGLE_PROVIDER_SCHEMA names no file: whether the Google provider takes these arguments is not shown"
        )
    return found


def aws_mirror() -> Path | None:
    """Return the filesystem mirror that TERRAFORM_MIRROR names, where the AWS provider is in it."""
    named = os.environ.get("TERRAFORM_MIRROR", "")
    return Path(named) if named and (Path(named) / AWS).is_dir() else None


@pytest.fixture(scope="session")
def terraform_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an offline terraform, with the schema-only Google provider running beside it."""
    needs_terraform()
    schema = google_schema()
    home = tmp_path_factory.mktemp("terraform")
    socket = home / "google.sock"
    provider = subprocess.Popen(
        [sys.executable, "-m", "tests.infra.terraform.provider.serve", str(schema), str(socket)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with provider:
        assert provider.stdout
        assert provider.stdout.readline() == "ready\n"
        yield environment(home, {AWS: found} if (found := aws_mirror()) else {}, socket)


@pytest.fixture(scope="session")
def terraform(terraform_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Run terraform in a folder: `terraform("infra/terraform/modules/network").test()`.

    A relative path is one of the project and is copied with it. An absolute one is used as it is.
    """
    copy: list[Path] = []
    folders: dict[Path, TerraformFolder] = {}

    def run(folder: str | Path) -> TerraformFolder:
        if not copy:
            copy.append(copy_project(ROOT, tmp_path_factory.mktemp("project")))
        path = copy[0] / folder
        return folders.setdefault(path, TerraformFolder(path, terraform_environment))

    return run


@pytest.fixture(scope="session")
def aws_provider() -> None:
    """Skip the test where the real AWS provider lies in no mirror."""
    if aws_mirror() is None:
        pytest.skip(
            "TERRAFORM_MIRROR has no hashicorp/aws: whether the AWS provider accepts the files is not shown"
        )
