"""An explanation in the panel of a report: what decided is open, what did not is folded, and no step is kept twice."""

from __future__ import annotations

import json
import re
from typing import Any

from meshlab.html_report.data import data_of
from meshlab.html_report.document import document
from meshlab.html_report.explained import explained
from meshlab.html_report.of_test import report_of_run

from tests.lab.html_report.samples import HOSTILE, refused, run_of


def place(path: str = "") -> dict[str, Any]:
    found = {"file": "mesh/bank.yaml", "line": 30, "subject": "AuthorizationPolicy bank/cart-only"}
    return {**found, "path": path} if path else found


def explanation(
    name: str = "orders reads the ledger", saw: str = "spiffe://x/ns/shop/sa/default"
) -> dict[str, Any]:
    condition = {
        "place": place("spec.rules[0].from[0].source"),
        "attribute": "principals",
        "negated": True,
        "wants": ["cluster.local/ns/shop/sa/cart"],
        "saw": saw,
        "holds": True,
    }
    rule = {"place": place("spec.rules[0]"), "index": 0, "matched": True, "conditions": [condition]}
    policy = {
        "place": place(),
        "name": "bank/cart-only",
        "action": "DENY",
        "matched": True,
        "text": "denied the request",
        "rules": [rule, {"place": place("spec.rules[1]"), "index": 1, "matched": None}],
    }
    passed = {"name": "listener", "state": "passed", "text": "virtualInbound took the connection"}
    policies = {"name": "policies", "state": "refused", "text": "a DENY policy matched", "policies": [policy]}
    route = {"name": "route", "state": "not reached", "text": "the request did not get there"}
    return {
        "name": name,
        "case": "tests/shop.yaml:7",
        "decision": {"allowed": False, "status": 403, "text": "403 by the proxy of bank/ledger"},
        "hops": [
            {"workload": "shop/orders", "direction": "outbound", "port": 80, "steps": [passed]},
            {
                "workload": "bank/ledger",
                "direction": "inbound",
                "port": 9090,
                "steps": [passed, policies, route],
            },
        ],
        "changes": [
            {
                "parts": [
                    {
                        "kind": "manifest",
                        "text": "add its identity",
                        "place": place(),
                        "value": "- shop/orders",
                    }
                ],
                "verified": True,
                "widens": [
                    {"caller": "shop/orders", "target": "bank/ledger", "request": "POST /", "text": "now 200"}
                ],
            }
        ],
    }


def test_the_hop_that_decided_is_open_and_the_others_are_folded() -> None:
    parts = {part.heading: part for part in explained(explanation())}
    assert list(parts) == ["who decided", "step by step", "what would let it in"]
    first, second = parts["step by step"].steps
    assert (first.title, first.tone, first.opened) == ("shop/orders, outbound 80", "passed", False)
    assert (second.tone, second.opened) == ("stopped", True)
    assert [step.tone for step in second.steps] == ["passed", "stopped", "unreached"]


def test_the_last_hop_is_open_where_the_request_got_in() -> None:
    allowed = explanation()
    allowed["decision"] = {"allowed": True, "status": 200, "text": "200 by the application of bank/ledger"}
    allowed["hops"] = [{**hop, "steps": hop["steps"][:1]} for hop in allowed["hops"]]
    allowed["changes"] = []
    (part,) = explained(allowed)
    assert [(step.tone, step.opened) for step in part.steps] == [("passed", False), ("passed", True)]


def test_policies_rules_and_conditions_say_what_they_wanted_and_saw() -> None:
    hop = explained(explanation())[1].steps[1]
    (policy,) = hop.steps[1].steps
    assert (policy.title, policy.tone) == ("DENY bank/cart-only: denied the request", "stopped")
    assert policy.facts[0].value == "AuthorizationPolicy bank/cart-only (mesh/bank.yaml:30)"
    assert [(rule.title, rule.tone) for rule in policy.steps] == [
        ("rule 0", "matches"),
        ("rule 1", "unreached"),
    ]
    (condition,) = policy.steps[0].steps
    assert condition.tone == "holds"
    assert [(fact.label, fact.value) for fact in condition.facts] == [
        ("wants none of", "cluster.local/ns/shop/sa/cart"),
        ("saw", "spiffe://x/ns/shop/sa/default"),
    ]


def test_the_conditions_that_fail_come_first_and_their_rule_is_open() -> None:
    found = explanation()
    policy = found["hops"][1]["steps"][1]["policies"][0]
    met = policy["rules"][0]["conditions"][0]
    missed = {
        **met,
        "attribute": "methods",
        "negated": False,
        "wants": ["GET"],
        "saw": "POST",
        "holds": False,
    }
    policy["rules"] = [{**policy["rules"][0], "matched": False, "conditions": [met, missed], "failing": [1]}]
    (rule,) = explained(found)[1].steps[1].steps[1].steps[0].steps
    assert (rule.tone, rule.opened) == ("misses", True)
    assert [(step.title, step.tone) for step in rule.steps] == [("methods", "lacks"), ("principals", "holds")]


def test_a_change_says_where_what_and_what_else_it_would_let_in() -> None:
    (change,) = explained(explanation())[2].steps
    assert (change.title, change.tone) == ("add its identity", "passed")
    assert [fact.label for fact in change.facts] == ["at", "write"]
    assert change.steps[0].steps[0].title == "shop/orders to bank/ledger: POST /"


def test_a_step_that_many_explanations_hold_is_kept_once() -> None:
    names = [f"case {number}" for number in range(300)]
    found = {("tests/shop.yaml", name): explained(explanation(name)) for name in names}
    report = report_of_run(run_of(*(refused(name) for name in names)), explanations=found)
    data = data_of(report.entries)
    assert len(data["steps"]) < 20
    assert len({json.dumps(step) for step in data["steps"]}) == len(data["steps"])
    assert len(document(report).encode()) < 1_000_000


def test_a_case_with_an_explanation_shows_it_in_place_of_its_proxies() -> None:
    found = {("tests/shop.yaml", "orders reads the ledger"): explained(explanation())}
    report = report_of_run(run_of(refused("orders reads the ledger"), refused("another")), explanations=found)
    headings = [[block.heading for block in entry.blocks] for entry in report.entries]
    assert headings[0] == ["", "expected and got", "who decided", "step by step", "what would let it in"]
    assert headings[1] == ["", "expected and got", "the way"]


def test_a_hostile_value_of_an_explanation_stays_a_text() -> None:
    found = {("tests/shop.yaml", "orders reads the ledger"): explained(explanation(saw=HOSTILE))}
    page = document(report_of_run(run_of(refused("orders reads the ledger")), explanations=found))
    (data,) = re.findall(r'id="data">(.*?)</script>', page)
    assert "u003cimg src=x" in data
    assert page.count("</script>") == 2
