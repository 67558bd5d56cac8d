"""What became of a request, and which kind of change there is between two such effects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from meshlab.bench.case import TokenSpec
from meshlab.bench.client.reply import Reply
from meshlab.bench.verdicts.verdict import Outcome, Verdict
from meshlab.diff.effect import Change, Effect, Kind, Peer, change_of, effect_of, not_there
from meshlab.istio.read.workload_ref import WorkloadRef

from tests.lab.diff.verdicts import CALLER, CART, DOOR, allowed, case, effect, hop, refused

ALLOWED, REFUSED = effect(allowed()), effect(refused())


def change(old: Effect, new: Effect) -> Change:
    found = change_of(old, new)
    assert found is not None
    return found


def test_an_application_that_answers_allows_the_request_whatever_its_status() -> None:
    for status in (200, 404, 503):
        found = effect(allowed(status=status))
        assert (found.allowed, found.answerer, found.status) == (True, "shop/cart", status)


def test_a_proxy_that_answers_refuses_it_and_is_named_with_its_policy() -> None:
    denied = "rbac_access_denied_matched_policy[ns[shop]-policy[closed]-rule[0]]"
    found = effect(refused(details=denied))
    assert (found.allowed, found.answerer, found.status) == (False, "shop/cart", 403)
    assert (found.policy, REFUSED.policy) == ("shop/closed", "none")


def test_an_application_that_got_a_request_and_answered_nothing_has_not_allowed_it() -> None:
    verdict = Verdict(Reply("127.0.0.1:1", failure="it was reset"), (hop(),), app="shop/cart")
    assert not effect(verdict).allowed


def test_each_connection_of_the_mesh_counts_with_the_identity_that_its_receiver_saw() -> None:
    assert ALLOWED.mtls == (Peer("edge/door", ""), Peer("shop/cart", CALLER))


def test_an_application_without_a_proxy_saw_no_identity() -> None:
    verdict = replace(allowed(), hops=(hop(DOOR, "gateway"),))
    assert effect(verdict).mtls == (Peer("edge/door", ""), Peer("shop/cart", ""))
    assert change(ALLOWED, effect(verdict)).kind is Kind.WITHOUT_MTLS


def test_the_senders_own_proxy_receives_nothing_of_the_mesh() -> None:
    verdict = replace(allowed(), hops=(hop(WorkloadRef("shop", "caller"), "outbound"), hop(peer=CALLER)))
    assert effect(verdict).mtls == (Peer("shop/cart", CALLER),)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (refused(), allowed(), Kind.NOW_ALLOWED),
        (allowed(), refused(), Kind.NOW_REFUSED),
        (allowed(), allowed("shop/other"), Kind.ANOTHER_WORKLOAD),
        (allowed(), allowed(peer=""), Kind.WITHOUT_MTLS),
        (allowed(peer=""), allowed(), Kind.WITH_MTLS),
        (refused(), refused(401), Kind.REFUSED_DIFFERENTLY),
        (refused(), refused(by=DOOR), Kind.REFUSED_DIFFERENTLY),
        (refused(), refused(None), Kind.REFUSED_DIFFERENTLY),
        (
            refused(301, returned=(("location", "https://a.example/"),)),
            refused(301, returned=(("location", "https://b.example/"),)),
            Kind.REFUSED_DIFFERENTLY,
        ),
        (
            refused(details="direct_response", body=b"closed"),
            refused(details="direct_response", body=b"open at 9"),
            Kind.REFUSED_DIFFERENTLY,
        ),
        (allowed(), allowed(target="/v2/"), Kind.REACHES_DIFFERENTLY),
        (allowed(), allowed(received=(("x-user", "alice"),)), Kind.REACHES_DIFFERENTLY),
        (allowed(), allowed(peer="spiffe://cluster.local/ns/edge/sa/other"), Kind.REACHES_DIFFERENTLY),
        (allowed(), allowed(returned=(("x-frame-options", "DENY"),)), Kind.ANSWERED_DIFFERENTLY),
        (allowed(), allowed(status=404), Kind.ANSWERED_DIFFERENTLY),
    ],
)
def test_each_kind_of_change_is_named(old: Verdict, new: Verdict, kind: Kind) -> None:
    assert change(effect(old), effect(new)).kind is kind


@pytest.mark.parametrize("verdict", [allowed(), refused(), refused(None), refused(by=DOOR)])
def test_what_is_the_same_is_no_change(verdict: Verdict) -> None:
    assert change_of(effect(verdict), effect(verdict)) is None


def test_another_policy_or_reason_alone_is_no_change() -> None:
    other = refused(
        details="rbac_access_denied_matched_policy[ns[shop]-policy[closed]-rule[0]]", reason="another"
    )
    assert change_of(REFUSED, effect(other)) is None


def test_a_reason_that_another_proxys_body_gives_is_no_change() -> None:
    assert change_of(REFUSED, effect(refused(body=b"RBAC: other words"))) is None


def test_all_that_changed_is_reported_with_the_gravest_first() -> None:
    new = allowed("shop/other", peer="", target="/v2/", returned=(("x-a", "1"),))
    found = change(ALLOWED, effect(new))
    assert found.kinds == (
        Kind.ANOTHER_WORKLOAD,
        Kind.WITHOUT_MTLS,
        Kind.REACHES_DIFFERENTLY,
        Kind.ANSWERED_DIFFERENTLY,
    )
    assert found.details == (
        "answered by shop/cart, now by shop/other",
        f"shop/other saw {CALLER}, now no client certificate",
        "the path: /, now /v2/",
        "the response header x-a: absent, now '1'",
    )


def test_the_mtls_of_two_workloads_that_answer_is_compared() -> None:
    assert change(ALLOWED, effect(allowed("shop/other"))).kinds == (Kind.ANOTHER_WORKLOAD,)
    both = (Kind.ANOTHER_WORKLOAD, Kind.WITHOUT_MTLS)
    assert change(ALLOWED, effect(allowed("shop/other", peer=""))).kinds == both


def test_what_is_not_there_is_a_change_only_where_it_was_or_is_allowed() -> None:
    absent = not_there("there is no workload shop/cart")
    assert change(absent, ALLOWED).kind is Kind.NOW_ALLOWED
    assert change(ALLOWED, absent).kind is Kind.NOW_REFUSED
    assert change_of(absent, REFUSED) is None
    assert change_of(REFUSED, absent) is None
    assert absent.summary == "not there: there is no workload shop/cart"


def test_a_request_that_the_mesh_has_no_place_for_is_not_there() -> None:
    found = effect_of(Outcome(case(), "error", reasons=("orders.shop does not resolve for shop/cart",)))
    assert (found.absent, found.unknown) == ("orders.shop does not resolve for shop/cart", ())


@pytest.mark.parametrize(("state", "failed"), [("not judged", False), ("error", True)])
def test_what_is_not_judged_or_failed_is_not_known_and_no_change(state: str, failed: bool) -> None:
    found = effect_of(Outcome(case(), state, allowed(), reasons=("mesh.yaml:7: EnvoyFilter a/b",)))  # type: ignore[arg-type]
    assert (found.unknown, found.failed) == (("mesh.yaml:7: EnvoyFilter a/b",), failed)
    assert change_of(found, ALLOWED) is None
    assert change_of(REFUSED, found) is None


def test_a_summary_says_the_ending_who_and_why() -> None:
    assert REFUSED.summary == "403 by the proxy of shop/cart: no ALLOW policy matched"
    assert ALLOWED.summary == "200 by the application of shop/cart"
    assert effect(refused(None)).summary == "refused by the proxy of shop/cart: no ALLOW policy matched"
    outside = replace(allowed(), app="api.example", hops=(hop(DOOR, "gateway"),))
    assert effect(outside).summary == "200 by api.example"


def test_the_way_begins_at_the_sender() -> None:
    assert ALLOWED.way == (DOOR, CART)
    assert effect_of(Outcome(case(inside=True), "error", reasons=("x",))).way == (
        WorkloadRef("shop", "caller"),
    )


def test_a_token_that_a_case_writes_out_is_not_shown() -> None:
    secret = "s3cret-token-of-a-case"
    found = effect(
        allowed(target=f"/?access_token={secret}", received=(("authorization", f"Bearer {secret}"),)),
        TokenSpec(literal=secret),
    )
    assert secret not in repr(found)
    assert found.received is not None
    assert found.received.headers == (("authorization", "Bearer <token>"),)


BY_CART = "By=spiffe://a/ns/shop/sa/cart;Hash=<of the run>;URI=spiffe://a/ns/edge/sa/door"


@pytest.mark.parametrize(
    ("new", "answerer", "identity", "said"),
    [
        (
            "By=spiffe://a/ns/shop/sa/cart;URI=spiffe://a/ns/x/sa/y",
            "shop/cart",
            "spiffe://a/ns/x/sa/y",
            False,
        ),
        ("", "shop/cart", "", False),
        (BY_CART.replace("sa/cart", "sa/till"), "shop/till", CALLER, False),
        (f"{BY_CART},{BY_CART}", "shop/cart", CALLER, True),
        (f"{BY_CART.replace('sa/cart', 'sa/till')};DNS=a", "shop/till", CALLER, True),
    ],
)
def test_the_header_on_client_certificates_is_left_out_where_it_says_again_what_changed(
    new: str, answerer: str, identity: str, said: bool
) -> None:
    before = with_certificate_header(ALLOWED, BY_CART)
    now = replace(with_certificate_header(ALLOWED, new), answerer=answerer)
    now = replace(now, mtls=(now.mtls[0], Peer(answerer, identity)))
    details = change(before, now).details
    assert any("x-forwarded-client-cert" in text for text in details) is said
    assert len(details) == (1 if answerer == "shop/cart" or not said else 2)


def with_certificate_header(found: Effect, value: str) -> Effect:
    assert found.received is not None
    headers = (("x-forwarded-client-cert", value),) if value else ()
    return replace(found, received=replace(found.received, headers=headers))
