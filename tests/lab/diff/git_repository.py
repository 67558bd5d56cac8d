"""A real git repository in a temporary directory."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["GitRepository"]

_WHO = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "A"), ("EMAIL", "a@example.org"))
}


@dataclass(frozen=True)
class GitRepository:
    """A repository with a working tree."""

    root: Path

    @classmethod
    def new(cls, root: Path) -> GitRepository:
        """Make an empty repository whose branch is `main`."""
        root.mkdir(parents=True, exist_ok=True)
        repository = cls(root)
        repository.git("init", "--quiet", "--initial-branch=main")
        return repository

    def git(self, *arguments: str, given: bytes = b"") -> str:
        """Run git and return what it prints."""
        outside = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            input=given,
            capture_output=True,
            check=True,
            env={**os.environ, **_WHO, **outside},
        )
        return done.stdout.decode().strip()

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the working tree."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, files: Mapping[str, str] | None = None) -> str:
        """Write files, commit everything, and return the commit's name."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=a change")
        return self.git("rev-parse", "HEAD")

    def blob(self, content: bytes) -> str:
        """Store a file's content, and return its name."""
        return self.git("hash-object", "-w", "--stdin", given=content)

    def tree(self, *entries: tuple[str, str, str]) -> str:
        """Store a tree as it is written, whatever its names, and return its name.

        Args:
            entries: Mode, name and object of each entry.
        """
        content = b"".join(
            f"{mode} {name}".encode() + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries
        )
        return self.git("hash-object", "-w", "-t", "tree", "--stdin", "--literally", given=content)

    def commit_tree(self, tree: str) -> str:
        """Commit a tree without a working tree."""
        return self.git("commit-tree", "-m", "a tree", tree)
