"""Regular expressions of manifests: samples match, matching is right, and no pattern takes long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshlab.battery.expressions import ExpressionError, expression

PARTS = st.sampled_from(
    [
        "a",
        "b",
        "/",
        ".",
        "[ab]",
        "[^a]",
        "[a-c]+",
        "a*",
        "(a|b)",
        "(?:ab)?",
        "b{2}",
        "a{1,3}",
        "\\d",
        "\\.",
        "\\w+",
        "$",
    ]
)
PATTERNS = st.lists(PARTS, min_size=1, max_size=5).map("".join)


@given(PATTERNS, st.text("ab/.1c", max_size=6))
@settings(max_examples=300, deadline=None)
def test_a_text_matches_as_in_another_implementation(pattern: str, text: str) -> None:
    assert expression(pattern).matches(text) == (re.fullmatch(pattern, text) is not None)


@given(PATTERNS)
@settings(max_examples=200, deadline=None)
def test_samples_match(pattern: str) -> None:
    for sample in expression(pattern).samples():
        assert re.fullmatch(pattern, sample), sample


@pytest.mark.parametrize(
    ("pattern", "samples"),
    [
        ("/orders/[^/;]+", ("/orders/a", "/orders/aa")),
        ("/(cart|order)s?", ("/carts", "/orders", "/cart")),
        (".*", ("a", "aa", "")),
        ("(?i)/cart", ("/cart",)),
    ],
)
def test_samples_are_plain_texts(pattern: str, samples: tuple[str, ...]) -> None:
    assert expression(pattern).samples() == samples


def test_a_flag_for_case_counts() -> None:
    assert expression("(?i)/cart").matches("/CART")
    assert not expression("/cart").matches("/CART")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "((a{0,50}){0,50}){0,50}b", "(.*)*(.*)*(.*)*x"])
def test_a_pattern_made_to_take_long_ends_at_once(pattern: str) -> None:
    # Exponential matching would need more steps than there are atoms on earth.
    assert matches_or_gives_up(pattern, "a" * 150 + "!") in (False, None)


def matches_or_gives_up(pattern: str, text: str) -> bool | None:
    try:
        return expression(pattern).matches(text)
    except ExpressionError:
        return None


@pytest.mark.parametrize(
    "pattern", ["(", "a**", "(?=a)", "\\1", "[z-a]", "", "\\pN", "a(?i)b", "\\bx", "\\Qa\\E"]
)
def test_what_cannot_be_read_is_an_error_and_no_guess(pattern: str) -> None:
    with pytest.raises(ExpressionError):
        expression(pattern)


def test_a_deep_nest_of_groups_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="nested too deeply"):
        expression("(" * 100 + "a" + ")" * 100)
