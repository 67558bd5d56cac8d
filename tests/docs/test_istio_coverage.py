"""The page of coverage holds the table that the code writes."""

import importlib.util
from types import ModuleType

from tests.docs.pages import ROOT, read


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("istio_coverage", ROOT / "docs/istio_coverage.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_table_of_today() -> None:
    assert generator().page() == read("docs/istio-coverage.md"), "Run `python docs/istio_coverage.py`."
