"""What is generated: one entry for each mesh, and the contract component that serves all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshgen.egress import egress
from meshgen.ingress import ingress_files
from meshgen.lambda_bridge import lambda_bridge_files
from meshgen.networks import generate_networks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshgen.generated import GeneratedFile

__all__ = ["directories", "generate"]

_MESHES: tuple[Callable[[Path], list[GeneratedFile]], ...] = (
    ingress_files,
    egress,
    lambda_bridge_files,
    generate_networks,
)
"""Each takes the project's top directory and returns its files; raises DescriptionError or PlaceError."""


def generate(root: Path) -> list[GeneratedFile]:
    """Return every file that follows from the descriptions below a project's top directory.

    Raises:
        DescriptionError: Descriptions are wrong.
        PlaceError: A reference to the contract stands where kustomize cannot replace it.
    """
    return [file for mesh in _MESHES for file in mesh(root)]


def directories(root: Path) -> list[Path]:
    """Return the directories that hold generated files."""
    return [root / "infra/mesh", root / "infra/policy-tests"]
