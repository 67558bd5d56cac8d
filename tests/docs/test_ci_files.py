"""The ready files of docs/ci: their rights and pins, and every command of theirs on a small repository."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.docs.pages import ROOT, read
from tests.lab.test_wheel import CASES, MESH

FOLDER = ROOT / "docs/ci"
SCHEMAS = {
    "github-actions.yml": ("vendor.github-workflows",),
    "gitlab-ci.yml": ("vendor.gitlab-ci", "--data-transform=gitlab-ci"),
    "cloudbuild.yaml": ("vendor.cloudbuild",),
}
GITHUB: dict[Any, Any] = yaml.safe_load((FOLDER / "github-actions.yml").read_text())
GITLAB: dict[str, Any] = yaml.safe_load((FOLDER / "gitlab-ci.yml").read_text())
CLOUD_BUILD: dict[str, Any] = yaml.safe_load((FOLDER / "cloudbuild.yaml").read_text())
STEPS: list[dict[str, Any]] = CLOUD_BUILD["steps"]

INSTALL = "pip install -r requirements-mesh.txt"


def on_github() -> dict[str, list[str]]:
    return {
        name: [step["run"] for step in job["steps"] if "run" in step] for name, job in GITHUB["jobs"].items()
    }


def on_gitlab() -> dict[str, list[str]]:
    return {
        name: [*job["script"], *job.get("after_script", [])]
        for name, job in GITLAB.items()
        if isinstance(job, dict) and "script" in job
    }


def on_cloud_build() -> dict[str, list[str]]:
    return {step["id"]: [step["script"]] for step in STEPS}


def commands() -> list[str]:
    """Every line with meshlab of all files."""
    scripts = [*on_github().values(), *on_gitlab().values(), *on_cloud_build().values()]
    lines = [line.strip() for parts in scripts for part in parts for line in part.splitlines()]
    return sorted({line for line in lines if line.startswith("meshlab ")})


@functools.cache
def help_of(command: str) -> str:
    meshlab = Path(sys.executable).parent / "meshlab"
    done = subprocess.run(
        [meshlab, command, "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    return done.stdout if done.returncode == 0 else ""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a mesh and cases, whose second commit lets in one method more."""
    root = tmp_path / "repository"
    (root / "manifests").mkdir(parents=True)
    (root / "cases").mkdir()
    (root / "manifests/mesh.yaml").write_text(MESH.replace("[GET]", "[GET, HEAD]"))
    (root / "cases/cases.yaml").write_text(CASES)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root)
    git(root, "clone", "--quiet", "--bare", ".", str(tmp_path / "origin.git"))
    git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    (root / "manifests/mesh.yaml").write_text(MESH.replace("[GET]", "[GET, HEAD, OPTIONS]"))
    commit(root)
    return root


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(["git", *who, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=a change")


@pytest.fixture(autouse=True)
def tools(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a script find meshlab."""
    tools = [str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(tools))


def run(repository: Path, script: str, *, shell: str = "bash -e", **more: str) -> str:
    """Run a script as the service does, with this environment's meshlab; returns what it prints."""
    tools = os.environ["PATH"]
    if "PATH" in more:
        tools = f"{more.pop('PATH')}{os.pathsep}{tools}"
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "COLUMNS"))
    }
    done = subprocess.run(
        [*shell.split(), "-c", script],
        cwd=repository,
        env={**inherited, "HOME": str(repository.parent), "PATH": tools, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize("file", SCHEMAS)
def test_the_schema_of_the_service_accepts_the_file(file: str) -> None:
    checker = shutil.which("check-jsonschema")
    if checker is None:
        pytest.skip("check-jsonschema, which has the schemas, is not installed")
    schema, *more = SCHEMAS[file]
    done = subprocess.run(
        [checker, "--builtin-schema", schema, *more, FOLDER / file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_page_links_every_file() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(SCHEMAS)
    assert [file for file in SCHEMAS if f"](ci/{file})" not in read("docs/ci.md")] == []


@pytest.mark.parametrize("line", commands())
def test_every_command_has_only_options_that_exist(line: str) -> None:
    command, *arguments = shlex.split(line.partition(" > ")[0])[1:]
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", help_of(command)))
    assert [word for word in arguments if word.startswith("-") and word not in known] == []


# --- GitHub Actions


def test_github_jobs_may_read_and_two_of_them_may_write_one_thing() -> None:
    assert GITHUB["permissions"] == {"contents": "read"}
    writing = {
        name: [right for right, value in job.get("permissions", {}).items() if value == "write"]
        for name, job in GITHUB["jobs"].items()
    }
    assert writing == {
        "lint": ["security-events"],
        "test": [],
        "diff": [],
        "comment": ["pull-requests"],
    }


def test_no_job_of_github_gives_rights_to_the_code_of_a_fork() -> None:
    assert set(GITHUB[True]) == {"pull_request", "push"}  # YAML 1.1 reads the word `on` as true
    uses = {
        name: [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
        for name, job in GITHUB["jobs"].items()
    }
    assert "actions/checkout" not in uses["comment"]
    assert "meshlab" not in "".join(on_github()["comment"]).replace("<!-- meshlab diff -->", "")
    assert GITHUB["jobs"]["comment"]["if"] == "github.event.pull_request.head.repo.fork != true"
    for job in GITHUB["jobs"].values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_every_action_is_named_by_a_commit_with_its_release_beside_it() -> None:
    text = (FOLDER / "github-actions.yml").read_text()
    used = re.findall(r"uses: (.+)", text)
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_no_expression_of_github_reaches_a_shell() -> None:
    assert [part for parts in on_github().values() for part in parts if "${{" in part] == []


def test_an_older_run_of_a_pull_request_ends_and_one_of_the_main_branch_does_not() -> None:
    assert GITHUB["concurrency"]["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"


def test_the_commands_of_lint_and_test_on_github_run(repository: Path) -> None:
    variables = GITHUB["env"]
    install, lint, sarif = on_github()["lint"]
    assert install == INSTALL
    assert "4 objects: nothing found" in run(repository, lint, **variables)
    run(repository, sarif, **variables)
    assert json.loads((repository / "lint.sarif").read_text())["version"] == "2.1.0"
    _, test = on_github()["test"]
    assert "2 passed" in run(repository, test, **variables)
    assert ET.parse(repository / "mesh-junit.xml").getroot().tag == "testsuites"


def test_the_upload_on_github_has_a_file_where_lint_finds_something(repository: Path) -> None:
    mesh = repository / "manifests/mesh.yaml"
    mesh.write_text(
        mesh.read_text().replace(
            "selector: {matchLabels: {app: cart}}", "selector: {matchLabels: {app: card}}"
        )
    )
    run(repository, on_github()["lint"][2], **GITHUB["env"])
    (result,) = json.loads((repository / "lint.sarif").read_text())["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "manifests/mesh.yaml"


def test_the_diff_on_github_is_of_the_pull_request(repository: Path) -> None:
    _, diff = on_github()["diff"]
    run(repository, diff, GITHUB_STEP_SUMMARY=str(repository / "summary"), **GITHUB["env"])
    assert "OPTIONS" in (repository / "diff.md").read_text()
    assert (repository / "summary").read_text() == (repository / "diff.md").read_text()


FAKE = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done >> {log}
echo -- >> {log}
case "$*" in *--paginate*) printf '{found}' ;; esac
cat > {stdin} 2> /dev/null < /dev/stdin || true
"""


def fake(folder: Path, name: str, found: str = "") -> Path:
    """Put a program into a folder that writes down its arguments; returns the file that it writes."""
    folder.mkdir()
    log = folder / "log"
    program = folder / name
    program.write_text(FAKE.format(log=log, found=found, stdin=folder / "stdin"))
    program.chmod(0o755)
    return log


@pytest.mark.parametrize(("found", "method"), [("", "POST"), ("7\n8\n", "PATCH")])
def test_the_comment_on_github_is_written_once_and_changed_later(
    tmp_path: Path, found: str, method: str
) -> None:
    log = fake(tmp_path / "tools", "gh", found.replace("\n", "\\n"))
    (tmp_path / "diff.md").write_text("**now allowed**\n")
    (script,) = on_github()["comment"]
    run(
        tmp_path,
        script,
        PATH=str(tmp_path / "tools"),
        GITHUB_REPOSITORY="team/mesh",
        NUMBER="12",
        GH_TOKEN="t",
    )
    assert (tmp_path / "comment.md").read_text() == "<!-- meshlab diff -->\n**now allowed**\n"
    *_, last, _ = log.read_text().split("--\n")[-3:]
    assert method in last.splitlines()
    comments = "repos/team/mesh/issues/12/comments"
    assert (comments if method == "POST" else "repos/team/mesh/issues/comments/7") in last.splitlines()
    assert "body=@comment.md" in last.splitlines()


def test_a_long_comment_on_github_is_cut_between_two_characters(tmp_path: Path) -> None:
    fake(tmp_path / "tools", "gh")
    (tmp_path / "diff.md").write_text("x" + "é" * 40_000)
    (script,) = on_github()["comment"]
    run(
        tmp_path,
        script,
        PATH=str(tmp_path / "tools"),
        GITHUB_REPOSITORY="team/mesh",
        NUMBER="12",
        GH_TOKEN="t",
    )
    text = (tmp_path / "comment.md").read_text()
    assert text.startswith("<!-- meshlab diff -->\nxé")
    assert 59_000 < len(text.encode()) <= 60_100


# --- GitLab


def test_a_token_for_comments_on_gitlab_is_asked_for_by_one_job_that_runs_no_code_of_the_change() -> None:
    jobs = {name: job for name, job in GITLAB.items() if "MESHLAB_COMMENT_TOKEN" in json.dumps(job)}
    assert list(jobs) == ["mesh-comment"]
    job = jobs["mesh-comment"]
    assert job["variables"] == {"GIT_STRATEGY": "none"}
    assert "before_script" not in job
    assert "extends" not in job
    assert job["rules"] == [
        {"if": "$MESHLAB_COMMENT_TOKEN && $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID"}
    ]


def test_the_commands_of_gitlab_run(repository: Path) -> None:
    variables = GITLAB["variables"]
    assert GITLAB[".mesh"]["before_script"] == [INSTALL]
    for name in ("mesh-lint", "mesh-test"):
        run(repository, "\n".join(on_gitlab()[name]), shell="bash -eo pipefail", **variables)
    assert json.loads((repository / "lint.sarif").read_text())["version"] == "2.1.0"
    assert ET.parse(repository / "mesh-junit.xml").getroot().tag == "testsuites"


def test_the_diff_on_gitlab_is_of_the_merge_request(repository: Path) -> None:
    base = git(repository, "rev-parse", "HEAD^1")
    printed = run(
        repository,
        "\n".join(on_gitlab()["mesh-diff"]),
        shell="bash -eo pipefail",
        CI_MERGE_REQUEST_DIFF_BASE_SHA=base,
        **GITLAB["variables"],
    )
    assert "OPTIONS" in printed


def test_the_token_of_the_comment_on_gitlab_is_in_no_argument(tmp_path: Path) -> None:
    log = fake(tmp_path / "tools", "curl")
    (script,) = on_gitlab()["mesh-comment"]
    variables = {
        "MESHLAB_COMMENT_TOKEN": "glpat-secret",
        "CI_API_V4_URL": "https://gitlab.example/api/v4",
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "12",
    }
    run(tmp_path, script, shell="bash -eo pipefail", PATH=str(tmp_path / "tools"), **variables)
    assert (tmp_path / "tools/stdin").read_text() == 'header = "PRIVATE-TOKEN: glpat-secret"\n'
    arguments = log.read_text().splitlines()
    assert "https://gitlab.example/api/v4/projects/3/merge_requests/12/notes" in arguments
    assert "body@diff.md" in arguments
    assert [word for word in arguments if "secret" in word] == []


# --- Cloud Build


def test_every_image_is_named_by_its_digest_but_for_googles_git() -> None:
    images = {job["image"] for job in GITLAB.values() if isinstance(job, dict) and "image" in job}
    images |= {step["name"] for step in STEPS}
    assert [image for image in images if not re.fullmatch(r"[\w./-]+@sha256:[0-9a-f]{64}", image)] == [
        "gcr.io/cloud-builders/git"
    ]


def test_no_substitution_of_cloud_build_reaches_a_shell_as_text() -> None:
    assert CLOUD_BUILD["options"]["automapSubstitutions"] is True
    assert [
        step["id"] for step in STEPS if "${" in step["script"] or "$_" in json.dumps(step.get("args", []))
    ] == []


def test_the_commands_of_cloud_build_run(repository: Path) -> None:
    substitutions = CLOUD_BUILD["substitutions"]
    assert INSTALL.replace("install", "install --quiet") in on_cloud_build()["install"][0]
    assert "nothing found" in run(repository, on_cloud_build()["lint"][0], **substitutions)
    assert "2 passed" in run(repository, on_cloud_build()["test"][0], **substitutions)
    # A push has no base.
    run(repository, on_cloud_build()["base"][0], **substitutions)
    run(repository, on_cloud_build()["diff"][0], **substitutions)


def test_the_diff_on_cloud_build_is_of_the_pull_request(repository: Path) -> None:
    substitutions = {**CLOUD_BUILD["substitutions"], "_BASE_BRANCH": "main"}
    run(repository, on_cloud_build()["base"][0], **substitutions)
    assert "OPTIONS" in run(repository, on_cloud_build()["diff"][0], **substitutions)
