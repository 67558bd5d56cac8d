"""The explanations of both sides in the panel of a changed request, as data and in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.explain.as_json import sides_as_json
from meshlab.explain.changed_requests import BothSides, OneSide
from meshlab.explain.explanation import (
    ConditionExplanation,
    Decision,
    Explanation,
    HopExplanation,
    Place,
    PolicyExplanation,
    RuleExplanation,
    Step,
)
from meshlab.html_report.both_sides import both_sides
from meshlab.html_report.document import document
from meshlab.html_report.of_diff import report_of_diff

from tests.lab.html_report.samples import HOSTILE, graph
from tests.lab.html_report.test_diff_report import OPENED, comparison

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.html_report.report import Block

    from tests.lab.html_report.browser import Browser

PANEL = "document.getElementById('panel').innerText"
SIZE_BYTES = 1_000_000


def side(file: str, methods: str, *, allowed: bool, saw: str = "POST", more_policies: int = 1) -> OneSide:
    """Why a POST to a cart ended as it did with these methods."""

    def policy(name: str, wants: str, *, matched: bool) -> PolicyExplanation:
        place = Place(file, 49, f"AuthorizationPolicy shop/{name}")
        conditions = (
            ConditionExplanation(place, "methods", negated=False, wants=(wants,), saw=saw, holds=matched),
            ConditionExplanation(place, "hosts", negated=False, wants=("cart",), saw="cart", holds=True),
        )
        failing = () if matched else conditions[:1]
        rule = RuleExplanation(place, 0, matched, failing=failing, conditions=conditions)
        text = "allows (rule 0 matches)" if matched else "no rule matches"
        return PolicyExplanation(
            place, f"shop/{name}", "ALLOW", dry_run=False, matched=matched, text=text, rules=(rule,)
        )

    policies = (
        policy("customers", methods, matched=allowed),
        *(policy(f"others-{number}", "PUT", matched=False) for number in range(more_policies)),
    )
    text = "200 by the application of shop/cart" if allowed else "403 by the proxy of shop/cart"
    decided = "allowed by shop/customers, rule 0" if allowed else "no rule matches"
    steps = (
        Step("listener", "passed", "port 8080", details=("the workload's own port",)),
        Step("policies", "passed" if allowed else "refused", decided, policies=policies),
    )
    return OneSide(
        Explanation(
            "a partner writes",
            "mesh.yaml:1",
            "a partner",
            "POST http://cart/",
            Decision(
                allowed=allowed,
                status=200 if allowed else 403,
                by="",
                proxy="",
                step="",
                policy="",
                rule=None,
                text=text,
            ),
            (HopExplanation("shop/cart", "inbound", 8080, steps),),
        )
    )


def panel_of(old: OneSide, new: OneSide) -> tuple[Block, ...]:
    (sides,) = sides_as_json([BothSides(old, new)])
    return both_sides(sides)


def opened(saw: str = "POST", more_policies: int = 1) -> tuple[Block, ...]:
    """The explanations of a request that is now allowed."""
    return panel_of(
        side("main:mesh/shop.yaml", "GET", allowed=False, saw=saw, more_policies=more_policies),
        side("mesh/shop.yaml", "POST", allowed=True, saw=saw, more_policies=more_policies),
    )


def test_what_both_sides_have_alike_is_folded_although_their_files_differ() -> None:
    before, now = opened()
    assert before.lines == ("403 by the proxy of shop/cart",)
    assert now.lines == ("200 by the application of shop/cart",)
    for block in (before, now):
        (hop,) = block.steps
        listener, policies = hop.steps
        deciding, other = policies.steps
        (rule,) = deciding.steps
        steps = (hop, listener, policies, deciding, rule, *rule.steps, other)
        assert [(step.title.split(":")[0], step.opened) for step in steps] == [
            ("shop/cart, inbound 8080", True),
            ("listener", False),
            ("policies", True),
            ("ALLOW shop/customers", True),
            ("rule 0", True),
            ("methods", True),
            ("hosts", False),
            ("ALLOW shop/others-0", False),
        ]


def test_a_side_without_an_explanation_says_why() -> None:
    lacking = OneSide(note="not there: there is no workload shop/cart")
    before, _ = panel_of(lacking, side("mesh.yaml", "POST", allowed=True))
    assert (before.lines, before.steps) == (("not there: there is no workload shop/cart",), ())


def test_300_changes_with_100_explanations_stay_below_a_megabyte() -> None:
    differences = [{**OPENED, "name": f"request {number}"} for number in range(300)]
    explanations = [opened(f"METHOD{number}", more_policies=4) for number in range(100)]
    page = document(report_of_diff(comparison(*differences), graph(), explanations=explanations))
    assert len(page.encode()) <= SIZE_BYTES


@pytest.mark.parametrize("by", ["click", "keyboard"])
def test_a_changed_request_opens_the_explanations_of_both_sides(
    browser: Browser, tmp_path: Path, by: str
) -> None:
    report = report_of_diff(comparison(OPENED), graph(), explanations=[opened(HOSTILE)])
    (tmp_path / "report.html").write_text(document(report), encoding="utf-8")
    page = browser.open(f"file://{tmp_path}/report.html")
    if by == "click":
        page.click("button.cell")
    else:
        page.value("document.getElementById('search').focus()")
        page.press("Tab")
        page.press("Enter")
    panel = page.value(PANEL)
    before, now = panel.split("BEFORE, STEP BY STEP")[1].split("NOW, STEP BY STEP")
    for words in (
        "✗ ALLOW shop/customers: no rule matches does not match",
        "(main:mesh/shop.yaml:49)",
        "✗ methods",
    ):
        assert words in before
    for words in (
        "✓ ALLOW shop/customers: allows (rule 0 matches) matches",
        "(mesh/shop.yaml:49)",
        "✓ methods",
    ):
        assert words in now
    assert "<img src=x onerror=" in before
    assert page.value("document.querySelectorAll('img').length") == 0
    # A step that is folded opens by the keyboard, too.
    page.value("document.querySelector('#panel details:not([open]) > summary').focus()")
    page.press("Enter")
    assert page.value("document.activeElement.parentElement.open")
    assert (page.requests, page.complaints) == ([f"file://{tmp_path}/report.html"], [])
