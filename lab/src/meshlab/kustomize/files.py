"""Files of a kustomization: read, resolved, kept within bounds, and named for people."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Files"]


@dataclass(frozen=True)
class Files:
    """Access to files, some of them substituted.

    Attributes:
        substitutes: Resolved path to the content that stands in for it.
    """

    substitutes: Mapping[Path, str]

    @classmethod
    def of(cls, substitutes: Mapping[Path, str]) -> Files:
        """With those contents in place of those files."""
        return cls({path.resolve(): text for path, text in substitutes.items()})

    def read(self, path: Path) -> str:
        """The content of a file.

        Raises:
            ManifestError: It cannot be read as text.
        """
        if (text := self.substitutes.get(path.resolve())) is not None:
            return text
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ManifestError(f"{name(path)}: cannot be read: {reason}.") from None

    def within(self, directory: Path, reference: str, where: str) -> Path:
        """The path of a file that a kustomization refers to.

        Raises:
            ManifestError: It lies outside the kustomization's own directory, which kubectl refuses.
        """
        path = directory / reference
        if not path.resolve().is_relative_to(directory.resolve()):
            raise ManifestError(
                f"{where}: {reference} lies outside {name(directory)}; kubectl refuses such files."
            )
        return path


def name(path: Path) -> str:
    """The path in its shortest spelling, for messages; relative where the caller's path was."""
    return os.path.normpath(path)
