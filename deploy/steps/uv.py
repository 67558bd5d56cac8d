"""Commands of uv: find it, run it in the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from . import ROOT, RefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run uv in the repository's root and return what it printed.

    Args:
        arguments: uv's arguments, such as ``export``.
        environment: variables to set in addition to those of this process.

    Returns:
        The standard output.

    Raises:
        RefusalError: uv is missing or failed; the message has uv's own.
    """
    beside = ROOT / ".venv" / "bin" / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise RefusalError("uv is neither in .venv nor on PATH; run `make setup`")
    done = subprocess.run(  # noqa: S603
        [uv, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RefusalError(
            f"`uv {arguments[0]}` failed with exit code {done.returncode}:\n{done.stderr.strip()}"
        )
    return done.stdout
