"""A copy of the project's descriptions that a test may change."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

Change = Callable[[str, str, str], None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The top directory of a copy, with infra/ alone."""
    shutil.copytree(ROOT / "infra/mesh", tmp_path / "infra/mesh", symlinks=True)
    shutil.copytree(ROOT / "infra/policy-tests", tmp_path / "infra/policy-tests")
    (tmp_path / "infra/contract.env").symlink_to("mesh/contract/values/contract.env")
    return tmp_path


@pytest.fixture
def change(root: Path) -> Change:
    """Change one text in a file of the copy."""

    def edit(file: str, old: str, new: str) -> None:
        path = root / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} no longer holds {old!r} exactly once"
        path.write_text(text.replace(old, new))

    return edit
