"""A contract of one's own for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.deploy.harness import CONTRACT, Contract

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    path = tmp_path / "contract.env"
    path.write_text(CONTRACT.read_text().replace("example-project", "acme-mesh"))
    return Contract(path)
