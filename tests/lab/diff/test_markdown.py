"""A comparison as a comment on a pull request: what it says, and that nothing in it can be anything but text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshlab.diff.effect import Kind
from meshlab.diff.report.markdown import MOST_CHARACTERS, as_markdown, code, code_in_cell

from tests.lab.diff.results import ALLOWED, REFUSED, finding, result

HOSTILE = [
    "a | b | c",
    "`code`",
    "``` fence",
    "@octocat and @org/team",
    "<img src=x onerror=alert(1)>",
    "</details></summary><script>alert(1)</script>",
    "[a](https://evil.example)",
    "![a](https://evil.example/x.png)",
    "https://evil.example/",
    "www.evil.example",
    "fixes #1, GH-1, owner/repo#1",
    "a\\| b",
    "a\\\\| b",
    "a\\",
    "|",
    "`",
    "line\nbreak | ---",
    "\u202eright to left",
    "<!-- comment",
    "$x$ $$y$$",
    ":tada:",
]


def cells(row: str) -> list[str]:
    """Split a table's row as GitHub does: at bars without a backslash before them (cmark-gfm, `ext_scanners.re`)."""
    found, cell, index = [], "", 0
    while index < len(row):
        if row[index] == "\\" and index + 1 < len(row):
            cell += row[index : index + 2]
            index += 2
            continue
        if row[index] == "|":
            found.append(cell)
            cell = ""
        else:
            cell += row[index]
        index += 1
    return [part.strip().replace("\\|", "|") for part in (*found, cell)][1:-1]


def text_of(span: str) -> str:
    """Read a code span as Markdown does; fails where it is none, or ends before its end."""
    fence = re.match("`+", span)
    assert fence is not None
    inner = span[len(fence[0]) : -len(fence[0])]
    assert span.endswith(fence[0])
    assert fence[0] not in re.findall("`+", inner)
    return inner[1:-1] if inner.startswith(" ") and inner.endswith(" ") and inner.strip() else inner


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_one_code_span_in_one_cell(text: str) -> None:
    row = f"| {code_in_cell(text)} | {code_in_cell('next')} |"
    assert "\n" not in row
    first, second = cells(row)
    assert text_of(second) == "next"
    text_of(first)


@given(st.text(max_size=120))
def test_any_text_is_one_code_span_in_one_cell(text: str) -> None:
    first, second = cells(f"| {code_in_cell(text)} | {code_in_cell(text)} |")
    assert text_of(first) == text_of(second)


def test_a_bar_outside_of_a_table_is_written_as_it_is() -> None:
    # In a code span a backslash is a backslash, and a reader would see it before each bar.
    assert text_of(code("subsets v1|v2")) == "subsets v1|v2"
    text = as_markdown(result(finding(), not_covered=("expression a|b",)))
    assert "- `expression a|b`" in text


@pytest.mark.parametrize("text", ["a | b", "a `b` c", "https://a.example/?q=1", "a\\b", "x | `y` | z"])
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    (cell,) = cells(f"| {code_in_cell(text)} |")
    assert text_of(cell) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_outside_of_code_spans_there_are_only_our_own_words(text: str) -> None:
    hostile = result(finding(asks=text, name=text), unknown=1, notes=(text,), not_covered=(text,), old=text)
    for line in as_markdown(hostile).splitlines():
        outside = re.sub(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", "", line)
        assert not re.search(r"[@\[\]`$]|https?:|www\.|<(?!/?details>|/?summary>)|evil", outside), line


def test_a_request_that_is_now_allowed_comes_first_with_why() -> None:
    text = as_markdown(result(finding(ALLOWED, REFUSED), finding()))
    assert text.index("Now allowed: 1") < text.index("Now refused: 1")
    assert (
        "| `outside edge/door` | `GET cart.example/` | `403 by the proxy of shop/cart: no ALLOW policy matched` "
        "| `200 by the application of shop/cart` | 1 |" in text
    )
    assert (
        "- 1: `AuthorizationPolicy shop/readers` at `mesh.yaml:4`: "
        '`spec.rules[0].to[0].operation.methods[1]: absent, now "POST"`' in text
    )
    assert text.startswith("### meshlab diff: `main:mesh.yaml` to `mesh.yaml`\n")


def test_nothing_that_changed_is_said_with_the_number_of_requests() -> None:
    assert "**No verdict changed; 10 requests compared**" in as_markdown(result())
    assert "nothing was started" in as_markdown(result(is_same=True))


def test_what_is_not_judged_is_listed() -> None:
    text = as_markdown(result(unknown=2))
    assert "2 not judged" in text
    assert "- `unknown 1`: `now: mesh.yaml:7: EnvoyFilter a/b: not supported`" in text


def test_long_lists_are_folded_and_bounded() -> None:
    many = result(*(finding(asks=f"GET cart.example/{'x' * 200}/{number}") for number in range(2000)))
    text = as_markdown(many)
    assert len(text) <= MOST_CHARACTERS
    assert text.count("<details>") == text.count("</details>")
    assert "Now allowed: 2000" in text
    assert re.search(r"and \d+ more", text)


def test_every_kind_has_a_heading() -> None:
    findings = [finding(old, new) for old, new in ((REFUSED, ALLOWED), (ALLOWED, REFUSED))]
    text = as_markdown(result(*findings))
    for kind in (Kind.NOW_ALLOWED, Kind.NOW_REFUSED):
        assert f"#### {str(kind).capitalize()}: 1" in text
