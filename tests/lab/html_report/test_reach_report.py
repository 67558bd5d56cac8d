"""Who reaches what, as a report."""

from __future__ import annotations

from typing import Any

from meshlab.html_report.document import document
from meshlab.html_report.of_reach import report_of_reach

from tests.lab.html_report.samples import HOSTILE, case, graph, hop, run_of

TITLE = "outside edge/door"


def question(caller: str, request: str, access: str = "allowed", **more: object) -> dict[str, Any]:
    return {
        "name": f"{caller}: {request}",
        "block": TITLE,
        "caller": caller,
        "also": [],
        "request": request,
        "access": access,
        "word": {"allowed": "200", "refused": "403"}.get(access, access),
        "by": "shop/cart",
        "elsewhere": False,
        "policy": "none" if access == "refused" else "",
        "reason": "no ALLOW policy matched" if access == "refused" else "",
        **more,
    }


ALICE, NO_TOKEN = f"{TITLE}, token of alice", TITLE
QUESTIONS = [
    question(ALICE, "GET /"),
    question(ALICE, "POST /", elsewhere=True, by="shop/orders"),
    question(NO_TOKEN, "GET /", "refused", also=["shop/a", "shop/b"]),
    question(NO_TOKEN, "PUT /", "not judged"),
]
COLUMNS = [["GET /", "HEAD /", "OPTIONS /", "TRACE /"], ["POST /"], ["PUT /"]]


def found(questions: list[dict[str, Any]] | None = None, title: str = TITLE) -> dict[str, Any]:
    block = {"title": title, "rows": [[ALICE], [NO_TOKEN]], "columns": COLUMNS}
    target = {"target": "shop/cart", "reached_by": [ALICE], "unknown": [], "blocks": [block]}
    return {
        "version": 1,
        "exit_code": 3,
        "targets": [{**target, "questions": QUESTIONS if questions is None else questions}],
        "not_covered": ["bodies"],
        "refusals": [],
        "notes": [],
    }


def run() -> dict[str, Any]:
    refused = {"status": 403, "proxy": "shop/cart", "reason": "no ALLOW policy matched"}
    return run_of(
        *(case(each["name"], "seen", expected=None) for each in QUESTIONS[:2]),
        case(
            QUESTIONS[2]["name"],
            "seen",
            expected=None,
            got=refused,
            hops=[hop("edge/door"), hop("shop/cart")],
        ),
        case(QUESTIONS[3]["name"], "not_judged", got=None, hops=[], reasons=["an EnvoyFilter"]),
    )


def test_the_title_says_how_many_get_in() -> None:
    report = report_of_reach(found(), run())
    assert report.title == "2 of 4 requests get in"
    assert [(count.tone, count.count) for count in report.counts] == [
        ("allowed", 2),
        ("refused", 1),
        ("not_judged", 1),
    ]
    assert report.remarks[0] == ("Not covered", ("bodies",))


def test_each_target_has_a_table_for_each_way_in_with_groups_as_headings() -> None:
    (section,) = report_of_reach(found(), run()).sections
    assert section.heading == "shop/cart, reached by 1 caller"
    (table,) = section.tables
    assert table.name == TITLE
    assert table.columns == ("· GET /\n· HEAD /\n· and 2 more", "POST /", "PUT /")
    assert [row.name for row in table.rows] == ["token of alice", "no token"]
    texts = [[getattr(cell, "text", cell) for cell in row.cells] for row in table.rows]
    assert texts == [
        ["allowed 200", "allowed 200 at shop/orders", None],
        ["refused 403", None, "not judged"],
    ]


def test_a_click_shows_who_is_treated_alike_and_the_way() -> None:
    entry = report_of_reach(found(), run()).entries[2]
    facts = {fact.label: fact.value for block in entry.blocks for fact in block.facts}
    assert (facts["caller"], facts["alike"], facts["for"]) == (TITLE, "shop/a, shop/b", "shop/cart")
    assert "the way" in [block.heading for block in entry.blocks]
    assert entry.nodes == ("outside", "edge/door", "shop/cart")


def test_the_drawing_has_the_ways_of_all_requests() -> None:
    report = report_of_reach(found(), run(), graph())
    assert report.graph is not None
    edges = {(edge.source, edge.target): edge for edge in report.graph.edges}
    assert (edges["edge/door", "shop/cart"].let_in, edges["edge/door", "shop/cart"].refused) == (2, 1)


def test_a_question_whose_case_is_missing_is_shown_all_the_same() -> None:
    entry = report_of_reach(found(), run_of()).entries[2]
    assert {fact.label for block in entry.blocks for fact in block.facts} == {
        "caller",
        "alike",
        "for",
        "outcome",
    }


def test_a_hostile_document_stays_text() -> None:
    hostile = [question(HOSTILE, "GET /", reason=HOSTILE, also=[HOSTILE], by=HOSTILE, block=HOSTILE)]
    page = document(report_of_reach(found(hostile, title=HOSTILE), run_of(), graph()))
    assert "<img" not in page
    assert page.count("</script>") == 2
