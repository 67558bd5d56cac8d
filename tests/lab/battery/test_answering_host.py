"""Who answered a request to a host that the manifests know by a wildcard."""

from __future__ import annotations

import pytest
from meshlab.battery.answering_host import answering_host
from meshlab.battery.battery import Question
from meshlab.bench.case import Case, CasePlace, FromWorkload, TlsRequest
from meshlab.bench.client.reply import Reply
from meshlab.bench.verdicts.verdict import Outcome, Verdict
from meshlab.diff.effect import change_of, effect_of
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.reach.outcome import answer_of

CASE = Case(
    "it",
    FromWorkload(WorkloadRef("shop", "cart")),
    TlsRequest("any.wild.example", 443),
    None,
    CasePlace("questions", 1),
)


@pytest.mark.parametrize(
    ("app", "answered"),
    [
        ("*.wild.example", "any.wild.example"),
        ("*.other.example", "*.other.example"),
        ("any.wild.example", "any.wild.example"),
        ("shop/cart", "shop/cart"),
    ],
)
def test_a_host_of_a_wildcard_is_named_as_it_was_asked_for(app: str, answered: str) -> None:
    assert answering_host(app, CASE) == answered


def test_a_host_is_the_same_one_with_and_without_the_wildcard_that_stands_for_it() -> None:
    by_entry, by_name = (
        Outcome(CASE, "seen", Verdict(Reply(body=b"x"), app=app))
        for app in ("*.wild.example", "any.wild.example")
    )
    assert change_of(effect_of(by_entry), effect_of(by_name)) is None
    found = answer_of(Question(CASE, "shop/cart", "any.wild.example", "TLS"), by_entry)
    assert (found.access, found.elsewhere) == ("allowed", False)
