"""The public API is typed: a user's program passes the strictest settings of two type checkers."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import meshpass
import meshpass.testing
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = Path(__file__).parents[2]
_EXAMPLE = Path(__file__).parent / "typing_example"
_FILES = sorted(_EXAMPLE.glob("*.py"))


def pyright(directory: Path, *files: Path) -> list[str]:
    """What pyright in strict mode has to say of these files, one line each."""
    config = directory / "pyrightconfig.json"
    config.write_text(
        json.dumps(
            {
                "typeCheckingMode": "strict",
                "pythonVersion": "3.11",
                "extraPaths": [str(_ROOT / "sdk/src")],
                "include": [os.path.relpath(file, directory) for file in files],
            }
        )
    )
    tool = Path(sys.executable).with_name("basedpyright")
    command = [str(tool), "--outputjson", "--project", str(config), "--pythonpath", sys.executable]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(ran.stdout)
    assert report["summary"]["filesAnalyzed"] == len(files), ran.stderr
    return [
        f"{Path(found['file']).name}:{found['range']['start']['line'] + 1}: {found['message']}"
        for found in report["generalDiagnostics"]
    ]


def mypy(_: Path, *files: Path) -> list[str]:
    """What mypy in strict mode has to say of these files, one line each."""
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, files)]
    ran = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    return [line for line in ran.stdout.splitlines() if ": error: " in line or ": note: " in line]


@pytest.fixture(scope="module", params=[pyright, mypy], ids=["pyright", "mypy"])
def said(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a checker has to say of the user's programs and of a wrong one, in one start: a start is slow."""
    directory = tmp_path_factory.mktemp("typing")
    wrong = directory / "wrong.py"
    wrong.write_text("import meshpass\n\nmeshpass.Client(3, auth=None).get('/').nothing\n")
    check: Callable[..., list[str]] = request.param
    return check(directory, *_FILES, wrong)


def of_the_wrong_program(line: str) -> bool:
    return Path(line.partition(":")[0]).name == "wrong.py"


def test_in_strict_mode_a_checker_has_nothing_to_say_of_a_users_program(said: list[str]) -> None:
    assert [line for line in said if not of_the_wrong_program(line)] == []


def test_a_checker_sees_what_is_wrong(said: list[str]) -> None:
    assert len([line for line in said if of_the_wrong_program(line)]) >= 3


@pytest.mark.parametrize("package", [meshpass, meshpass.testing], ids=lambda package: package.__name__)
def test_the_program_uses_every_public_name(package: object) -> None:
    used = "".join(file.read_text() for file in _FILES)

    assert [name for name in package.__all__ if not re.search(rf"\b{name}\b", used)] == []  # type: ignore[attr-defined]
