"""Tokens are tried where rules look for them: a place for all of them, or one for each set of rules that agrees."""

from __future__ import annotations

from meshlab.battery.clauses import TokenDemand
from meshlab.battery.tried_tokens import tokens
from meshlab.istio.read.request_authentication import JwtRule

ISSUER = "https://idp.example"
HEADER, COOKIE = JwtRule(ISSUER), JwtRule(ISSUER, from_cookies=("session",))
BOTH = JwtRule(ISSUER, from_cookies=("session",), from_headers=(("authorization", "Bearer "),))
REFUSING = TokenDemand(claims=((("role",), ("admin", "owner")),), refused=((("azp",), ("evil*",)),))
DEMAND = TokenDemand(claims=((("role",), ("admin",)),))


def placements_of_admins(*rules: JwtRule) -> set[str]:
    return {
        token.placement
        for token in tokens([DEMAND], rules)
        if (("role",), "admin") in token.claims and not token.flaw and not token.note
    }


def test_a_claim_is_tried_in_each_place_where_no_place_suits_all_rules() -> None:
    assert placements_of_admins(HEADER, COOKIE) == {"header", "cookie"}
    assert placements_of_admins(COOKIE, HEADER) == {"header", "cookie"}


def test_a_claim_is_tried_once_in_a_place_that_suits_all_rules() -> None:
    assert placements_of_admins(COOKIE) == {"cookie"}
    assert placements_of_admins(COOKIE, BOTH) == {"cookie"}
    assert placements_of_admins(HEADER, HEADER) == {"header"}


def test_a_token_with_a_further_value_has_no_claim_that_the_rule_refuses() -> None:
    found = [dict(token.claims) for token in tokens([REFUSING], [HEADER]) if not token.flaw]
    of_owners = [claims for claims in found if claims.get(("role",)) == "owner"]
    assert any(("azp",) not in claims for claims in of_owners)


def test_a_claim_that_a_rule_refuses_is_tried_with_a_value_that_it_takes_and_one_that_it_almost_takes() -> (
    None
):
    tried = {dict(token.claims).get(("azp",)) for token in tokens([REFUSING], [HEADER])}
    assert {None, "evil1", "evi"} <= tried
