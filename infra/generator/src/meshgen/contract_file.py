"""The contracts of the project: their values, and what `meshcontract` finds wrong with them.

kustomize writes these values into manifests as they are, so a wrong one must not get as far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcontract import ContractError, Problem, file_problems, generated, read_lines
from meshcontract.bridge import bridge_problems

from meshgen.generated import GeneratedFile
from meshgen.sources import DescriptionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["contract_files", "contract_problems", "contract_values"]

_CONTRACT = "infra/contract.env"
_BRIDGE = "infra/mesh/lambda-bridge/contract/bridge.env"


def contract_values(root: Path) -> Mapping[str, str]:
    """Return the values of `infra/contract.env`, which `contract_problems` checks.

    Args:
        root: The project's top directory.

    Raises:
        DescriptionError: The contract cannot be read.
    """
    try:
        return read_lines(root / _CONTRACT).values
    except ContractError as error:
        raise DescriptionError([f"{root / _CONTRACT}: {error}"]) from None


def contract_problems(root: Path) -> list[str]:
    """Return a sentence with file and line for each wrong value of a contract.

    Args:
        root: The project's top directory.
    """
    problems = []
    try:
        for name, check in ((_CONTRACT, _of_contract), (_BRIDGE, bridge_problems)):
            path = root / name
            found = check(path) if path.exists() else []
            problems += [f"{path}:{problem.line}: {problem.text}" for problem in found]
    except ContractError as error:
        problems.append(str(error))
    return problems


def _of_contract(path: Path) -> list[Problem]:
    return file_problems(read_lines(path))


def contract_files(root: Path) -> list[GeneratedFile]:
    """Return what follows from the contract's table: Terraform's variables, JSON Schemas, a page's table.

    Args:
        root: The project's top directory.
    """
    return [GeneratedFile(path, text) for path, text in generated.files(root).items()]
