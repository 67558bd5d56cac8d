"""Commands of uv: find it, run it in the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from . import ROOT, RefusalError

if TYPE_CHECKING:
    from pathlib import Path

# The earliest time that a zip file can hold: a wheel's bytes must not depend on when it was built.
_SOURCE_DATE_EPOCH = "315532800"


def run(*arguments: str) -> str:
    """Run uv in the repository's root and return what it printed.

    Args:
        arguments: uv's arguments, such as ``export``.

    Returns:
        The standard output.

    Raises:
        RefusalError: uv is missing or failed; the message has uv's own.
    """
    done = attempt(*arguments)
    if done.returncode != 0:
        raise RefusalError(
            f"`uv {arguments[0]}` failed with exit code {done.returncode}:\n{done.stderr.strip()}"
        )
    return done.stdout


def attempt(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run uv in a folder and return how it ended, which may be a failure.

    Raises:
        RefusalError: uv is missing.
    """
    beside = ROOT / ".venv" / "bin" / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise RefusalError("uv is neither in .venv nor on PATH; run `make setup`")
    return subprocess.run(  # noqa: S603
        [uv, *arguments],
        cwd=cwd,
        env={**os.environ, "SOURCE_DATE_EPOCH": _SOURCE_DATE_EPOCH},
        check=False,
        capture_output=True,
        text=True,
    )
