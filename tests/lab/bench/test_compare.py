"""Expectations against verdicts: what is stated is compared, each with a verdict that does not meet it."""

from __future__ import annotations

import pytest
from meshlab.bench.case import Expectation, Received
from meshlab.bench.client.reply import Reply
from meshlab.bench.evidence.line import EvidenceLine
from meshlab.bench.verdicts.compare_expected import compare
from meshlab.bench.verdicts.hop import Hop
from meshlab.bench.verdicts.verdict import ReceivedByApp, Verdict
from meshlab.istio import WorkloadRef

CART, DOOR = WorkloadRef("shop", "cart"), WorkloadRef("edge", "door")
DENIED = "rbac_access_denied_matched_policy[ns[shop]-policy[readers]-rule[1]]"
XFCC = 'By=spiffe://a;URI=spiffe://cluster.local/ns/x/sa/first,By=b;Subject="";URI=spiffe://cluster.local/ns/y/sa/last'


def by_app(**changes: object) -> Verdict:
    received = ReceivedByApp(
        "GET",
        "/new?x",
        "cart.shop",
        (("x-a", "1"), ("x-two", "1"), ("X-Two", "2"), ("x-forwarded-client-cert", XFCC)),
        "",
    )
    reply = Reply("127.0.0.1:1", 200, (("server", "envoy"),), b"hello", ("*.shop.example", "spiffe://b"))
    values: dict[str, object] = {
        "app": "shop/cart",
        "version": "v1",
        "subset": "stable",
        "received": received,
    }
    return Verdict(reply, **{**values, **changes})  # type: ignore[arg-type]


def by_proxy(details: str = DENIED, status: int = 403) -> Verdict:
    hop = Hop(CART, "inbound", 8080, EvidenceLine(CART, "http", details=details, status=status))
    reply = Reply("127.0.0.1:1", status, body=b"RBAC: access denied")
    return Verdict(reply, (hop,), proxy=CART, reason=hop.reason)


def refused() -> Verdict:
    return Verdict(
        Reply("127.0.0.1:1", failure="the connection was reset"), proxy=CART, reason="no filter chain"
    )


@pytest.mark.parametrize(
    ("expect", "good", "bad"),
    [
        (Expectation(status=200), by_app(), by_proxy()),
        (Expectation(status=403, proxy=CART), by_proxy(), by_app()),
        (Expectation(proxy=DOOR), Verdict(Reply("a", 403), proxy=DOOR), by_proxy()),
        (Expectation(refused=True), refused(), by_app()),
        # What a proxy for HTTP answers to a client of TCP is an answer of no application.
        (
            Expectation(refused=True),
            Verdict(Reply("a", body=b"HTTP/1.1 400 Bad Request"), proxy=CART),
            Verdict(Reply("a", body=b"hello"), app="shop/cart"),
        ),
        (Expectation(refused=True, proxy=CART), refused(), by_proxy()),
        (Expectation(refused=True, says="reset"), refused(), Verdict(Reply("a", failure="closed"))),
        (Expectation(refused=True, says="no filter chain"), refused(), Verdict(Reply("a", failure="closed"))),
        (Expectation(answered=True), by_app(), refused()),
        (Expectation(answered=True), by_app(), by_proxy()),
        (Expectation(app="shop/cart"), by_app(), by_app(app="shop/cart-v2")),
        (Expectation(app="shop/cart"), by_app(), by_app(app=None, missing="no evidence")),
        (Expectation(subset="v1"), by_app(), by_app(version="v2")),
        (Expectation(subset="stable"), by_app(), by_app(subset="canary")),
        (Expectation(policy="shop/readers", rule=1), by_proxy(), by_app()),
        (Expectation(policy="shop/readers"), by_proxy(), by_proxy(DENIED.replace("readers", "writers"))),
        (Expectation(rule=1), by_proxy(), by_proxy(DENIED.replace("rule[1]", "rule[2]"))),
        (Expectation(policy="none"), by_proxy("rbac_access_denied_matched_policy[none]"), by_proxy()),
        (Expectation(says="hell"), by_app(), by_proxy()),
        (Expectation(headers={"Server": "envoy", "x": None}), by_app(), by_proxy()),
        (Expectation(headers={"x": None}), by_proxy(), Verdict(Reply("a", 200, (("X", ""),)))),
        (Expectation(certificate="spiffe://b"), by_app(), by_proxy()),
        (
            Expectation(certificate="cart.shop.example"),
            by_app(),
            Verdict(Reply("a", 200, certificate=("*.example",))),
        ),
        (Expectation(received=Received(method="GET", path="/new?x", host="cart.shop")), by_app(), by_proxy()),
        (Expectation(received=Received()), by_app(), by_app(received=None)),
        (
            Expectation(received=Received(headers={"x-a": "1", "x-two": "1,2", "x-b": None})),
            by_app(),
            by_proxy(),
        ),
        (
            Expectation(received=Received(identity="spiffe://cluster.local/ns/y/sa/last")),
            by_app(),
            by_proxy(),
        ),
        (
            Expectation(received=Received(identity="none", sni="none")),
            by_app(received=ReceivedByApp("GET", "/", "cart.shop", (), "")),
            by_app(),
        ),
        (Expectation(subset="none"), by_app(version="", subset=""), by_app()),
    ],
)
def test_what_is_expected_is_met_or_named(expect: Expectation, good: Verdict, bad: Verdict) -> None:
    assert compare(expect, good) == []
    assert compare(expect, bad)


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        (Expectation(received=Received(path="/old")), "received.path: expected /old, got /new?x"),
        (Expectation(received=Received(method="PUT")), "received.method: expected PUT, got GET"),
        (Expectation(received=Received(host="a")), "received.host: expected a, got cart.shop"),
        (Expectation(received=Received(headers={"x-a": "2"})), "received.headers.x-a: expected '2', got '1'"),
        (
            Expectation(received=Received(headers={"x-two": "1"})),
            "received.headers.x-two: expected '1', got '1,2'",
        ),
        (
            Expectation(received=Received(headers={"x-a": None})),
            "received.headers.x-a: expected no such header, got '1'",
        ),
        (Expectation(status=404), "status: expected 404, got 200 by the application of shop/cart (v1)"),
        (
            Expectation(certificate="a.b.shop.example"),
            "certificate: expected a.b.shop.example, got *.shop.example, spiffe://b",
        ),
        (Expectation(says="bye"), "says: expected 'bye', got 'hello'"),
    ],
)
def test_a_mismatch_says_what_was_expected_and_what_came(expect: Expectation, words: str) -> None:
    assert [str(mismatch) for mismatch in compare(expect, by_app())] == [words]


def test_a_status_without_a_response_says_how_the_connection_ended() -> None:
    (mismatch,) = compare(Expectation(status=200), refused())
    assert str(mismatch) == "status: expected 200, got refused by the proxy of shop/cart: no filter chain"


def test_a_policy_that_denied_is_distinguished_from_none_that_allowed() -> None:
    (mismatch,) = compare(Expectation(policy="none"), by_proxy())
    assert str(mismatch) == "policy: expected none, got denied by AuthorizationPolicy shop/readers, rule 1"
    (mismatch,) = compare(
        Expectation(policy="shop/readers"), by_proxy("rbac_access_denied_matched_policy[none]")
    )
    assert str(mismatch) == "policy: expected shop/readers, got no ALLOW policy matched"


def test_any_of_several_applications_may_answer_and_no_other() -> None:
    verdict = Verdict(Reply("127.0.0.1:1", 200), app="shop/cart-v2")
    several = Expectation(status=200, app=("shop/cart-v1", "shop/cart-v2"))

    assert list(compare(several, verdict)) == []
    (mismatch,) = compare(several, Verdict(Reply("127.0.0.1:1", 200), app="shop/other"))
    assert (mismatch.part, mismatch.expected) == ("app", "the application of shop/cart-v1 or shop/cart-v2")


def test_a_mismatch_holds_no_token() -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
    received = ReceivedByApp("GET", "/", "a", (("authorization", f"Bearer {token}"),), "")
    expect = Expectation(received=Received(headers={"authorization": None}))
    (mismatch,) = compare(expect, by_app(received=received))
    assert str(mismatch) == "received.headers.authorization: expected no such header, got 'Bearer <token>'"


@pytest.mark.parametrize(
    ("expected", "asked", "met"),
    [
        ("a.wild.example", "a.wild.example", True),
        ("*.wild.example", "a.wild.example", True),
        ("b.wild.example", "a.wild.example", False),
        ("a.other.example", "a.other.example", False),
    ],
)
def test_a_host_that_a_wildcard_lists_answers_under_its_own_name_too(
    expected: str, asked: str, met: bool
) -> None:
    verdict = by_app(app="*.wild.example")
    assert (compare(Expectation(status=200, app=expected), verdict, asked) == []) is met


@pytest.mark.parametrize(
    ("peer", "identity"), [("spiffe://a/ns/b/sa/c,c.b", "spiffe://a/ns/b/sa/c"), ("", "none")]
)
def test_of_a_connection_the_identity_is_what_the_applications_proxy_saw(peer: str, identity: str) -> None:
    hop = Hop(CART, "inbound", 6379, EvidenceLine(CART, "tcp", peer=peer))
    received = ReceivedByApp("TCP", "", "", (), "")
    verdict = Verdict(Reply("a", body=b"hi"), (hop,), app="shop/cart", received=received)
    assert compare(Expectation(answered=True, received=Received(identity=identity)), verdict) == []
    assert compare(Expectation(answered=True, received=Received(identity="spiffe://x")), verdict)
