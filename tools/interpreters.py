"""Interpreters of this machine. Nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.14", "3.13", "3.12", "3.11")
"""Versions of Python that the project supports, the newest first."""


def find(version: str) -> Path | None:
    """Return an interpreter of a version: one on PATH that runs, or one of pyenv's, whose names on PATH may not run."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    on_path = shutil.which(name)
    candidates = [Path(on_path)] if on_path else []
    candidates += sorted(pyenv.glob(f"{version}.*/bin/{name}"))
    return next((path for path in candidates if _is(path, version)), None)


def newest_other() -> tuple[str, Path] | None:
    """Return the newest supported version that is not the running one, with its interpreter."""
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for version in SUPPORTED:
        if version != running and (found := find(version)):
            return version, found
    return None


def _is(path: Path, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode == 0 and done.stdout.strip() == version
