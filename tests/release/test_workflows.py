"""The workflows of GitHub: what they may do, what they run, and what judges of workflows say of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import ROOT, interpreters, other_python

FOLDER = ROOT / ".github"
FILES = sorted((FOLDER / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
JOBS = {f"{name}/{job}": found for name, flow in WORKFLOWS.items() for job, found in flow["jobs"].items()}
STEPS = [(where, step) for where, job in JOBS.items() for step in job["steps"]]
BIN = Path(sys.executable).parent


def judged(*command: str | Path) -> str:
    """What a judge says, empty where it finds nothing."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_schemas_of_github_accept_workflows_and_dependabot() -> None:
    check = BIN / "check-jsonschema"
    assert judged(check, "--builtin-schema", "vendor.github-workflows", *FILES) == ""
    assert judged(check, "--builtin-schema", "vendor.dependabot", FOLDER / "dependabot.yml") == ""


def test_zizmor_finds_nothing_without_the_network() -> None:
    assert judged(BIN / "zizmor", "--offline", "--quiet", "--pedantic", "--no-progress", FOLDER) == ""


def test_zizmor_would_find_an_expression_in_a_shell(tmp_path: Path) -> None:
    text = (FOLDER / "workflows/docs.yml").read_text()
    (tmp_path / "docs.yml").write_text(
        text.replace("make docs", "echo ${{ github.event.pull_request.title }}")
    )
    assert "template-injection" in judged(
        BIN / "zizmor", "--offline", "--quiet", "--no-progress", tmp_path / "docs.yml"
    )


def test_actionlint_finds_nothing() -> None:
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("actionlint is not on the PATH; it would check expressions and scripts of the workflows")
    assert judged(actionlint, *FILES) == ""


def test_a_workflow_has_no_right_and_each_job_names_its_own() -> None:
    assert {name: flow["permissions"] for name, flow in WORKFLOWS.items()} == {name: {} for name in WORKFLOWS}
    assert [where for where, job in JOBS.items() if "permissions" not in job] == []
    writing = {
        where: sorted(right for right, value in job["permissions"].items() if value == "write")
        for where, job in JOBS.items()
        if "write" in job["permissions"].values()
    }
    assert writing == {
        "codeql/analyze": ["security-events"],
        "release/attest": ["attestations", "id-token"],
        "release/github": ["contents"],
        "release/pypi": ["id-token"],
        "scorecard/scorecard": ["id-token", "security-events"],
    }


def test_a_job_with_an_identity_runs_no_code_of_the_project() -> None:
    for where in ("release/attest", "release/pypi", "release/github"):
        steps = JOBS[where]["steps"]
        assert not [step for step in steps if step.get("uses", "").startswith("actions/checkout@")], where
        commands = " ".join(step.get("run", "") for step in steps)
        assert not re.search(r"\b(make|python|pip|uv|\.ci/run)\b", commands), where


def test_publishing_needs_the_environment_and_no_token() -> None:
    job = JOBS["release/pypi"]
    assert job["environment"]["name"] == "pypi"
    assert job["needs"] == ["build", "attest"]
    assert "secrets." not in "".join(file.read_text() for file in FILES)
    assert WORKFLOWS["release"][True] == {
        "push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}
    }  # YAML 1.1 reads `on` as true


def test_every_job_has_a_name_and_a_limit_and_every_workflow_one_run_at_a_time() -> None:
    assert [where for where, job in JOBS.items() if not (job["timeout-minutes"] <= 60 and job["name"])] == []
    assert [name for name, flow in WORKFLOWS.items() if not flow["concurrency"]["group"]] == []


def test_no_workflow_gives_rights_to_the_code_of_a_fork() -> None:
    assert [
        name for name, flow in WORKFLOWS.items() if {"pull_request_target", "workflow_run"} & set(flow[True])
    ] == []
    checkouts = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


def test_every_action_is_named_by_a_commit_and_one_action_by_one_commit() -> None:
    used = [line for file in FILES for line in re.findall(r"uses: (.+)", file.read_text())]
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []
    by_action: dict[str, set[str]] = {}
    for line in [*used, *re.findall(r"uses: (.+)", (ROOT / "docs/ci/github-actions.yml").read_text())]:
        action, _, commit = line.partition("@")
        by_action.setdefault("/".join(action.split("/")[:2]), set()).add(commit)
    assert {action: commits for action, commits in by_action.items() if len(commits) > 1} == {}


def test_a_workflow_runs_what_a_contributor_runs() -> None:
    runs = {step["run"] for _, step in STEPS if "run" in step}
    assert {".ci/run", "make docs", "make dist", "make setup"} <= runs
    ours = [line for run in runs for line in re.findall(r"-m (tools\.[\w.]+)", run)]
    assert ours
    for module in ours:
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for run in runs for word in re.findall(r"^make ([a-z-]+)", run, re.MULTILINE)}
    assert named - targets - {"docs"} == set()  # the site's own target
    script = (ROOT / ".ci/run").read_text().splitlines()
    assert script[-1] == "make test"  # pytest's closing line stays the last
    assert {"make lint", ".venv/bin/python -m tools.other_python"} <= set(script)


def test_the_matrix_is_what_the_packages_say_they_support() -> None:
    matrix = JOBS["ci/test"]["strategy"]["matrix"]["python"]
    assert sorted(matrix, reverse=True) == sorted(interpreters.SUPPORTED, reverse=True)
    for folder in ("sdk", "lab", "function", "infra/contract", "infra/generator"):
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
        named = [each.rpartition(" ")[2] for each in project["classifiers"] if re.search(r":: 3\.\d+$", each)]
        assert named == matrix, folder
        assert project["requires-python"] == f">={matrix[0]}"


def test_owners_forms_and_hooks_name_what_exists() -> None:
    for line in (FOLDER / "CODEOWNERS").read_text().splitlines():
        if line.startswith("/"):
            assert (ROOT / line.split()[0].strip("/")).exists(), line
    for form in (FOLDER / "ISSUE_TEMPLATE").glob("*.yml"):
        found = yaml.safe_load(form.read_text())
        assert form.name == "config.yml" or {"name", "description", "body"} <= set(found), form.name
    for hook in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]:
        assert (BIN / Path(hook["entry"].split()[0]).name).exists(), hook["id"]
    container = re.sub(
        r"^//.*$", "", (ROOT / ".devcontainer/devcontainer.json").read_text(), flags=re.MULTILINE
    )
    assert json.loads(container)["postCreateCommand"] == "make setup"


def test_the_selection_for_another_python_exists_and_imports_every_package() -> None:
    assert [path for path in other_python.SELECTION if not (ROOT / path).exists()] == []
    packages = {module.partition(".")[0] for module in other_python.modules()}
    assert packages == {"meshpass", "meshlab", "enrichment", "meshcontract", "meshgen"}


def test_without_another_python_the_selection_is_skipped_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interpreters, "find", lambda _: None)
    assert other_python.main([]) == 0
    assert (
        capsys.readouterr().out
        == "other Python: skipped, because this machine has none of 3.14, 3.13, 3.12, 3.11\n"
    )


def test_an_interpreter_whose_name_does_not_run_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "python3.14"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert interpreters.find("3.14") != shim
