"""The page of lint holds the table that the rules write."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from meshlab.lint.rules import RULES

from tests.docs.pages import ROOT, read

if TYPE_CHECKING:
    from types import ModuleType


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
