"""Every fenced block of the pages runs, or says why it does not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from meshlab.env_file import read_env_file

from tests.docs.pages import PAGES, ROOT, Block, blocks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.lab.stack import Lab

_TIMEOUT_S = 90
_PICTURES = ("", "text")
_DATA = ("yaml", "json", "toml", "env")
_RUN = ("python", "sh")

# Pages whose commands are not run here as a whole, and why.
_ELSEWHERE = {
    "docs/deploy.md": "needs a Google Cloud project; tests/deploy checks it against the scripts",
    "docs/benchmarks.md": "its one command takes minutes and keeps every core busy",
    **{page: "tests/examples runs it in its own folder" for page in PAGES if page.startswith("examples/")},
}
# Changed by a page's commands, so a page gets its own; the rest of the checkout is linked.
_COPIED = ("infra", "function")
_LEFT_OUT = (".git", "build", "dist")


def runnable(page: str) -> list[Block]:
    return [block for block in blocks(page) if block.language in _RUN and not block.not_run]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_known_kind_and_runs_or_says_why_not(page: str) -> None:
    for block in blocks(page):
        assert block.language in (*_PICTURES, *_DATA, *_RUN), f"{block.where}: no test checks this language"
        if block.not_run:
            assert len(block.not_run.split()) >= 3, f"{block.where}: the reason says too little"
            assert block.language in _RUN, f"{block.where}: only code can be left unrun"


@pytest.mark.parametrize("page", [page for page in PAGES if page not in _ELSEWHERE and runnable(page)])
def test_the_code_of_the_page_runs_from_top_to_bottom(
    page: str, lab: Lab, commands: Path, tmp_path: Path
) -> None:
    workspace = checkout(tmp_path / "meshpass")
    printed, elsewhere = None, ""
    for block in blocks(page):
        if block.printed and elsewhere:
            assert_compared(elsewhere, block)
        elif block.printed:
            assert printed is not None, f"{block.where}: nothing before it prints"
            assert_shown(block, printed)
        elif block.language in _RUN:
            elsewhere = block.not_run
            if not elsewhere:
                printed = run(block, workspace, lab.environment, commands)


@pytest.mark.parametrize("page", PAGES)
def test_every_shell_block_is_a_script(page: str) -> None:
    for block in blocks(page):
        if block.language == "sh":
            done = subprocess.run(["sh", "-n"], input=block.text, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{block.where}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_data_can_be_read(page: str, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "yaml":
            assert list(yaml.safe_load_all(block.text)), block.where
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "env":
            file = tmp_path / "block.env"
            file.write_text(block.text)
            assert read_env_file(file), block.where


def checkout(directory: Path) -> Path:
    """A fake of a fresh checkout, in which commands may leave files."""
    directory.mkdir()
    for entry in ROOT.iterdir():
        if entry.name in _COPIED:
            shutil.copytree(entry, directory / entry.name, symlinks=True)
        elif entry.name not in _LEFT_OUT:
            (directory / entry.name).symlink_to(entry)
    return directory


def run(block: Block, workspace: Path, environment: Mapping[str, str], commands: Path) -> str:
    """Run a block as a reader would, with the tools of the environment that runs the tests; returns its output."""
    command = ["sh", "-eu"] if block.language == "sh" else [sys.executable, "-W", "error", "-"]
    # A reader has a pipe here, whose width is not that of the terminal that runs the tests.
    own = {"PUBSUB_EMULATOR_HOST", "COLUMNS"}
    inherited = {name: value for name, value in os.environ.items() if name not in own}
    tools = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        input=block.text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=workspace,
        env={**inherited, **(environment if block.language == "python" else {}), "PATH": tools},
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{block.where}:\n{done.stdout}"
    return done.stdout


def assert_compared(reason: str, block: Block) -> None:
    """The test that a block without a run names compares what the page shows with what the command prints."""
    (test,) = re.findall(r"tests/\S+\.py", reason)
    page = block.where.partition(":")[0]
    assert f'assert_page_shows("{page}", ' in (ROOT / test).read_text(), (
        f"{block.where}: {test} compares nothing"
    )


def assert_page_shows(page: str, command: str, printed: str) -> None:
    """For a test that runs a command of a page: the page shows what it prints."""
    found = blocks(page)
    (at,) = [number for number, block in enumerate(found) if block.text == f"{command}\n" and block.not_run]
    assert found[at + 1].printed
    assert_shown(found[at + 1], printed)


def assert_shown(block: Block, printed: str) -> None:
    """Every line of the excerpt is in the output, in this order.

    A line of dots stands for any others, dots at the end of a line for the rest of it.
    """
    rest = iter(map(normal, printed.splitlines()))
    for line in filter(None, map(normal, block.text.splitlines())):
        if line != "...":
            start = line.removesuffix("...")
            found = any(start == each if start == line else each.startswith(start) for each in rest)
            assert found, f"{block.where}: {line!r} is not printed (any more):\n{printed}"


def normal(line: str) -> str:
    """A line without the spaces that a terminal's width decides on."""
    return " ".join(line.split())
