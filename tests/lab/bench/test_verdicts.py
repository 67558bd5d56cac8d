"""What becomes of requests on real Envoys, and who answered according to the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case import (
    Certificate,
    FromBypass,
    FromForeignMesh,
    FromOutside,
    FromWorkload,
    HttpRequest,
    TcpRequest,
    TlsRequest,
    TokenSpec,
)

from tests.lab.bench.mesh import CALLER, CART, DOOR, LEGACY, NOWHERE_IP

if TYPE_CHECKING:
    from meshlab.bench.verdicts.verdict import Outcome, Verdict

    from tests.lab.bench.conftest import Ask

OUTSIDE = FromOutside(DOOR)
IN_CALLER = FromWorkload(CALLER)
ALICE = TokenSpec(claims={"sub": "alice"})


def judged(outcome: Outcome) -> Verdict:
    assert outcome.verdict is not None, outcome.reasons
    assert outcome.verdict.missing == ""
    return outcome.verdict


def path_of(verdict: Verdict) -> list[tuple[str, str]]:
    return [(str(hop.workload), hop.direction) for hop in verdict.hops]


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_application_answers_through_gateway_and_sidecar(ask: Ask, version: str, scheme: str) -> None:
    request = HttpRequest(f"{scheme}://cart.example/items?x=1", headers=(("x-y", "z"),), version=version)  # type: ignore[arg-type]
    verdict = judged(ask(OUTSIDE, request))
    assert (verdict.reply.status, verdict.app, verdict.version) == (200, "shop/cart", "v1")
    assert verdict.proxy is None
    assert path_of(verdict) == [("edge/door", "gateway"), ("shop/cart", "inbound")]
    assert [hop.port for hop in verdict.hops] == [8443 if scheme == "https" else 8080, 8080]
    assert verdict.hops[1].line.peer == "spiffe://cluster.local/ns/edge/sa/door"
    assert verdict.received is not None
    assert (verdict.received.target, verdict.received.host) == ("/items?x=1", "cart.example")
    assert verdict.received.values("x-y") == ["z"]
    assert verdict.received.identity == "spiffe://cluster.local/ns/edge/sa/door"
    if scheme == "https":
        assert verdict.reply.certificate == ("cart.example",)


def test_a_gateways_policy_and_rule_are_named(ask: Ask) -> None:
    verdict = judged(ask(OUTSIDE, "http://cart.example/closed"))
    assert (verdict.reply.status, verdict.proxy, verdict.app) == (403, DOOR, None)
    decisive = verdict.decisive
    assert decisive is not None
    assert decisive.policy is not None
    assert (decisive.policy.name, decisive.policy.rule) == ("edge/closed-at-the-door", 0)
    assert "denied by AuthorizationPolicy edge/closed-at-the-door, rule 0" in verdict.summary
    assert path_of(verdict) == [("edge/door", "gateway")]


def test_a_token_opens_what_its_policy_asks_it_for(ask: Ask) -> None:
    verdict = judged(ask(OUTSIDE, "http://cart.example/members"))
    assert (verdict.reply.status, verdict.proxy) == (403, DOOR)
    assert verdict.decisive is not None
    assert verdict.decisive.policy is not None
    assert verdict.decisive.policy.rule == 1
    assert judged(ask(OUTSIDE, "http://cart.example/members", ALICE)).app == "shop/cart"


def test_a_refused_token_says_why(ask: Ask) -> None:
    verdict = judged(ask(OUTSIDE, "http://cart.example/", TokenSpec(flaw="expired")))
    assert (verdict.reply.status, verdict.proxy) == (401, DOOR)
    assert "token refused: Jwt is expired" in verdict.reason
    assert verdict.reply.text == "Jwt is expired"


def test_a_sidecars_refusal_is_distinguished_from_the_gateways(ask: Ask) -> None:
    verdict = judged(ask(OUTSIDE, HttpRequest("http://cart.example/", method="POST")))
    assert (verdict.reply.status, verdict.proxy, verdict.app) == (403, CART, None)
    assert path_of(verdict) == [("edge/door", "gateway"), ("shop/cart", "inbound")]
    assert verdict.decisive is not None
    assert verdict.decisive.policy is not None
    assert verdict.decisive.policy.name == "none"
    assert verdict.received is None


def test_an_unknown_host_has_no_route(ask: Ask) -> None:
    verdict = judged(ask(OUTSIDE, "http://other.example/"))
    assert (verdict.reply.status, verdict.proxy) == (404, DOOR)
    assert "no route" in verdict.reason


def test_a_service_without_pods_has_no_upstream(ask: Ask) -> None:
    verdict = judged(ask(OUTSIDE, "http://empty.example/"))
    assert (verdict.reply.status, verdict.proxy) == (503, DOOR)
    assert "no healthy endpoint" in verdict.reason


def test_a_workload_without_a_sidecar_answers_itself(ask: Ask) -> None:
    verdict = judged(ask(OUTSIDE, "http://legacy.example/"))
    assert (verdict.reply.status, verdict.app) == (418, "shop/legacy")
    assert verdict.reply.text == "short and stout"
    assert path_of(verdict) == [("edge/door", "gateway")]
    direct = judged(ask(FromBypass(None, LEGACY, 8080, "plaintext"), "http://legacy/"))
    assert (direct.reply.status, direct.app, direct.hops) == (418, "shop/legacy", ())


def test_a_strict_sidecar_refuses_plaintext(ask: Ask) -> None:
    verdict = judged(ask(FromBypass(CALLER, CART, 8080, "plaintext"), "http://cart/"))
    assert (verdict.reply.status, verdict.reply.answered, verdict.proxy) == (None, False, CART)
    assert "filter_chain_not_found" in verdict.reason


def test_a_strict_sidecar_refuses_tls_without_a_certificate(ask: Ask) -> None:
    verdict = judged(ask(FromBypass(None, CART, 8080, "tls"), "http://cart/"))
    assert (verdict.reply.answered, verdict.proxy) == (False, CART)
    assert "peer did not return a certificate" in verdict.reason
    assert verdict.reply.failure == "TLS alert of the other end: certificate required"


def test_a_stolen_identity_is_judged_as_what_it_is(ask: Ask) -> None:
    verdict = judged(ask(FromBypass(CALLER, CART, None, "mtls"), "http://cart/"))
    assert (verdict.reply.status, verdict.app) == (200, "shop/cart")
    assert verdict.received is not None
    assert verdict.received.identity == "spiffe://cluster.local/ns/shop/sa/caller"
    refused = judged(ask(FromBypass(LEGACY, CART, None, "mtls"), "http://cart/"))
    assert (refused.reply.status, refused.proxy) == (403, CART)


@pytest.mark.parametrize(
    ("identity", "authority"),
    [
        ("spiffe://other.example/ns/edge/sa/door", "mesh"),
        ("spiffe://cluster.local/ns/edge/sa/door", "partner"),
    ],
)
def test_another_meshs_workload_gets_no_connection(ask: Ask, identity: str, authority: str) -> None:
    verdict = judged(ask(FromForeignMesh(identity, authority, CART, 8080), "http://cart/"))
    assert (verdict.reply.answered, verdict.proxy) == (False, CART)
    assert "TLS with the client failed" in verdict.reason


def test_a_server_name_that_no_chain_serves_is_refused(ask: Ask) -> None:
    verdict = judged(ask(OUTSIDE, HttpRequest("https://cart.example/", sni="other.example")))
    assert (verdict.reply.answered, verdict.proxy) == (False, DOOR)
    assert "filter_chain_not_found" in verdict.reason


def test_plaintext_to_a_tls_port_is_refused(ask: Ask) -> None:
    verdict = judged(ask(OUTSIDE, "http://cart.example:443/"))
    assert (verdict.reply.answered, verdict.proxy) == (False, DOOR)


def test_a_client_certificate_is_shown_to_the_gateway(ask: Ask) -> None:
    sender = FromOutside(DOOR, certificate=Certificate("partner", uris=("spiffe://partner/x",)))
    assert judged(ask(sender, "https://cart.example/")).app == "shop/cart"  # this gateway asks for none


def test_a_workload_without_a_sidecar_meets_the_others_sidecar_in_plaintext(ask: Ask) -> None:
    verdict = judged(ask(FromWorkload(LEGACY), "http://cart.shop/"))
    assert (verdict.reply.answered, verdict.proxy) == (False, CART)
    assert path_of(verdict) == [("shop/cart", "inbound")]


def test_a_workload_reaches_another_through_both_sidecars(ask: Ask) -> None:
    verdict = judged(ask(IN_CALLER, "http://cart.shop/"))
    assert (verdict.reply.status, verdict.app, verdict.subset) == (200, "shop/cart", "v1")
    assert path_of(verdict) == [("shop/caller", "outbound"), ("shop/cart", "inbound")]
    assert verdict.hops[0].port == 80
    assert verdict.received is not None
    assert verdict.received.identity == "spiffe://cluster.local/ns/shop/sa/caller"


def test_what_a_route_changes_is_seen_at_the_application(ask: Ask) -> None:
    verdict = judged(ask(IN_CALLER, HttpRequest("http://cart.shop/old/1", headers=(("x-secret", "s"),))))
    assert verdict.received is not None
    assert verdict.received.target == "/new/1"
    assert verdict.received.values("x-added") == ["yes"]
    assert verdict.received.values("x-secret") == []


def test_an_unknown_host_is_answered_by_the_callers_own_sidecar(ask: Ask) -> None:
    verdict = judged(ask(IN_CALLER, HttpRequest("http://cart.shop/", headers=(("host", "unknown"),))))
    assert (verdict.reply.status, verdict.proxy) == (502, CALLER)


def test_bare_tcp_reaches_an_application(ask: Ask) -> None:
    verdict = judged(ask(IN_CALLER, TcpRequest("redis.shop", 6379)))
    assert (verdict.reply.answered, verdict.app) == (True, "shop/redis")
    assert path_of(verdict) == [("shop/caller", "outbound")]
    assert verdict.received is not None
    assert verdict.received.body == "hello\n"


def test_bare_tcp_to_an_unknown_address_ends_in_the_black_hole(ask: Ask) -> None:
    verdict = judged(ask(IN_CALLER, TcpRequest(NOWHERE_IP, 1234)))
    assert (verdict.reply.answered, verdict.proxy, verdict.app) == (False, CALLER, None)
    assert verdict.hops[0].line.cluster == "BlackHoleCluster"


def test_tls_to_an_external_host_shows_its_certificate(ask: Ask) -> None:
    verdict = judged(ask(IN_CALLER, TlsRequest("api.partner.example", 443)))
    assert (verdict.reply.answered, verdict.app) == (True, "api.partner.example")
    assert verdict.reply.certificate == ("api.partner.example",)
    https = judged(ask(IN_CALLER, "https://api.partner.example/v1"))
    assert (https.reply.status, https.app) == (200, "api.partner.example")
    assert https.received is not None
    assert https.received.target == "/v1"


def test_tls_with_another_server_name_ends_at_the_own_sidecar(ask: Ask) -> None:
    verdict = judged(ask(IN_CALLER, TlsRequest("api.partner.example", 443, sni="other.example")))
    assert (verdict.reply.answered, verdict.proxy) == (False, CALLER)


def test_a_malformed_request_is_refused_by_the_first_proxy(ask: Ask) -> None:
    verdict = judged(ask(OUTSIDE, HttpRequest("http://cart.example/", target="no slash")))
    assert (verdict.reply.status, verdict.proxy) == (400, DOOR)


def test_a_request_line_arrives_as_written(ask: Ask) -> None:
    raw = HttpRequest("http://cart.example/", target="/a//b/%2e%2E/c;d?e#f")
    verdict = judged(ask(OUTSIDE, raw))
    # Nothing was mended before it was sent: the proxy resolves the dots and strips the fragment, and keeps the slashes.
    assert (verdict.hops[0].line.path, verdict.reply.status) == ("/a//c;d?e", 200)
