"""The pytest plugin as users run it: a process of its own, found by its entry point, with real Envoys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_wheel import CASES, MESH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SETTINGS = (
    "[pytest]\nmeshlab_cases = cases.yaml\nmeshlab_manifests = mesh.yaml\naddopts = -p no:cacheprovider\n"
    "filterwarnings = error\n"
)
COVERED = "coverage 100 %: 2 of 2"
_TIMEOUT_S = 300
"""So long that only a run that hangs takes it."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A directory with a mesh, three cases and the settings of pytest; its runs of the mesh lie below it."""
    (tmp_path / "mesh.yaml").write_text(MESH)
    (tmp_path / "cases.yaml").write_text(
        CASES + "  - {name: a wrong one, request: POST http://cart.shop/, expect: 200 shop/cart}\n"
    )
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "runs").mkdir()
    return tmp_path


def start(repository: Path, *arguments: str) -> subprocess.Popen[str]:
    own = ("PYTEST_", "COLUMNS", "CI")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=repository,
        env={**inherited, "TMPDIR": str(repository / "runs"), "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(repository: Path, *arguments: str) -> tuple[int, str]:
    process = start(repository, *arguments)
    printed, _ = process.communicate(timeout=_TIMEOUT_S)
    return process.returncode, printed


def left_behind(repository: Path) -> list[Path]:
    """What runs of the mesh have not deleted; each has its keys and logs in a directory of its own."""
    return [path for path in (repository / "runs").iterdir() if not path.name.startswith("pytest-of-")]


def covered(printed: str) -> str:
    """Return the last line of the section on coverage."""
    assert "= coverage of the cases of meshlab =" in printed, printed
    return next(line for line in printed.splitlines() if line.startswith("coverage ") and "%" in line)


def test_cases_pass_and_fail_on_real_envoys(repository: Path) -> None:
    code, printed = run(repository, "-v", "--meshlab-coverage")
    assert code == 1, printed
    assert "cases.yaml::a read PASSED" in printed
    assert "cases.yaml::a write PASSED" in printed
    assert "  expected  200 by the application of shop/cart\n" in printed
    assert (
        "  got       403 by the proxy of shop/cart: no ALLOW policy matched, saying 'RBAC: access denied'\n"
        in printed
    )
    assert "  hops      1. shop/caller outbound 80: 403 passed on to the proxy of shop/cart\n" in printed
    assert "            2. shop/cart inbound 8080: 403 no ALLOW policy matched\n" in printed
    assert "FAILED cases.yaml::a wrong one - status: expected 200, got 403" in printed
    assert covered(printed) == COVERED
    assert left_behind(repository) == []


def test_each_process_of_xdist_has_a_mesh_of_its_own(repository: Path) -> None:
    (repository / "cases.yaml").write_text(CASES)
    code, printed = run(repository, "-n", "2", "-v", "--meshlab-coverage-min", "100")
    assert "2 passed" in printed
    # The cases of each process alone exercise less.
    assert covered(printed) == COVERED
    assert code == 0, printed
    assert "[gw0]" in printed
    assert "[gw1]" in printed
    assert left_behind(repository) == []


def test_a_run_that_passes_fails_below_the_least_coverage(repository: Path) -> None:
    code, printed = run(repository, "-k", "read", "--meshlab-coverage-min", "60")
    assert "1 passed" in printed
    assert covered(printed) == "coverage 50 %: 1 of 2"
    assert "FAIL: the coverage is below the least of 60 %" in printed
    assert code == 1, printed


def test_an_interrupt_ends_the_mesh(repository: Path) -> None:
    # The mesh runs on while tests after the cases run.
    (repository / "test_waits.py").write_text(
        "import pathlib, time\n\n\ndef test_waits():\n    pathlib.Path('waits').touch()\n    time.sleep(600)\n"
    )
    process = start(repository, "cases.yaml", "test_waits.py")
    try:
        until(lambda: (repository / "waits").exists() or process.poll() is not None)
        assert left_behind(repository) != [], "the mesh does not run"
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=_TIMEOUT_S)
    finally:
        process.kill()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, printed
    assert "KeyboardInterrupt" in printed
    assert left_behind(repository) == []


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)
