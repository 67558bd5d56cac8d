"""A package writes annotations in one way: all of its modules import them from the future, or none does.

ruff asks for the import (I002), except in the folders of pyproject.toml that do without; this holds these to it. The
import was measured for the SDK and the function: it makes their start no cheaper, because names that are needed for
types alone stand in quotes there already. So it stays out of what has to start fast, and of its tests.
"""

from __future__ import annotations

import pytest

from tests.house.source_texts import ROOT, tracked

WITHOUT = ("sdk/src/", "function/", "beam/src/", "bench/", "tests/sdk/", "tests/function/", "tests/bench/")


@pytest.mark.parametrize("folder", WITHOUT)
def test_no_module_of_a_folder_without_the_import_has_it(folder: str) -> None:
    files = [path for path in tracked(folder) if path.endswith(".py")]

    assert files
    line = "from __future__ import annotations\n"
    assert [path for path in files if line in (ROOT / path).read_text(encoding="utf-8")] == []
