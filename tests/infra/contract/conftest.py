"""A contract of one's own for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import meshcontract
import pytest

from tests.deploy.harness import CONTRACT, Contract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    """The repository's contract with the placeholder project named."""
    path = tmp_path / "contract.env"
    path.write_text(CONTRACT.read_text().replace("example-project", "acme-mesh"))
    return Contract(path)


@pytest.fixture
def problems(contract: Contract) -> Callable[..., list[str]]:
    """What is wrong with the contract once values are changed; empty for nothing."""

    def found(*also: str, **values: str | None) -> list[str]:
        try:
            meshcontract.load(contract.set(**values).path, also)
        except meshcontract.ContractError as error:
            return [line.strip() for line in str(error).splitlines()[1:]]
        return []

    return found
