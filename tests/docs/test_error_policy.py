"""The tables of the error policy in the pages are those of the code."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT, read

if TYPE_CHECKING:
    from types import ModuleType

PAGES = ("function/README.md", "docs/troubleshooting.md")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("error_policy", ROOT / "docs/error_policy.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_are_those_of_the_policy(generator: ModuleType, page: str) -> None:
    assert ROOT / page in generator.PAGES
    assert generator.written(read(page)) == read(page), "Run `python docs/error_policy.py`."


def test_every_table_stands_in_a_page(generator: ModuleType) -> None:
    found = re.findall(r"<!-- error policy: ([a-z ]+) -->\n\n\|", "".join(map(read, PAGES)))
    assert sorted(found) == sorted(generator.TABLES)


def test_a_table_that_is_stale_is_written_anew_and_nothing_else_is_touched(
    generator: ModuleType,
) -> None:
    page = "before\n<!-- error policy: retry -->\n\n| stale |\n\n<!-- end of the table -->\nafter\n"
    new = generator.written(page)
    assert new.startswith("before\n<!-- error policy: retry -->\n\n| reason |")
    assert new.endswith("|\n\n<!-- end of the table -->\nafter\n")
    assert "stale" not in new
    assert generator.written(new) == new
