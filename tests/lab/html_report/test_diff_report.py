"""A comparison of two meshes as a report."""

from __future__ import annotations

from typing import Any

import pytest
from meshlab.html_report.document import document
from meshlab.html_report.of_diff import report_of_diff
from meshlab.html_report.report import Block

from tests.lab.html_report.samples import HOSTILE, graph

ALLOWED = {
    "summary": "200 by the application of shop/cart",
    "ending": "200",
    "allowed": True,
    "answerer": "shop/cart",
    "status": 200,
    "mtls": [{"receiver": "shop/cart", "identity": "spiffe://cluster.local/ns/edge/sa/default"}],
    "policy": "",
    "reason": "",
    "absent": "",
    "unknown": [],
    "way": ["edge/door", "shop/cart"],
}
REFUSED = {
    **ALLOWED,
    "summary": "403 by the proxy of shop/cart: no ALLOW policy matched",
    "ending": "403",
    "allowed": False,
    "status": 403,
    "policy": "none",
    "reason": "no ALLOW policy matched",
}


def difference(kind: str, old: dict[str, Any], new: dict[str, Any], **more: object) -> dict[str, Any]:
    return {
        "name": f"{kind}: a partner reads",
        "from": {"outside": "edge/door"},
        "caller": "outside edge/door, token of https://partners.example",
        "target": "shop/cart",
        "request_class": "GET /cart",
        "request": "GET https://shop.example/cart",
        "kind": kind,
        "kinds": [kind],
        "details": ["403, now 200"],
        "chance": "",
        "old": old,
        "new": new,
        "because": [0],
        **more,
    }


def comparison(*differences: dict[str, Any], **more: object) -> dict[str, Any]:
    return {
        "version": 1,
        "exit_code": 1,
        "old": "main",
        "new": "mesh",
        "same_configuration": False,
        "counts": {
            "compared": 120,
            "sent_again": 14,
            "not_judged": 0,
            "failed": 0,
            "nowhere": 0,
            "by_chance": 0,
        },
        "duration_s": 4.2,
        "objects": [
            {
                "what": "changed",
                "object": "AuthorizationPolicy shop/customers",
                "old_place": "main:mesh/shop.yaml:49",
                "new_place": "mesh/shop.yaml:49",
                "fields": [{"path": "spec.rules[0]", "old": "a", "new": "b", "place": "mesh/shop.yaml:53"}],
            }
        ],
        "differences": list(differences),
        "not_known": [],
        "nowhere": [],
        "by_chance": [],
        "not_covered": ["requests with bodies"],
        "notes": [],
        **more,
    }


OPENED = difference("now allowed", REFUSED, ALLOWED)
CLOSED = difference("now refused", ALLOWED, REFUSED)
UNKNOWN = {**difference("", REFUSED, {**ALLOWED, "unknown": ["an EnvoyFilter"]}), "failed": False}
del UNKNOWN["kind"]


@pytest.mark.parametrize(
    ("found", "title", "tone"),
    [
        (comparison(same_configuration=True), "Nothing changes: every proxy is configured alike", "passed"),
        (comparison(), "Nothing changes", "passed"),
        (comparison(OPENED), "1 request is now allowed", "opened"),
        (comparison(OPENED, OPENED, CLOSED), "2 requests are now allowed, and 1 more changed", "opened"),
        (comparison(CLOSED), "1 request is now refused", "closed"),
        (comparison(not_known=[UNKNOWN]), "What changed is not known for 1 request", "not_judged"),
    ],
)
def test_the_title_is_the_gravest_change(found: dict[str, Any], title: str, tone: str) -> None:
    report = report_of_diff(found)
    assert (report.title, report.tone) == (title, tone)


def test_a_change_shows_before_and_now_and_the_object_that_made_it() -> None:
    (entry,) = report_of_diff(comparison(OPENED)).entries
    rows = {row[0]: row[1:] for block in entry.blocks for row in block.rows}
    assert rows["ending"] == ("403", "200", False)
    assert rows["answerer"] == ("shop/cart", "shop/cart", True)
    steps = [step for block in entry.blocks for step in block.steps]
    assert steps[0].title == "changed AuthorizationPolicy shop/customers"
    assert [fact.value for fact in steps[0].facts] == [
        "main:mesh/shop.yaml:49 → mesh/shop.yaml:49",
        "spec.rules[0]: a → b",
    ]


def test_each_kind_has_a_table_and_what_is_not_known_is_never_left_out() -> None:
    (section,) = report_of_diff(comparison(OPENED, CLOSED, not_known=[UNKNOWN])).sections
    assert [table.name for table in section.tables] == ["now allowed", "now refused", "not known"]
    assert section.tables[0].rows[0].name == "outside edge/door, token of https://partners.example"


def test_the_drawing_shows_the_ways_of_the_requests_that_end_otherwise() -> None:
    report = report_of_diff(comparison(OPENED), graph())
    assert report.graph is not None
    passed = [(edge.source, edge.target) for edge in report.graph.edges if edge.tone == "passed"]
    assert passed == [("edge/door", "shop/cart"), ("outside", "edge/door")]


def test_where_not_all_changes_are_explained_the_page_and_the_panels_of_the_others_say_so() -> None:
    explained = (Block("now, step by step", lines=("200 by the application of shop/cart",)),)
    found = comparison(OPENED, OPENED, CLOSED, not_known=[UNKNOWN])
    report = report_of_diff(found, explanations=[explained])
    assert "the first 1 of 3 changes are explained" in report.subtitle
    said = [[block.heading for block in entry.blocks if "step" in block.heading] for entry in report.entries]
    assert said == [["now, step by step"], ["step by step"], ["step by step"], []]
    (block,) = (block for block in report.entries[1].blocks if block.heading == "step by step")
    assert block.lines == (
        "Only the first 1 of 3 changes are explained; meshlab explain does it for any request.",
    )


def test_where_all_changes_are_explained_nothing_is_said_of_a_bound() -> None:
    report = report_of_diff(comparison(OPENED), explanations=[()])
    assert not any("explained" in text for text in report.subtitle)


def test_a_hostile_comparison_stays_text() -> None:
    hostile = {**OPENED, "caller": HOSTILE, "target": HOSTILE, "request_class": HOSTILE, "name": HOSTILE}
    page = document(report_of_diff(comparison(hostile, not_covered=[HOSTILE]), graph()))
    assert "<img" not in page
    assert page.count("</script>") == 2
