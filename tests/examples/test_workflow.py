"""The workflow of the shop's mesh: it is the ready file of docs/ci, so what is tested there holds for it."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml

from tests.docs.pages import ROOT, read
from tests.docs.test_ci_files import FOLDER
from tests.examples.conftest import EXAMPLES

SHOP = EXAMPLES / "policy-tests-in-github-actions"
WORKFLOW = SHOP / ".github/workflows/mesh.yml"


def test_the_workflow_is_the_ready_file() -> None:
    """tests/docs/test_ci_files.py runs each command of that file, and checks its rights and pins."""
    assert WORKFLOW.read_text() == (FOLDER / "github-actions.yml").read_text()


def test_the_workflow_names_what_the_folder_has() -> None:
    variables = yaml.safe_load(WORKFLOW.read_text())["env"]
    assert (SHOP / variables["MANIFESTS"]).is_dir()
    assert (SHOP / variables["CASES"]).is_dir()


def test_meshlab_is_installed_as_the_page_on_ci_says() -> None:
    line = (SHOP / "requirements-mesh.txt").read_text().splitlines()[-1]
    assert line in read("docs/ci.md")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("actionlint", []), ("check-jsonschema", ["--builtin-schema", "vendor.github-workflows"])],
)
def test_a_checker_of_workflows_accepts_it(tool: str, arguments: list[str]) -> None:
    checker = shutil.which(tool)
    if checker is None:
        pytest.skip(f"{tool}, which checks the syntax of a workflow, is not installed")
    done = subprocess.run(
        [checker, *arguments, WORKFLOW], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
