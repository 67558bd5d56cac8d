"""Explanations of requests through real Envoys: each step, with the object, the line and the values it saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.explain.town import SETUP, policy, rule, step, town

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.explain.explanation import Explanation, Place

    from tests.lab.explain.town import Town

CASES = (
    SETUP
    + """\
cases:
- name: a customer
  token: alice
  request: {url: "https://shop.example/cart/1?x=1", headers: {x-tier: silver}}
  expect: 200 shop/cart
- name: a customer without a tier
  token: alice
  request: {method: POST, url: "https://shop.example/cart/1"}
  expect: 403 shop/cart
- name: a partner
  token: acme
  request: {url: "https://shop.example/cart/1", headers: {x-tier: gold}}
  expect: 403 shop/cart
- {name: no token, request: GET https://shop.example/cart, expect: 403 shop/cart}
- {name: a DELETE, token: alice, request: DELETE https://shop.example/cart, expect: 403 shop/cart}
- {name: expired, token: {use: alice, flaw: expired}, request: GET https://shop.example/cart, expect: 401 shop/cart}
- {name: early, token: {use: alice, flaw: not yet valid}, request: GET https://shop.example/cart, expect: 401}
- {name: audience, token: {use: alice, flaw: wrong audience}, request: GET https://shop.example/cart, expect: 403}
- {name: issuer, token: {use: alice, flaw: wrong issuer}, request: GET https://shop.example/cart, expect: 401}
- {name: tampered, token: {use: alice, flaw: tampered}, request: GET https://shop.example/cart, expect: 401}
- {name: key, token: {use: alice, flaw: unknown key}, request: GET https://shop.example/cart, expect: 401}
- {name: none, token: {use: alice, flaw: alg none}, request: GET https://shop.example/cart, expect: 401}
- name: HMAC
  token: {use: alice, flaw: HS256 with the public key}
  request: GET https://shop.example/cart
  expect: 401
- name: key id
  token: {use: alice, flaw: other key under the known kid}
  request: GET https://shop.example/cart
  expect: 401
- {name: no issuer, token: {use: alice, flaw: no issuer}, request: GET https://shop.example/cart, expect: 401}
- {name: no audience, token: {use: alice, flaw: no audience}, request: GET https://shop.example/cart, expect: 403}
- {name: a literal, token: {literal: x.y.z}, request: GET https://shop.example/cart, expect: 401}
- {name: garbage, token: {use: alice, flaw: garbage}, request: GET https://shop.example/cart, expect: 401}
- {name: no route for the path, request: GET https://shop.example/other, expect: 404 edge/door}
- {name: no route for the method, request: GET https://shop.example/health, expect: 404 edge/door}
- {name: no route for the host, request: GET https://empty.example/, expect: 404 edge/door}
- name: no filter chain
  request: {url: "https://shop.example/", sni: stranger.example}
  expect: refused edge/door
- {name: the proxy answers, request: GET https://shop.example/gone, expect: 410}
- {name: no subset, request: GET https://shop.example/nowhere, expect: 503 edge/door}
- name: a connection
  from: {workload: shop/web}
  request: {tcp: "db.bank:6379"}
  expect: {answered: true}
- name: a connection of another
  from: {workload: shop/cart}
  request: {tcp: "db.bank:6379"}
  expect: refused bank/db
- {name: the way inside, from: {workload: shop/cart}, request: GET http://web.shop/, expect: 200 shop/web}
- {name: another identity, from: {workload: shop/cart}, request: GET http://ledger.bank/, expect: 403 bank/ledger}
- {name: the identity, from: {workload: shop/web}, request: GET http://ledger.bank/, expect: 200 bank/ledger}
- name: plaintext
  from: {bypass: shop/web, to: bank/ledger, mode: plaintext}
  request: GET http://ledger.bank/
  expect: refused bank/ledger
- {name: an unknown host, from: {workload: shop/web}, request: GET http://stranger.example/, expect: 502 shop/web}
- {name: an unknown address, from: {workload: shop/web}, request: {tcp: "192.0.2.7:9"}, expect: refused shop/web}
- {name: the server's name, from: {workload: shop/web}, request: GET http://partner.example/, expect: 503 shop/web}
"""
)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as found:
        yield found


@pytest.fixture(scope="module")
def explained(mesh: Town) -> dict[str, Explanation]:
    found = mesh.explain(CASES)
    assert [each.doubts for each in found.values() if each.doubts] == []
    return found


def written(mesh: Town, places: tuple[Place, ...]) -> list[str]:
    return [mesh.written(place.line) for place in places]


def test_every_step_of_a_request_that_is_let_in_is_explained(
    explained: dict[str, Explanation], mesh: Town
) -> None:
    found = explained["a customer"]
    assert found.decision is not None
    assert found.decision.allowed
    assert found.decision.by == "the application of shop/cart"
    assert [(hop.workload, hop.direction) for hop in found.hops] == [
        ("edge/door", "gateway"),
        ("shop/cart", "inbound"),
    ]
    assert {each.state for hop in found.hops for each in hop.steps} == {"passed"}
    chain = step(found, "filter chain", 0)
    assert "server name empty.example or shop.example" in chain.text
    assert written(mesh, chain.places) == ["- port: {number: 443, name: https, protocol: HTTPS}"]
    route = step(found, "route", 0)
    assert route.places[0].subject == "VirtualService shop/cart"
    assert route.places[0].path == "spec.http[1].match[1]"
    assert written(mesh, route.places) == ["- {uri: {prefix: /cart}}"]
    assert "outbound|80||cart.shop.svc.cluster.local" in route.text
    assert [each.subject for each in step(found, "destination", 0).places] == ["Service shop/cart"]
    assert "spiffe://cluster.local/ns/shop/sa/cart" in step(found, "upstream TLS", 0).text
    assert "spiffe://cluster.local/ns/edge/sa/door" in step(found, "TLS").text
    assert [each.subject for each in step(found, "TLS").places] == ["PeerAuthentication istio-system/default"]
    token = step(found, "token")
    assert [each.path for each in token.places] == ["spec.jwtRules[0]"]
    assert "subject alice, audience shop" in token.text
    assert step(found, "policies").text == "allowed by shop/customers, rule 0"
    assert rule(found, "shop/customers").matched
    assert [each.holds for each in rule(found, "shop/customers").conditions] == [True] * 4


def test_the_conditions_that_fail_are_named_with_what_was_seen(
    explained: dict[str, Explanation], mesh: Town
) -> None:
    found = explained["a customer without a tier"]
    assert found.decision is not None
    assert (found.decision.policy, found.decision.rule, found.decision.step) == ("none", None, "policies")
    method, tier = rule(found, "shop/customers").failing
    assert (method.attribute, method.saw, method.wants) == ("methods", '"POST"', ("GET",))
    assert method.place.path == "spec.rules[0].to[0].operation.methods"
    assert (tier.attribute, tier.saw, tier.wants) == ("request.headers[x-tier]", "none", ("gold", "silver"))
    assert "x-tier" in mesh.written(tier.place.line)
    (peer,) = rule(found, "shop/customers", 1).failing
    assert (peer.saw, peer.holds) == ('"cluster.local/ns/edge/sa/door"', False)
    (issuer,) = rule(explained["a partner"], "shop/customers").failing
    assert issuer.saw == '"https://partners.example/acme"'
    without = {each.attribute: each.saw for each in rule(explained["no token"], "shop/customers").failing}
    assert without["requestPrincipals"] == "no verified token"


def test_a_denial_names_its_rule_and_what_an_allow_rule_would_say(explained: dict[str, Explanation]) -> None:
    found = explained["a DELETE"]
    assert found.decision is not None
    assert (found.decision.policy, found.decision.rule) == ("shop/no-deletes", 0)
    assert policy(found, "shop/no-deletes").text == "denies (rule 0 matches)"
    assert [each.name for each in step(found, "policies").policies] == ["shop/no-deletes", "shop/customers"]
    assert rule(found, "shop/customers").matched is False
    names = [each.name for each in found.hops[-1].steps if each.state == "not reached"]
    assert names == ["destination"]


@pytest.mark.parametrize(
    ("case", "part", "paths"),
    [
        ("expired", "expiry (exp)", ["spec.jwtRules[0]"]),
        ("early", "begin (nbf)", ["spec.jwtRules[0]"]),
        ("audience", "audience (aud)", ["spec.jwtRules[0]"]),
        ("issuer", "issuer (iss)", ["spec.jwtRules[0]", "spec.jwtRules[1]"]),
        ("no issuer", "issuer (iss)", ["spec.jwtRules[0]", "spec.jwtRules[1]"]),
        ("no audience", "audience (aud)", ["spec.jwtRules[0]"]),
        ("tampered", "signature", ["spec.jwtRules[0]"]),
        ("key id", "signature", ["spec.jwtRules[0]"]),
        ("HMAC", "signing key (kid, alg)", ["spec.jwtRules[0]"]),
        ("none", "form", ["spec.jwtRules[0]", "spec.jwtRules[1]"]),
        ("a literal", "form", ["spec.jwtRules[0]", "spec.jwtRules[1]"]),
        ("key", "signing key (kid, alg)", ["spec.jwtRules[0]"]),
        ("garbage", "form", ["spec.jwtRules[0]", "spec.jwtRules[1]"]),
    ],
)
def test_a_refused_token_names_the_part_and_the_rule(
    explained: dict[str, Explanation], case: str, part: str, paths: list[str]
) -> None:
    found = step(explained[case], "token")
    assert found.state == "refused"
    assert part in found.text
    assert [each.path for each in found.places] == paths
    assert found.evidence
    policies = step(explained[case], "policies")
    assert policies.state == "not reached"
    assert {each.matched for each in policies.policies} == {None}


def test_of_a_request_without_a_route_the_parts_that_did_not_match_are_named(
    explained: dict[str, Explanation],
) -> None:
    path = step(explained["no route for the path"], "route")
    assert path.state == "refused"
    assert "no route of the host 'shop.example' matches GET /other" in path.text
    assert any("spec.http[1].match[1]" in each and "path prefix /cart" in each for each in path.details)
    method = step(explained["no route for the method"], "route")
    assert any("spec.http[1].match[0]" in each and "wants method HEAD" in each for each in method.details)
    host = step(explained["no route for the host"], "route")
    assert "has the host 'empty.example'" in host.text
    assert "hosts with routes here: shop.example" in host.details


def test_of_a_connection_that_no_filter_chain_takes_the_names_there_are_are_named(
    explained: dict[str, Explanation], mesh: Town
) -> None:
    found = step(explained["no filter chain"], "filter chain")
    assert found.state == "refused"
    assert found.details == (
        "filter chain 0 takes server name empty.example or shop.example; the client asked for stranger.example",
        "filter chain 1 takes server name mutual.example; the client asked for stranger.example",
    )
    assert written(mesh, found.places) == [
        "- port: {number: 443, name: https, protocol: HTTPS}",
        "- port: {number: 443, name: https-mutual, protocol: HTTPS}",
    ]
    plaintext = step(explained["plaintext"], "filter chain")
    assert "filter chain 0 takes TLS; the client spoke plaintext" in plaintext.details
    assert [(each.subject, each.path) for each in plaintext.places] == [
        ("PeerAuthentication istio-system/default", "spec.mtls.mode")
    ]


def test_an_answer_of_the_proxy_itself_names_the_route(explained: dict[str, Explanation]) -> None:
    found = step(explained["the proxy answers"], "route")
    assert (found.state, found.places[0].path) == ("refused", "spec.http[0].match[0]")
    assert "answers 410 itself" in found.text
    missing = step(explained["no subset"], "destination")
    assert missing.state == "refused"
    assert "no such cluster" in missing.text or "no endpoint" in missing.text


def test_a_connection_is_explained_with_its_policy(explained: dict[str, Explanation]) -> None:
    allowed, refused = explained["a connection"], explained["a connection of another"]
    assert rule(allowed, "bank/db").matched
    assert step(allowed, "policies").text == "allowed by bank/db, rule 0"
    (peer,) = rule(refused, "bank/db").failing
    assert (peer.attribute, peer.saw) == ("principals", '"cluster.local/ns/shop/sa/cart"')
    assert refused.decision is not None
    assert refused.decision.policy == "none"
    assert allowed.hops[-1].step("token") is None


def test_a_deny_rule_on_what_must_not_be_is_explained(explained: dict[str, Explanation]) -> None:
    (condition,) = rule(explained["another identity"], "bank/web-only").conditions
    assert (condition.negated, condition.holds, condition.wants) == (
        True,
        True,
        ("cluster.local/ns/shop/sa/web",),
    )
    assert condition.place.path == "spec.rules[0].from[0].source.notPrincipals"
    assert rule(explained["the identity"], "bank/web-only").failing[0].holds is False
    assert "there is no ALLOW policy" in step(explained["the identity"], "policies").text


def test_the_way_inside_names_virtual_service_subset_and_destination_rule(
    explained: dict[str, Explanation],
) -> None:
    found = explained["the way inside"]
    assert [each.path for each in step(found, "route", 0).places] == ["spec.http[0]"]
    destination = step(found, "destination", 0)
    assert "subset first" in destination.text
    assert [(each.subject, each.path) for each in destination.places] == [
        ("Service shop/web", ""),
        ("DestinationRule shop/web", ""),
        ("DestinationRule shop/web", "spec.subsets[0]"),
    ]
    assert found.hops[0].step("policies") is None


def test_unknown_hosts_and_addresses_are_said_to_be_unknown(explained: dict[str, Explanation]) -> None:
    host = step(explained["an unknown host"], "route")
    assert host.state == "refused"
    assert "no Service, ServiceEntry or VirtualService that the proxy sees has the host" in host.text
    address = step(explained["an unknown address"], "route")
    assert address.state == "refused"
    assert "has the address 192.0.2.7:9" in address.text


def test_tls_with_a_server_of_another_name_names_the_destination_rule(
    explained: dict[str, Explanation],
) -> None:
    found = step(explained["the server's name"], "upstream TLS")
    assert found.state == "refused"
    assert [(each.subject, each.path) for each in found.places] == [
        ("DestinationRule shop/partner", "spec.trafficPolicy.tls")
    ]
    assert any("other.example" in each for each in found.details)
