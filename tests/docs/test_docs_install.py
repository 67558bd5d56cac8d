"""Installation: nothing of this project is published, so that each command that is shown works in a clone."""

from __future__ import annotations

import re
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
from meshpass._install import install_hint

from tests.docs.pages import PAGES, ROOT, read

if TYPE_CHECKING:
    from pathlib import Path

# The packages of this project by the folder that installs them; `meshpass` in another place is the SDK.
FOLDERS = {
    "meshpass": "sdk",
    "meshpass-function": "function",
    "meshlab": "lab",
    "meshpass-contract": "infra/contract",
    "meshgen": "infra/generator",
}

_INSTALLER = re.compile(r"\b(?:pip3?|uv pip|pipx) install\b|\buv (?:add|tool install)\b")
_BY_NAME = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})(?:\[[\w,]+\])?(?![\w-])")
_FOLDER = re.compile(r"\./((?:sdk|lab|function|infra/contract|infra/generator)\b)(?:\[([\w,]+)\])?")


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py", "*.toml", "*.sh", "deploy/*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and not name.startswith("tests/")]


def commands(text: str) -> list[str]:
    """What follows an installer in a line, up to a comment or the end of the quotation."""
    return [
        re.split(r"#|`|\\n", line[found.end() :])[0]
        for line in text.splitlines()
        for found in _INSTALLER.finditer(line)
    ]


def by_name(text: str) -> list[str]:
    wrong = [command for command in commands(text) if _BY_NAME.search(command)]
    return wrong + re.findall(r"[Ii]nstall[^\S\n]+`?mesh(?:pass|lab)\b[^\n]*", text)


@pytest.mark.parametrize(
    "wrong", ["pip install meshpass", 'uv add "meshpass[cli]"', "Install `meshpass[google]`."]
)
def test_a_name_that_no_registry_has_is_found(wrong: str) -> None:
    assert by_name(f"x {wrong} y")
    assert not by_name(f'pip install "./sdk[cli]"  # {wrong.split()[-1]}')


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_no_page_installs_by_a_name_that_no_registry_has(page: str) -> None:
    assert by_name(read(page)) == []


def test_no_program_does_so_either() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): by_name(path.read_text(errors="replace"))
        for path in sources()
        if path.is_file()
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_every_folder_and_extra_that_is_installed_is_there() -> None:
    texts = [read(page) for page in PAGES] + [
        path.read_text(errors="replace") for path in sources() if path.is_file()
    ]
    shown = {found for text in texts for command in commands(text) for found in _FOLDER.findall(command)}
    shown |= set(_FOLDER.findall(install_hint("cli")))

    assert ("sdk", "cli") in shown
    for folder, extras in shown:
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
        known = project.get("optional-dependencies", {})
        assert [extra for extra in extras.split(",") if extra and extra not in known] == [], folder


@pytest.mark.parametrize("extra", ["cli", "google", "secretmanager"])
def test_the_hint_of_the_sdk_names_an_extra_that_there_is(extra: str) -> None:
    project = tomllib.loads((ROOT / "sdk/pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]
    assert f'pip install "./sdk[{extra}]"' in install_hint(extra)
