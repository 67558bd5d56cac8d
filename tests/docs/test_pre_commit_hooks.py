"""The hooks for pre-commit: what it installs for them, and what they run in a repository."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, blocks
from tests.lab.test_wheel import CASES, MESH, uv

HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
BY_ID = {hook["id"]: hook for hook in HOOKS}
CONFIGURATION = next(
    found
    for block in blocks("docs/ci.md")
    if block.language == "yaml" and (found := yaml.safe_load(block.text)["repos"][0])["repo"] != "local"
)
ARGUMENTS = {
    **{hook["id"]: hook["args"] for hook in CONFIGURATION["hooks"]},
    "meshlab-check": ["-f", "manifests"],
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of manifests and cases, with everything staged."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "cases").mkdir()
    (tmp_path / "manifests/mesh.yaml").write_text(MESH)
    (tmp_path / "cases/cases.yaml").write_text(CASES)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    return tmp_path


def run(hook: str, repository: Path, commands: Path) -> subprocess.CompletedProcess[str]:
    """Run a hook as pre-commit does: its entry, then its arguments, in the root of the repository."""
    command = [*shlex.split(BY_ID[hook]["entry"]), *ARGUMENTS[hook]]
    tools = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": tools, "COLUMNS": "200"}
    return subprocess.run(
        command,
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_every_hook_installs_meshlab_and_looks_at_more_than_the_changed_files() -> None:
    assert sorted(BY_ID) == sorted(ARGUMENTS)
    for hook in HOOKS:
        assert hook["language"] == "python"
        assert hook["additional_dependencies"] == ["./lab"]
        assert hook["pass_filenames"] is False
        assert hook["entry"] == hook["name"]


def test_the_root_that_pre_commit_installs_has_no_module_and_no_dependency(tmp_path: Path) -> None:
    # In a copy: a build may leave files beside the project.
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    uv("build", "--wheel", "--quiet", "--out-dir", str(tmp_path / "dist"), str(tmp_path))
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith("/METADATA")]
        assert [name for name in names if ".dist-info/" not in name] == []
        assert "Requires-Dist" not in archive.read(metadata).decode()


def test_each_hook_passes_and_fails_as_its_command(repository: Path, commands: Path) -> None:
    for hook in sorted(BY_ID):
        done = run(hook, repository, commands)
        assert done.returncode == 0, done.stdout + done.stderr
    mesh = repository / "manifests/mesh.yaml"
    mesh.write_text(MESH.replace("[GET]", "[GET, POST]"))
    assert run("meshlab-test", repository, commands).returncode == 1
    mesh.write_text(MESH.replace("{app: cart}}\n  rules", "{app: card}}\n  rules"))
    done = run("meshlab-lint", repository, commands)
    assert done.returncode == 1
    assert "manifests/mesh.yaml" in done.stdout
    mesh.write_text(MESH.replace("methods", "verbs"))
    assert run("meshlab-check", repository, commands).returncode != 0


def test_pre_commit_itself_runs_the_hooks(repository: Path, tmp_path: Path) -> None:
    program = shutil.which("pre-commit")
    if program is None:
        pytest.skip("pre-commit is not installed")
    # try-repo passes no arguments, so the hooks come from a repository with the arguments in its description.
    source = tmp_path / "source"
    shutil.copytree(ROOT / "lab", source / "lab", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", source)
    described = [{**each, "args": ARGUMENTS[each["id"]]} for each in HOOKS]
    (source / ".pre-commit-hooks.yaml").write_text(yaml.safe_dump(described))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=hooks"]):
        subprocess.run([*git, *arguments], cwd=source, check=True)
    done = subprocess.run(
        [program, "try-repo", str(source), "--all-files", "--verbose"],
        cwd=repository,
        env={**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Passed") == len(HOOKS)
