"""Files that changed since the merge base with main, committed or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.release import git

if TYPE_CHECKING:
    from pathlib import Path


def base(root: Path) -> str:
    """Return the commit to compare with: where this branch left main, or HEAD on main itself."""
    for main in ("origin/main", "main"):
        if git.succeeds(root, "rev-parse", "--verify", "--quiet", main):
            return git.run(root, "merge-base", "HEAD", main)
    return git.run(root, "rev-parse", "HEAD")


def since(root: Path, commit: str) -> list[str]:
    """Return the paths that differ from a commit, those without a commit of their own included; sorted."""
    changed = git.run(root, "diff", "--name-only", "--no-renames", "-z", commit).split("\0")
    new = git.run(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    return sorted({path for path in (*changed, *new) if path})
