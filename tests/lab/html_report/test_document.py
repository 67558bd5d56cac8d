"""The document of a report: no text leaves its place, nothing is loaded, and it is small and always the same."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from meshlab.html_report.document import document
from meshlab.html_report.markup import Markup, element, joined
from meshlab.html_report.of_test import report_of_run
from meshlab.html_report.texts import embedded_json, shortened

from tests.lab.html_report.samples import (
    HOSTILE,
    TOKEN,
    case,
    coverage,
    graph,
    hop,
    many,
    refused,
    run_of,
    shop_report,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Elements that the page has, and no other: a text that became an element would be another one.
TAGS = {
    "html", "head", "meta", "link", "title", "style", "body", "a", "header", "div", "h1", "h2", "h3", "span", "ul",
    "li", "main", "section", "svg", "desc", "g", "rect", "text", "path", "details", "summary", "button", "input",
    "table", "caption", "thead", "tbody", "tr", "th", "td", "p", "aside", "script",
}  # fmt: skip


class Reader(HTMLParser):
    """A document as a browser splits it: its elements, and the texts of those that are not HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def hostile_report() -> str:
    """A report every text of which is hostile, in a mesh with hostile names."""
    evil = HOSTILE
    bad = refused(
        evil,
        file=evil,
        request=evil,
        expected={"status": 200, "headers": {evil: evil}, "says": evil},
        got={"status": 403, "proxy": evil, "app": evil, "body": evil, "reason": evil},
        mismatches=[{"part": "says", "expected": evil, "got": evil}],
        reasons=[evil],
        hops=[hop(evil, evil, details=evil, reason=evil, upstream=evil)],
        tokens=[{"issuer": evil, "claims": {evil: evil}, "flaw": evil}],
        sender={"mesh": evil, "authority": evil, "to": evil},
    )
    run = run_of(bad)
    run["notes"] = run["refusals"] = [evil]
    run["coverage"] = coverage(evil)
    matrix = {"name": evil, "file": evil, "rows": [evil], "columns": [evil], "cells": [[evil, evil, evil]]}
    return document(report_of_run(run, [matrix], graph(), about=(evil,)))


def entries(page: str) -> Iterator[dict[str, object]]:
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    yield from json.loads(data)["entries"]


def test_no_hostile_text_becomes_an_element() -> None:
    page = hostile_report()
    found = Reader(page)
    assert {tag for tag, _ in found.elements} <= TAGS
    assert [
        attributes for _, attributes in found.elements if any(name.startswith("on") for name in attributes)
    ] == []
    assert [tag for tag, _ in found.elements].count("script") == 2
    assert any("<img src=x" in text for text in found.texts["span"])


def test_no_control_or_format_character_is_in_the_document() -> None:
    page = hostile_report()
    assert (
        sorted({character for character in page if not (character.isprintable() or character == "\n")}) == []
    )
    assert "gnp.exe" in page


def test_the_data_is_json_that_no_character_of_html_is_in() -> None:
    text = embedded_json({"a": [HOSTILE, 1, None, ("</script>",)]})
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text)["a"][3] == ["</script>"]


def test_texts_are_escaped_once_and_markup_is_not() -> None:
    assert element("p", {"title": 'a"b', "hidden": True, "lang": None}, "<b>", Markup("<i></i>")) == (
        '<p title="a&quot;b" hidden>&lt;b&gt;<i></i></p>'
    )
    assert joined(["&amp;"]) == "&amp;amp;"
    assert element("br") == "<br>"


def test_no_token_is_in_the_document() -> None:
    leaking = case(
        f"with {TOKEN}",
        request=f"GET https://shop.example/?access_token={TOKEN}",
        got={"status": 200, "app": "shop/cart", "body": f"authorization: Bearer {TOKEN}"},
        tokens=[{"literal": True}],
    )
    page = document(report_of_run(run_of(leaking), graph=graph()))
    assert "eyJ" not in page
    assert "&lt;token&gt;" in page


def test_a_token_that_is_no_jwt_is_not_shown_in_the_query_of_a_request() -> None:
    leaking = case("opaque", request="GET https://shop.example/?a=1&access_token=opaque-secret&b=2")
    page = document(report_of_run(run_of(leaking), graph=graph()))
    assert "opaque-secret" not in page
    assert "access_token=&lt;token&gt;&amp;b=2" in page


def test_the_policy_allows_the_one_style_sheet_and_the_one_script_of_the_page_alone() -> None:
    page = document(shop_report())
    found = Reader(page)
    metas = [attributes for tag, attributes in found.elements if tag == "meta"]
    (policy,) = (
        str(meta["content"]) for meta in metas if meta.get("http-equiv") == "Content-Security-Policy"
    )
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{hashes[0]}'",
        f"script-src 'sha256-{hashes[1]}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert [attributes for _, attributes in found.elements if "style" in attributes] == []


def test_the_document_names_no_address_to_load_from() -> None:
    found = Reader(document(shop_report()))
    named = {
        str(value)
        for _, attributes in found.elements
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data", "srcset", "poster")
    }
    assert named == {"data:,", "#results"}
    assert "url(" not in "".join(found.texts["style"])
    assert "@import" not in "".join(found.texts["style"])


def test_the_script_sets_texts_and_never_html() -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", document(shop_report()), re.DOTALL)
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
    ):
        assert way not in script


def test_the_same_report_is_the_same_document() -> None:
    assert document(shop_report()) == document(shop_report())


def test_a_report_of_300_cases_is_at_most_a_megabyte() -> None:
    page = document(many(300))
    assert len(list(entries(page))) >= 300
    assert len(page.encode()) <= 1_000_000


def test_every_cell_says_in_a_symbol_and_a_word_what_its_colour_says() -> None:
    page = document(shop_report())
    buttons = re.findall(r'<button type="button" class="cell (\w+)" data-entry="\d+">(.*?)</button>', page)
    words = {"passed": ("✓", "passed"), "failed": ("✗", "failed"), "not_judged": ("?", "not judged")}
    assert {tone for tone, _ in buttons} == set(words)
    for tone, inside in buttons:
        mark, word = words[tone]
        assert mark in inside
        assert word in inside


def test_every_case_can_be_opened_and_every_matrix_has_headings() -> None:
    found = Reader(document(shop_report()))
    opened = [
        int(attributes["data-entry"] or -1)
        for tag, attributes in found.elements
        if tag == "button" and "data-entry" in attributes
    ]
    assert sorted(opened) == list(range(9))
    heads = [attributes.get("scope") for tag, attributes in found.elements if tag == "th"]
    assert set(heads) == {"row", "col"}


def test_a_case_shows_what_was_expected_beside_what_happened() -> None:
    report = report_of_run(run_of(refused("a")))
    rows = [row for block in report.entries[0].blocks for row in block.rows]
    assert rows == [
        ("status", "200", "403", False),
        ("app", "bank/ledger", "the proxy of bank/ledger", False),
    ]


@pytest.mark.parametrize(
    ("cases", "title"),
    [
        ([], "No case was run"),
        ([case("a")], "The only case passed"),
        ([case("a"), case("b")], "All 2 cases passed"),
        ([case("a"), refused("b")], "1 of 2 cases failed"),
        ([case("a", "error", got=None), refused("b")], "1 of 2 cases failed"),
        ([case("a", "error", got=None)], "1 of 1 case could not be run"),
        ([case("a", "not_judged"), case("b")], "1 of 2 cases was not judged"),
        ([case("a", "seen")], "1 request was sent"),
    ],
)
def test_the_title_is_the_result(cases: list[dict[str, object]], title: str) -> None:
    assert report_of_run(run_of(*cases)).title == title


def test_a_long_name_keeps_both_of_its_ends() -> None:
    assert shortened("a-very-long-name-of-a-service", 11) == "a-ver…rvice"
    assert shortened("short", 11) == "short"


def test_coverage_is_a_table_of_objects_and_one_of_what_no_case_exercises() -> None:
    page = document(shop_report())
    assert "<h2>Coverage of the cases: 50 %, 1 of 2</h2>" in page
    assert "<caption>By object</caption>" in page
    assert '<td class="text">1 of 2</td>' in page
    assert "<caption>What no case exercises</caption>" in page
    assert '<td class="text">rule spec.rules[1]: methods: readers</td>' in page
    assert "no request matched it: readers" in page


def test_a_run_without_coverage_says_nothing_of_it() -> None:
    assert "Coverage" not in document(report_of_run(run_of(case("one"))))
