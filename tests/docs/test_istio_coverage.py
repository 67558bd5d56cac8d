"""The page of coverage holds the table that the code writes."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT, read

if TYPE_CHECKING:
    from types import ModuleType


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("istio_coverage", ROOT / "docs/istio_coverage.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_table_of_today() -> None:
    assert generator().page() == read("docs/istio-coverage.md"), "Run `python docs/istio_coverage.py`."
