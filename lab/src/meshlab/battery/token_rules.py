"""Rules that verify tokens: which tokens each of them finds and takes, and which come to a proxy at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.battery.request_values import Token
    from meshlab.bench.case import TokenPlacement, TokenSpec
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["Forwarding", "Place", "accepted", "found_by", "places", "refused", "signature", "verifies"]


@dataclass(frozen=True)
class Place:
    """A place of a request where a rule looks for a token.

    Attributes:
        placement: As in `TokenSpec`.
        name: The header, the parameter or the cookie.
        prefix: What stands before the token.
    """

    placement: TokenPlacement
    name: str
    prefix: str = ""

    def __str__(self) -> str:
        """Return the place in words."""
        return f"in the {'parameter' if self.placement == 'query' else self.placement} {self.name}"


def places(rule: JwtRule) -> Iterator[Place]:
    """Yield each place that a rule names; none where it looks in the usual ones."""
    for name, prefix in rule.from_headers:
        yield Place("header", name, prefix)
    for name in rule.from_params:
        yield Place("query", name)
    for name in rule.from_cookies:
        yield Place("cookie", name)


@dataclass(frozen=True)
class Forwarding:
    """Which tokens come to a proxy: those that no proxy before it verified and took away.

    Attributes:
        before: The rules of each proxy before it.
    """

    before: tuple[tuple[JwtRule, ...], ...] = ()

    def passes(self, token: Token) -> bool:
        """Return whether a token comes."""
        return all(
            not accepted(token, rules)
            or accepted(token, tuple(rule for rule in rules if rule.forward_original_token))
            for rules in self.before
        )

    def __str__(self) -> str:
        """Return what decides."""
        return " then ".join(
            " ".join(f"{signature(rule)} {rule.forward_original_token}" for rule in rules)
            for rules in self.before
        )


def accepted(token: Token, rules: tuple[JwtRule, ...]) -> bool:
    """Return whether one of the rules verifies a token."""
    return any(rule.issuer in ("", token.issuer) and verifies(token, rule) for rule in rules)


def signature(rule: JwtRule) -> str:
    """Return what distinguishes a rule's tokens from another's: two rules with one signature verify the same."""
    where = (rule.from_headers, rule.from_params, rule.from_cookies)
    return f"{rule.issuer} {rule.audiences} {where} {rule.space_delimited_claims}"


def refused(token: Token, rules: tuple[JwtRule, ...]) -> bool:
    """Return whether a proxy with these rules answers 401 for a token, whatever else the request is."""
    return bool(token.issuer) and any(found_by(token, rule) for rule in rules) and not accepted(token, rules)


def verifies(token: Token, rule: JwtRule) -> bool:
    """Return whether a rule finds a token of its issuer and takes it."""
    good = bool(token.issuer) and token.flaw in ("", "expired a moment ago") and found_by(token, rule)
    return good and (not rule.audiences or not set(rule.audiences).isdisjoint(token.audiences))


def found_by(token: Token | TokenSpec, rule: JwtRule) -> bool:
    """Return whether a rule looks where a token is."""
    match token.placement:
        case "header" if not rule.from_headers and not rule.from_params and not rule.from_cookies:
            return token.name in ("", "authorization") and token.prefix == "Bearer "
        case "header":
            known = ((name.lower(), prefix) for name, prefix in rule.from_headers)
            return (token.name.lower() or "authorization", token.prefix) in known
        case "query" if not rule.from_headers and not rule.from_params and not rule.from_cookies:
            return token.name in ("", "access_token")
        case "query":
            return token.name in rule.from_params
        case "cookie":
            return token.name in rule.from_cookies
