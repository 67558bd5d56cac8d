"""Which tokens a RequestAuthentication takes, and the claims that policies see of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.lab.istio.oracle.facts import Facts, Token


class TokenRefusedError(Exception):
    """The request is refused for its token."""


def verified_claims(rules: Sequence[Mapping[str, Any]], facts: Facts) -> Mapping[str, Any]:
    """Return the claims of the request's token; none where no rule finds a token.

    Raises:
        TokenRefusedError: A rule finds the token, and none of those that do takes it.
    """
    token = facts.token
    looking = [rule for rule in rules if token and _finds(rule, token)]
    if token is None or not looking:
        return {}
    for rule in sorted(looking, key=lambda rule: str(rule["issuer"])):
        if _takes(rule, token):
            return _split(rule, token.claims)
    raise TokenRefusedError


def _finds(rule: Mapping[str, Any], token: Token) -> bool:
    headers = [(header["name"].lower(), header.get("prefix", "")) for header in rule.get("fromHeaders", [])]
    params, cookies = rule.get("fromParams", []), rule.get("fromCookies", [])
    if not (headers or params or cookies):
        headers, params = [("authorization", "Bearer ")], ["access_token"]
    if token.place == "header":
        # Without a prefix the whole value counts as the token, whatever stands in front of it.
        return (token.name, token.prefix) in headers or (token.name, "") in headers
    return token.name in (params if token.place == "param" else cookies)


def _takes(rule: Mapping[str, Any], token: Token) -> bool:
    heard = token.claims.get("aud", [])
    audiences = heard if isinstance(heard, list) else [heard]
    wanted = rule.get("audiences", [])
    in_audience = not wanted or any(audience in wanted for audience in audiences)
    headers = [(header["name"].lower(), header.get("prefix", "")) for header in rule.get("fromHeaders", [])]
    whole = token.place != "header" or not headers or (token.name, token.prefix) in headers
    return bool(token.good and whole and token.claims["iss"] == rule["issuer"] and in_audience)


def _split(rule: Mapping[str, Any], claims: Mapping[str, Any]) -> Mapping[str, Any]:
    delimited = {"scope", "permission", *rule.get("spaceDelimitedClaims", [])}
    return {
        name: value.split(" ") if name in delimited and isinstance(value, str) else value
        for name, value in claims.items()
    }
