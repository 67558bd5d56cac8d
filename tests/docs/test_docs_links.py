"""What the pages point at is there."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from tests.docs.pages import PAGES, ROOT, anchors, links, read

_TEST_ID = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?(?:\[([^`]+)\])?`")
_PATH = re.compile(r"`((?:sdk|function|infra|lab|deploy|tests|docs|bench)/[\w./-]*)`")


@functools.cache
def case_names() -> frozenset[str]:
    """The names of the policy tests, which are parameters of a test."""
    files = (ROOT / "infra/policy-tests/ingress").rglob("*.yaml")
    return frozenset(case["name"] for file in files for case in yaml.safe_load(file.read_text())["cases"])


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            assert target.startswith(("https://", "mailto:")), f"{page}: {target}"
            continue
        path, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / unquote(path) if path else ROOT / page
        assert linked.exists(), f"{page}: {target} leads nowhere"
        if anchor and linked.suffix == ".md":
            known = anchors(linked.resolve().relative_to(ROOT).as_posix())
            assert anchor in known, f"{page}: {target}: the headings are {sorted(known)}"


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page: str) -> None:
    for path in _PATH.findall(read(page)):
        assert (ROOT / path).exists() or "NAME" in path, f"{page}: there is no {path}"


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    for file, function, parameter in _TEST_ID.findall(read(page)):
        source = Path(ROOT / file).read_text()
        assert not function or f"def {function}(" in source, f"{page}: {file} has no {function}"
        assert not parameter or parameter in source or parameter in case_names(), (
            f"{page}: {file} [{parameter}]"
        )


def test_every_picture_is_drawn_in_the_repository_and_used() -> None:
    used = {Path(link).name for page in PAGES for link in links(page) if link.endswith((".svg", ".png"))}
    assert used == {path.name for path in (ROOT / "docs/images").iterdir()}


def test_a_picture_is_loaded_fast() -> None:
    large = {
        path.name: path.stat().st_size
        for path in (ROOT / "docs/images").iterdir()
        if path.stat().st_size > 200_000
    }
    assert large == {}


def test_every_make_target_is_in_the_readme() -> None:
    shown = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = re.findall(r"^  (make \w+)", shown.stdout, re.MULTILINE)
    assert len(targets) >= 8
    assert [target for target in targets if not re.search(rf"\b{target}\b", read("README.md"))] == []


def test_every_page_is_in_the_index() -> None:
    listed = {Path(link).name for link in links("docs/README.md")}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= listed
