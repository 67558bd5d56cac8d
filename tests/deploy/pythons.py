"""Pythons of this machine on which the package is tested: those that the runtime may be."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")


def interpreter(version: str) -> str | None:
    """Return a Python of this version: one on PATH that runs, or one of pyenv's, whose names on PATH may not run."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    candidates = [shutil.which(name), *(str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/{name}")))]
    return next((path for path in candidates if path and _runs(path)), None)


def _runs(path: str) -> bool:
    return subprocess.run([path, "-c", "pass"], capture_output=True, check=False).returncode == 0
