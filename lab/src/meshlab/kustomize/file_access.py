"""Files of a kustomization: reading, resolution, bounds, and names for messages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.manifest import ManifestError
from meshlab.named_files import FileReadError, read_bytes
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Files", "is_remote", "name", "real_path"]


def real_path(path: Path) -> Path:
    """Return the path without symbolic links; one that leads in a circle stays, and cannot be read."""
    return Path(os.path.realpath(path))  # Path.resolve raises RuntimeError for a circle before Python 3.13


@dataclass(frozen=True)
class Files:
    """Access to files, some of them substituted.

    Attributes:
        substitutes: Resolved path to the content that replaces that of the file.
    """

    substitutes: Mapping[Path, str]

    @classmethod
    def of(cls, substitutes: Mapping[Path, str]) -> Files:
        """Return access with those contents in place of those files."""
        return cls({real_path(path): text for path, text in substitutes.items()})

    def read(self, path: Path) -> str:
        """Return the content of a text file.

        Raises:
            ManifestError: It cannot be read as text.
        """
        try:
            return self.read_bytes(path).decode()
        except UnicodeDecodeError:
            raise ManifestError(f"{name(path)}: cannot be read: it is not UTF-8 text.") from None

    def read_bytes(self, path: Path) -> bytes:
        """Return the content of a file as it is.

        Raises:
            ManifestError: It cannot be read.
        """
        if (text := self.substitutes.get(real_path(path))) is not None:
            return text.encode()
        try:
            return read_bytes(path)
        except FileReadError as error:
            raise ManifestError(f"{name(path)}: {error.reason}.") from None

    def within(self, directory: Path, reference: str, where: str) -> Path:
        """Return the path of a file that a kustomization refers to.

        Raises:
            ManifestError: It is remote, or lies outside the kustomization's own directory, which kubectl refuses.
        """
        if is_remote(reference):
            raise ManifestError(f"{where}: {reference} is remote, and nothing is fetched; list a copy of it.")
        path = directory / reference
        if not real_path(path).is_relative_to(real_path(directory)):
            raise ManifestError(
                f"{where}: {reference} lies outside {name(directory)}; kubectl refuses such files."
            )
        return path


def is_remote(reference: str) -> bool:
    """Return whether a reference is a URL or a repository rather than a path."""
    return (
        "://" in reference
        or "?ref=" in reference
        or reference.startswith(("git@", "git::", "github.com/", "github.com:"))
    )


def name(path: Path) -> str:
    """Return the path in its shortest spelling, for messages; relative where the caller's path was."""
    return os.path.normpath(path)
