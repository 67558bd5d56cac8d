"""What is generated: one entry for each mesh, the contract component of all of them, and what follows from its keys."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from meshgen.contract import PlaceError
from meshgen.contract_file import contract_files, contract_problems
from meshgen.egress import egress
from meshgen.ingress import ingress_files
from meshgen.lambda_bridge import lambda_bridge_files
from meshgen.namespaces import namespace_problems
from meshgen.networks import generate_networks
from meshgen.sources import DescriptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from meshgen.generated import GeneratedFile

__all__ = ["directories", "generate"]

_MESHES: tuple[Callable[[Path], list[GeneratedFile]], ...] = (
    ingress_files,
    egress,
    lambda_bridge_files,
    generate_networks,
    contract_files,
)
"""Each takes the project's top directory and returns its files; raises DescriptionError or PlaceError."""


def generate(root: Path) -> list[GeneratedFile]:
    """Return every file that follows from the descriptions below a project's top directory.

    Raises:
        DescriptionError: Descriptions are wrong; with the problems of all meshes.
    """
    files: list[GeneratedFile] = []
    problems: list[str] = []
    for mesh in _MESHES:
        try:
            files += mesh(root)
        except DescriptionError as error:
            problems += error.problems
        except PlaceError as error:
            problems.append(str(error))
    problems += namespace_problems(root)
    problems += contract_problems(root)
    problems += _written_twice(files)
    if problems:
        raise DescriptionError(dict.fromkeys(problems))
    return files


def _written_twice(files: Iterable[GeneratedFile]) -> list[str]:
    """Report files that would replace each other, such as a team's and the kustomization beside it."""
    counted = Counter(file.path for file in files)
    return [
        f"{path}: two descriptions write this file; rename one of them."
        for path, count in counted.items()
        if count > 1
    ]


def directories(root: Path) -> list[Path]:
    """Return the directories that hold generated files."""
    return [root / "infra/mesh", root / "infra/policy-tests"]
