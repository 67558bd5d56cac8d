"""The reference of meshlab is what the code says today."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT, read

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))  # where a script of docs/ finds the one beside it
    return importlib.import_module("meshlab_reference")


def test_the_page_is_written_from_the_code(generator: ModuleType) -> None:
    assert generator.page() == read("docs/meshlab-reference.md"), "Run `python docs/meshlab_reference.py`."


def test_it_has_every_name_of_the_lab_that_a_page_imports(generator: ModuleType) -> None:
    imported = re.findall(r"^from (meshlab\.\S+) import (.+)$", read("docs/lab.md"), re.MULTILINE)
    assert len(imported) >= 5
    missing = [
        f"{module}.{name}"
        for module, names in imported
        for name in names.split(", ")
        if name not in generator.NAMES.get(module, ())
    ]
    assert missing == []
