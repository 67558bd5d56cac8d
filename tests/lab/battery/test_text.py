"""Conditions on texts: members meet them, and the classes of wildcards and templates are Istio's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshlab.battery import request_texts
from meshlab.battery.paths import disguised, normalized
from meshlab.battery.patterns import Pattern, wildcard
from meshlab.battery.policy_atoms import text_atom
from meshlab.battery.request_values import METHOD, PATH, header

WORDS = st.text("ab/.-", min_size=1, max_size=8)
TEMPLATES = st.lists(st.sampled_from(["a", "b", "{*}"]), min_size=1, max_size=4).map("/".join)


@given(WORDS, st.sampled_from(["{}", "{}*", "*{}"]))
@settings(max_examples=200, deadline=None)
def test_a_member_of_a_wildcard_meets_it_and_some_near_miss_does_not(word: str, form: str) -> None:
    pattern = wildcard(form.format(word))
    assert all(pattern.meets(member) for member in pattern.members())
    assert any(not pattern.meets(near) for near in (*pattern.near_misses(), "stranger!"))


@given(TEMPLATES, st.sampled_from(["", "/{**}"]))
@settings(max_examples=100, deadline=None)
def test_a_member_of_a_template_meets_it_and_one_segment_more_only_behind_two_stars(
    template: str, end: str
) -> None:
    pattern = Pattern("template", f"/{template}{end}")
    for member in pattern.members():
        assert pattern.meets(member)
        assert pattern.meets(f"{member}/more") == bool(end)


@pytest.mark.parametrize(
    ("pattern", "text", "meets"),
    [
        (wildcard("*"), "", False),
        (wildcard("*"), "x", True),
        (wildcard("/admin*"), "/admin", True),
        (wildcard("/admin/*"), "/admin", False),
        (wildcard("*.json"), "/a.json", True),
        (wildcard("*.json"), "/a.json/", False),
        (wildcard("Shop.example", ignore_case=True), "shop.EXAMPLE", True),
        (wildcard("Shop.example"), "shop.example", False),
        (Pattern("template", "/a/{*}"), "/a/", False),
        (Pattern("template", "/a/{*}"), "/a/b", True),
        (Pattern("template", "/a/{*}"), "/a/b/c", False),
        (Pattern("template", "/a/{**}"), "/a/", True),
        (Pattern("template", "/a/{**}/z"), "/a/b/c/z", True),
        (Pattern("template", "/a/{**}/z"), "/a/b/c/y", False),
        (Pattern("prefix", "/foo", segments=True), "/foobar", False),
        (Pattern("prefix", "/foo", segments=True), "/foo/bar", True),
        (Pattern("prefix", "/foo", segments=True), "/foo", True),
        (Pattern("regex", "/a/[0-9]+"), "/a/1", True),
        (Pattern("regex", "/a", ignore_case=True), "/A", True),
    ],
)
def test_what_a_condition_takes(pattern: Pattern, text: str, *, meets: bool) -> None:
    assert pattern.meets(text) is meets


@pytest.mark.parametrize(
    ("path", "as_compared"),
    [
        ("/a/b", "/a/b"),
        ("/x/../a", "/a"),
        ("/x/%2e%2e/a", "/a"),
        ("/%61", "/a"),
        ("/a%2fb", "/a%2fb"),
        ("/a/./b", "/a/b"),
        ("/a/..;x", "/"),
        ("/a/%2e%2e;x", "/a/..;x"),
        ("/../../a", "/a"),
        ("/a/..", "/"),
        ("/", "/"),
    ],
)
def test_a_path_is_compared_as_envoy_does(path: str, as_compared: str) -> None:
    assert normalized(path) == as_compared


def test_an_expression_is_missed_by_each_character_that_it_leaves_out() -> None:
    near = Pattern("regex", "/orders/[^/;]+/items").near_misses()
    assert "/orders/a;/items" in near
    assert not Pattern("regex", "/orders/[^/;]+/items").meets("/orders/a;/items")


def test_a_dot_segment_with_parameters_is_encoded_so_that_it_stays() -> None:
    assert disguised("/a/..;x/b") == "/a/%2e%2e;x/b"
    assert normalized(disguised("/a/..;x/b")) == "/a/..;x/b"
    assert disguised("/a/b.json") == "/a/b.json"


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (Pattern("exact", "v1"), Pattern("regex", "v[0-9]")),
        (Pattern("regex", "v[0-5]"), Pattern("regex", "v[0-9]")),
        (Pattern("regex", "[1-46-9]"), Pattern("regex", "[1-9]")),
        (Pattern("regex", "[a-z]+"), Pattern("regex", "[a-z_]+")),
        (Pattern("regex", "[1-9][0-9]*"), Pattern("regex", "[0-9]+")),
        (Pattern("regex", "[0-9]{1,3}"), Pattern("regex", "[0-9]{1,4}")),
        (Pattern("regex", "(a|b|c|d|e|f)x"), Pattern("regex", "(a|b|c|d|e|f|g)x")),
    ],
)
def test_a_header_is_sent_that_the_wider_of_two_conditions_alone_takes(
    narrow: Pattern, wide: Pattern
) -> None:
    sent = [
        each.text for each in request_texts.texts([text_atom(header("x"), each) for each in (narrow, wide)])
    ]
    assert any(wide.meets(text) and not narrow.meets(text) for text in sent)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (Pattern("exact", "/a/1/c"), Pattern("template", "/a/{*}/c")),
        (Pattern("template", "/a/1/{*}"), Pattern("template", "/a/{*}/{*}")),
        (Pattern("exact", "/a/1"), Pattern("regex", "/a/[0-9]")),
        (Pattern("prefix", "/api/v1"), Pattern("regex", "/api/v[0-9]+.*")),
    ],
)
def test_a_path_is_sent_that_the_wider_of_two_conditions_alone_takes(narrow: Pattern, wide: Pattern) -> None:
    sent = [each.text for each in request_texts.paths([text_atom(PATH, each) for each in (narrow, wide)], ())]
    assert any(wide.meets(text) and not narrow.meets(text) for text in sent)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("P*", {"POST", "PUT", "PATCH"}), ("*T", {"GET", "POST", "PUT"}), ("PURGE", {"PURGE"}), ("X*", set())],
)
def test_methods_that_meet_a_pattern_are_first_those_that_proxies_know(
    pattern: str, expected: set[str]
) -> None:
    asked = wildcard(pattern)
    texts = [found.text for found in request_texts.methods([text_atom(METHOD, asked)])]
    meeting = [text for text in texts if asked.meets(text)]
    assert set(meeting[: len(expected)]) == expected
    assert meeting
