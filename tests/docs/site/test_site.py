"""The documentation site: complete, without external resources, within two clicks, and readable in a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from docs.site.sources import HOME, document_of, pages, tracked
from tests.docs.pages import ROOT
from tests.docs.site.built import is_external, within

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.site.built import BuiltPage
    from tests.lab.html_report.browser import Browser

PICTURES = ROOT / "build/screenshots"
"""Where the browser's pictures of the main pages are kept."""
WIDTHS = (1280, 390)
MAIN_PAGES = {
    "index": "meshpass",
    "start-own-a-mesh": "Start: own a mesh",
    "architecture": "Architecture",
    "decisions/index": "Decisions",
    "policy-testing": "Test a mesh",
    "meshlab-reference": "meshlab, name by name",
}
ENTRANCES = ("start-call-a-service.html", "start-own-the-events.html", "start-own-a-mesh.html")


def place(page: str) -> str:
    """The path of a page of the repository on the site: MkDocs makes a README the index of its folder."""
    return re.sub(r"(^|/)README$", r"\1index", document_of(page)) + ".html"


def test_every_page_of_the_repository_is_on_the_site(built: dict[str, BuiltPage]) -> None:
    expected = {place(page) for page in pages(tracked())}
    assert len(expected) > 50
    assert expected - set(built) == set()


def test_every_page_is_reached_in_two_clicks(built: dict[str, BuiltPage]) -> None:
    seen = {"index.html"}
    for _ in range(2):
        seen |= {
            within(page, link)[0]
            for page in seen & set(built)
            for link in built[page].links
            if not is_external(link)
        }
    assert {page for page in built if not page.startswith("files/")} - seen == set()


def test_every_link_leads_to_a_page_and_an_anchor_of_the_site(
    built: dict[str, BuiltPage], site: Path
) -> None:
    broken = set()
    for page, content in built.items():
        for target in (*content.links, *content.loaded):
            if is_external(target):
                continue
            path, anchor = within(page, target)
            path = path or "index.html"
            if not (site / path).is_file():
                broken.add(f"{page}: {target} leads nowhere")
            elif anchor and path in built and anchor not in built[path].anchors | {"__comments"}:
                broken.add(f"{page}: {target}: no such anchor")
    assert sorted(broken) == []


def test_no_page_loads_anything_from_elsewhere(built: dict[str, BuiltPage], site: Path) -> None:
    loaded = {target for content in built.values() for target in content.loaded}
    assert any(target.endswith(".css") for target in loaded)
    assert {target for target in loaded if is_external(target) and not target.startswith("data:")} == set()
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*|@import[^;]*", styles) == []


def test_the_home_page_has_three_entrances(built: dict[str, BuiltPage]) -> None:
    assert [link for link in built["index.html"].links if link in ENTRANCES][-3:] == list(ENTRANCES)
    text = (ROOT / HOME).read_text(encoding="utf-8")
    for words in ("I call a service", "I own the pipeline", "I own the mesh"):
        assert f"**[{words}](" in text


@pytest.mark.parametrize("page", MAIN_PAGES)
def test_a_main_page_is_readable_at_two_widths(page: str, browser: Browser, address: str) -> None:
    shown = browser.open(f"{address}/{page}.html", width=WIDTHS[0])
    for width in WIDTHS:
        shown.resize(width, 900)
        heading = shown.value("document.querySelector('h1').firstChild.textContent.trim()")
        seen = shown.value("document.querySelector('h1').checkVisibility()")
        assert (heading, seen) == (MAIN_PAGES[page], True)
        wider = shown.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider == 0, f"{width} px: the page can be scrolled sideways by {wider} px"
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / f"{page.replace('/', '-')}-{width}.png").write_bytes(shown.picture())
    assert all(request.startswith((address, "data:", "blob:")) for request in shown.requests)
    assert shown.failures == []
    assert shown.complaints == []


def test_the_home_page_becomes_dark_and_finds_a_word(browser: Browser, address: str) -> None:
    shown = browser.open(f"{address}/index.html")
    scheme = "document.body.getAttribute('data-md-color-scheme')"
    ground = "getComputedStyle(document.body).backgroundColor"
    light = shown.value(ground)
    assert shown.value(scheme) == "default"
    shown.click("label[for='__palette_1']:not([hidden])")
    assert shown.value(scheme) == "slate"
    assert shown.value(ground) != light

    shown.click(".md-search__input")
    shown.write("rotation")
    hits = """new Promise((done) => {
      const look = () => {
        const found = document.querySelectorAll('.md-search-result__item a');
        if (found.length) done([...found].map((hit) => hit.getAttribute('href')).join(' '));
        else setTimeout(look, 100);
      };
      look();
    })"""
    assert "keys.html" in shown.value(hits)
