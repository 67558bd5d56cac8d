"""One version everywhere, and a command that makes the commit and the tag of the next one."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from deploy.steps import RefusalError
from tools import ROOT
from tools.release import changelog, git, licences, prepare, state, tagged, version
from tools.release.packages import LOCKS, PROJECTS

if TYPE_CHECKING:
    from pathlib import Path

FILES = (
    *(f"{folder}/pyproject.toml".lstrip("/") for folder in PROJECTS),
    *LOCKS,
    "README.md",
    "CHANGELOG.md",
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the files that have a version, on a clean main, with an address of its own."""
    for name, value in {"NAME": "a", "EMAIL": "a@example.com"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        text = (ROOT / file).read_text()
        (tmp_path / file).write_text(text.replace("github.com/OWNER/", "github.com/a/"))
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        ["commit", "--quiet", "-m", "x"],
    ):
        git.run(tmp_path, *arguments)
    return tmp_path


def test_the_repository_is_in_a_state_to_release() -> None:
    assert state.problems() == []


@pytest.mark.parametrize("file", [file for file in FILES if file not in ("pyproject.toml", "CHANGELOG.md")])
def test_a_place_with_another_version_is_found(repository: Path, file: str) -> None:
    path = repository / file
    now = version.current(repository)
    text = path.read_text()
    places = [line for line in text.splitlines() if line.startswith((f'version = "{now}"', f"Version {now}"))]
    assert places
    path.write_text(text.replace(places[0], places[0].replace(now, "9.9.9")))
    # A lock may have other packages of the same version: only the project's own count.
    if file not in LOCKS:
        assert version.differences(repository) == [f"{file} has 9.9.9 where pyproject.toml has {now}"]
    path.write_text(
        text.replace(f'name = "meshpass"\nversion = "{now}"', 'name = "meshpass"\nversion = "9.9.8"')
    )
    if file in LOCKS:
        assert version.differences(repository) == [f"{file} has 9.9.8 where pyproject.toml has {now}"]


def test_a_release_is_a_commit_and_a_tag_with_the_version_everywhere(repository: Path) -> None:
    assert prepare.release("7.8.9", "2030-01-02", repository) == "v7.8.9"
    assert version.current(repository) == "7.8.9"
    assert version.differences(repository) == []
    assert changelog.problems((repository / "CHANGELOG.md").read_text(), "7.8.9") == []
    assert git.run(repository, "status", "--porcelain") == ""
    assert git.run(repository, "log", "-1", "--format=%s", "v7.8.9^{commit}") == "Release 7.8.9"
    assert git.run(repository, "cat-file", "-t", "v7.8.9") == "tag"
    assert tagged.problems("v7.8.9", repository) == []
    assert git.run(repository, "diff", "--name-only", "HEAD^").splitlines() == sorted(FILES)
    pins = (repository / "function/pyproject.toml").read_text()
    assert '"meshpass[secretmanager]==7.8.9"' in pins
    assert '"meshpass-contract==7.8.9"' in pins


def test_all_reasons_against_a_release_are_named_at_once_and_nothing_changes(repository: Path) -> None:
    git.run(repository, "tag", "v0.0.1")
    git.run(repository, "switch", "--quiet", "-c", "other")
    changes = repository / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace("github.com/a/", "github.com/OWNER/"))
    before = git.run(repository, "rev-parse", "HEAD")
    with pytest.raises(RefusalError) as refusal:
        prepare.release("0.0.1", "2030-01-02", repository)
    for part in (
        "0.0.1 is not newer",
        "not main",
        "without a commit",
        "v0.0.1 exists",
        "still OWNER/meshpass",
    ):
        assert part in str(refusal.value)
    assert git.run(repository, "rev-parse", "HEAD") == before
    with pytest.raises(RefusalError, match="is no version; write three numbers"):
        prepare.release("1.0rc1", "2030-01-02", repository)


def test_a_commit_that_fails_leaves_nothing_changed(repository: Path) -> None:
    hook = repository / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RefusalError, match="`git commit` failed"):
        prepare.release("7.8.9", "2030-01-02", repository)
    hook.unlink()
    assert git.run(repository, "status", "--porcelain") == ""


def test_a_tag_beside_main_or_of_another_version_is_refused(repository: Path) -> None:
    now = version.current(repository)
    git.run(repository, "switch", "--quiet", "-c", "other")
    git.run(repository, "commit", "--quiet", "--allow-empty", "-m", "not reviewed")
    assert tagged.problems(f"v{now}", repository) == ["the commit is not on main"]
    git.run(repository, "switch", "--quiet", "main")
    assert tagged.problems("v9.9.9", repository) == [
        f"the tag is v9.9.9, and pyproject.toml has version {now}"
    ]


def test_the_locks_follow_from_the_projects() -> None:
    uv = shutil.which("uv", path=str(ROOT / ".venv/bin"))
    assert uv
    done = subprocess.run(
        [uv, "lock", "--check", "--offline"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_licence_is_known_and_on_the_page() -> None:
    found, users = licences.dependencies(), licences.runtime_names()
    assert len(found) > 50
    assert licences.problems(found, users) == []
    page = licences.PAGE.read_text()
    assert [
        one.name for one in found if one.name in users and f"| {one.name} | {one.licence} |" not in page
    ] == []


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ("MIT", "MIT"),
        ("Apache Software License", "Apache-2.0"),
        ("BSD-3-Clause AND (MIT OR Apache-2.0)", "BSD-3-Clause AND (MIT OR Apache-2.0)"),
        ("GPL-3.0-only", ""),
        ("MIT AND GPL-3.0-only", ""),
        ("", ""),
        ("see the file", ""),
    ],
)
def test_only_words_of_the_list_are_a_licence(said: str, expression: str) -> None:
    assert licences.spdx(said) == expression


def test_an_unknown_licence_and_a_strict_one_for_users_are_found() -> None:
    unknown = licences.Dependency("left-pad", "1.0", "", "mine alone")
    strict = licences.Dependency("chardet", "3.0", "LGPL-2.1-or-later", "LGPL")
    either = licences.Dependency("either", "1.0", "LGPL-2.1-or-later OR MIT", "either")
    assert licences.problems([unknown, strict, either], {"chardet", "either"}) == [
        "left-pad 1.0 has the licence 'mine alone', which is in no list of this program",
        "chardet 3.0 has the licence LGPL-2.1-or-later, and users install it",
    ]
    assert licences.problems([strict], set()) == []
