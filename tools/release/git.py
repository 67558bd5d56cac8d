"""Commands of git in a repository."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from deploy.steps import RefusalError

if TYPE_CHECKING:
    from pathlib import Path


def run(root: Path, *arguments: str) -> str:
    """Run git and return what it printed, without the white space around it.

    Raises:
        RefusalError: git failed; the message has its own.
    """
    done = _attempt(root, *arguments)
    if done.returncode != 0:
        raise RefusalError(f"`git {arguments[0]}` failed: {done.stderr.strip()}")
    return done.stdout.strip()


def succeeds(root: Path, *arguments: str) -> bool:
    """Return whether git ends with 0."""
    return _attempt(root, *arguments).returncode == 0


def _attempt(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607
        cwd=root, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
