"""The page of lint holds the table that the rules write."""

import importlib.util
from types import ModuleType

from meshlab.lint.rules import RULES

from tests.docs.pages import ROOT, read


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lint_rules", ROOT / "docs/lint_rules.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_rules_of_today() -> None:
    page = read("docs/lint.md")
    assert generator().page() == page, "Run `python docs/lint_rules.py`."
    assert all(f"| `{rule.code}` {rule.name} |" in page for rule in RULES)
