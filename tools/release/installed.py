"""Trial of wheels: each is installed into an environment of its own, without the workspace, and used there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.steps import uv

if TYPE_CHECKING:
    from tools.release.artefacts import Built

_TIMEOUT_S = 120


def problems(built: Built, dist: Path, python: str = sys.executable) -> list[str]:
    """Install a wheel and return what fails of it: the installation, the import, or a command.

    Args:
        built: the package.
        dist: the folder with the wheels of the project, in which packages of its own are found.
        python: the interpreter of the environment.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        interpreter = folder / "venv/bin/python"
        wheel = f"{built.wheel}[{built.package.extra}]" if built.package.extra else str(built.wheel)
        for arguments in (
            ("venv", "--quiet", f"--python={python}", str(folder / "venv")),
            (
                "pip",
                "install",
                "--quiet",
                "--no-config",
                f"--python={interpreter}",
                f"--find-links={dist}",
                wheel,
            ),
        ):
            done = uv.attempt(*arguments, cwd=folder)
            if done.returncode != 0:
                return [f"{built.wheel.name} cannot be installed:\n{done.stderr.strip()}"]
        module = built.package.module
        trials = [
            [str(interpreter), "-W", "error", "-c", f"import {module} as m; [getattr(m, n) for n in dir(m)]"],
            *([str(interpreter.parent / command), "--help"] for command in built.package.commands),
        ]
        found = []
        for trial in trials:
            shown = " ".join(Path(word).name for word in trial[:2])
            try:
                ended = _run(trial, folder)
            except subprocess.TimeoutExpired:
                found.append(f"{built.wheel.name}: `{shown}` did not end within {_TIMEOUT_S} s")
                continue
            if ended.returncode != 0:
                found.append(
                    f"{built.wheel.name}: `{shown}` failed after installation:\n{ended.stderr.strip()}"
                )
        return found


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    return subprocess.run(  # noqa: S603
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
