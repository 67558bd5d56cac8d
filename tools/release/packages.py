"""Packages of the project: which are published, where they lie, and how each is tried after it was installed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Package:
    """One published package.

    Attributes:
        name: the name in the package index.
        folder: where it lies, from the top of the repository.
        module: what is imported.
        extra: the extra that its commands need, empty for none.
        commands: commands that must explain themselves with ``--help``.
    """

    name: str
    folder: str
    module: str
    extra: str = ""
    commands: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Return the folder as a path."""
        return ROOT / self.folder

    @property
    def file_stem(self) -> str:
        """Return how file names of its artefacts begin, without the version."""
        return self.name.replace("-", "_")


PUBLISHED = (
    Package("meshpass-contract", "infra/contract", "meshcontract"),
    Package("meshpass", "sdk", "meshpass", extra="cli", commands=("meshpass",)),
    Package("meshlab", "lab", "meshlab", commands=("meshlab",)),
)
"""Packages that go to the package index, each after those that it needs."""

PROJECTS = ("", "sdk", "lab", "function", "infra/contract", "infra/generator", "beam")
"""Folders with a ``pyproject.toml``; all have one version. The empty one is the root."""

LOCKS = ("uv.lock", "beam/uv.lock")


def project(folder: str) -> dict[str, Any]:
    """Return the ``[project]`` table of a folder's ``pyproject.toml``."""
    table: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    return table


OWN_NAMES = tuple(project(folder)["name"] for folder in PROJECTS)
"""Names of all packages of the project, published or not."""
