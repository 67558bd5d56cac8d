"""Tokens that rules ask for, tokens that almost are, and tokens with every flaw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.battery.patterns import wildcard
from meshlab.battery.request_values import Token, as_claims
from meshlab.battery.token_rules import found_by, places

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshlab.battery.clauses import TokenDemand
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["FLAWS", "STRANGER", "tokens"]

STRANGER = "https://stranger.example"
"""An issuer that no manifest names."""

FLAWS = ("expired", "other key under the known kid")
"""The flaws that are tried. The others of `bench.flaws` are for who tests an implementation of tokens."""

_SUBJECT = "someone"
_BEARER = "Bearer "
_MOST_NAMED = 1000
"""How many values of a list get a token of their own."""

_MOST_VALUES = 12
"""Of how many values there are tokens that almost have them."""

_Claims = dict[tuple[str, ...], "str | tuple[str, ...]"]


def tokens(demands: Iterable[TokenDemand], rules: Sequence[JwtRule]) -> tuple[Token, ...]:
    """Return the tokens to try; the first is none.

    Args:
        demands: What clauses ask of tokens.
        rules: All rules that verify tokens on the way, those of the first proxy first.
    """
    known = list(dict.fromkeys(rule.issuer for rule in rules if rule.issuer))
    if not known:
        return (Token(),)
    asked = [
        demand
        for demand in dict.fromkeys(demands)
        if demand.principals or demand.claims or demand.audiences or demand.refused
    ]
    good = [
        each for demand in asked for token in _good(demand, known, rules) for each in _placed(token, rules)
    ]
    near = [
        each for demand in asked for token in _near(demand, known, rules) for each in _placed(token, rules)
    ]
    plain = [
        each
        for issuer in known
        for each in _placed(
            Token(issuer, as_claims({("sub",): _SUBJECT}), _audience((), issuer, rules)), rules
        )
    ]
    first = {token.issuer: token for token in reversed([*good, *plain])}
    flawed = [each for issuer in known if issuer in first for each in _flawed(first[issuer], rules)]
    return tuple(dict.fromkeys((Token(), *good, *plain, *near, *flawed)))


def _placed(token: Token, rules: Sequence[JwtRule]) -> Iterator[Token]:
    """Yield a token in the places where rules of its issuer look for it: each value is tried where it counts.

    Where no place suits all rules, such as a cookie for a gateway and a header for the sidecar behind it, it is tried
    in one place for each set of rules that finds it there, the largest first.
    """
    own = [rule for rule in rules if rule.issuer == token.issuer]
    finding: dict[frozenset[int], Token] = {}
    for each in (token, *(moved for rule in own for moved in _in_places_of(token, rule))):
        found = frozenset(index for index, rule in enumerate(own) if found_by(each, rule))
        finding.setdefault(found, each)
    largest = sorted((found for found in finding if found), key=lambda found: (-len(found), min(found)))
    kept = [found for found in largest if not any(found < other for other in largest)]
    for found in kept or list(finding)[:1]:
        yield replace(finding[found], note=token.note)


def _in_places_of(token: Token, rule: JwtRule) -> Iterator[Token]:
    """Yield a token in each place that a rule names, with a note that says which."""
    for place in places(rule):
        name = place.name.lower() if place.placement == "header" else place.name
        yield replace(token, placement=place.placement, name=name, prefix=place.prefix, note=str(place))


def _good(demand: TokenDemand, known: Sequence[str], rules: Sequence[JwtRule]) -> Iterator[Token]:
    """Yield a token that meets a demand, then one for each further value that it names."""
    claims = _claims(demand)
    for issuer, subject in _who(demand, known)[:_MOST_NAMED]:
        for audience in dict.fromkeys(_audiences(demand, issuer, rules)):
            good = Token(issuer, as_claims({("sub",): subject, **claims}), audience)
            yield good
            # A rule for tokens and a policy may ask for different audiences, and one token has both.
            if audience and (missing := _not_taken(good, rules)):
                yield replace(good, further_audiences=missing, note=f"also for {', '.join(missing)}")
    if not (whose := _who(demand, known)):
        return
    issuer, subject = whose[0]
    audience = _audience(demand.audiences, issuer, rules)
    for path, values in demand.claims:
        for value in values[1:_MOST_NAMED]:
            changed: _Claims = {("sub",): subject, **claims, path: wildcard(value).members()[0]}
            yield Token(issuer, as_claims(changed), audience)


def _near(demand: TokenDemand, known: Sequence[str], rules: Sequence[JwtRule]) -> Iterator[Token]:
    """Yield tokens that differ in one part from one that meets a demand."""
    if not (whose := _who(demand, known)):
        return
    claims = _claims(demand)
    for issuer, subject in whose[:_MOST_VALUES]:
        audience = _audience(demand.audiences, issuer, rules)
        good: _Claims = {("sub",): subject, **claims}
        for other in (f"{subject}x", f"x{subject}", subject[:-1] or "x"):
            yield Token(issuer, as_claims({**good, ("sub",): other}), audience, note="another subject")
        for path, values in demand.claims:
            name = "/".join(path)
            misses = wildcard(values[0]).near_misses()[:4]
            others = (wildcard(value).near_misses()[:1] for value in values[1:_MOST_VALUES])
            for near in dict.fromkeys((*misses, *(each for found in others for each in found))):
                yield Token(issuer, as_claims({**good, path: near}), audience, note=f"another {name}")
            without = {key: value for key, value in good.items() if key != path}
            yield Token(issuer, as_claims(without), audience, note=f"no {name}")
            member = wildcard(values[0]).members()[0]
            both = as_claims({**good, path: (member, "other")})
            yield Token(issuer, both, audience, note=f"{name} is a list")
        for path, values in demand.refused:
            name = "/".join(path)
            texts = [text for value in values[:_MOST_VALUES] for text in _refused_and_near(value)]
            for text in dict.fromkeys(texts):
                yield Token(issuer, as_claims({**good, path: text}), audience, note=f"with {name}")
        for value in demand.audiences[:_MOST_VALUES]:
            for other in wildcard(value).near_misses()[:2]:
                yield Token(issuer, as_claims(good), other, note="another audience")
        taken = dict.fromkeys(
            other for rule in rules if rule.issuer == issuer for other in rule.audiences if other != audience
        )
        for other in taken:
            yield Token(issuer, as_claims(good), other, note=f"audience {other}")
        foreign = [
            name for name in taken if not any(wildcard(value).meets(name) for value in demand.audiences)
        ]
        for other in foreign[:1]:
            # The rule takes it for one audience, and the condition must not take it for one that is almost its own.
            for value in demand.audiences[:_MOST_VALUES]:
                for near in wildcard(value).near_misses()[:2]:
                    mixed = Token(issuer, as_claims(good), other, further_audiences=(near,))
                    yield replace(mixed, note=f"audience {other} and one that is almost asked for")
        for another in known:
            if another != issuer:
                audience = _audience(demand.audiences, another, rules)
                mixed = Token(another, as_claims(good), audience, note="another issuer")
                yield mixed
                if audience and (missing := _not_taken(mixed, rules)):
                    also = f"another issuer, also for {', '.join(missing)}"
                    yield replace(mixed, further_audiences=missing, note=also)


def _refused_and_near(value: str) -> tuple[str, ...]:
    """Return texts that a pattern takes, and texts that it almost takes."""
    pattern = wildcard(value)
    return (*pattern.members(), *pattern.near_misses()[:2])


def _flawed(good: Token, rules: Sequence[JwtRule]) -> Iterator[Token]:
    """Yield a good token with each flaw, and in each other place where a rule looks for it."""
    for flaw in FLAWS:
        note = "expired" if flaw == "expired" else "not signed by its issuer"
        yield replace(good, flaw=flaw, note=note)
    own = [rule for rule in rules if rule.issuer == good.issuer]
    if any(rule.audiences for rule in own):
        yield replace(good, audience="another-service", note="wrong audience")
        yield replace(good, audience="", note="no audience")
    yield replace(good, issuer=STRANGER, note="unknown issuer")
    for rule in own:
        yield from _in_places_of(good, rule)
    yield replace(good, placement="header", name="", prefix=_BEARER, note="in the header Authorization")
    note = "in the parameter access_token"
    yield replace(good, placement="query", name="access_token", prefix="", note=note)


def _who(demand: TokenDemand, known: Sequence[str]) -> list[tuple[str, str]]:
    """Return issuers and subjects that meet a demand."""
    found: list[tuple[str, str]] = []
    for value in demand.principals:
        issuer, slash, subject = value.rpartition("/")
        if not slash or value.startswith("*"):
            # Without a slash, or behind a star, the issuer is one of those that tokens can have.
            end = subject if slash else value.strip("*")
            whole = value if value.endswith("*") and not slash else ""
            fitting = [each for each in known if not whole or each.startswith(whole[:-1])]
            found += [(each, end.strip("*") or _SUBJECT) for each in fitting]
        else:
            found.append((issuer, f"{subject[:-1]}1" if subject.endswith("*") else subject))
    if not demand.principals:
        found += [(issuer, _SUBJECT) for issuer in known]
    return [pair for pair in dict.fromkeys(found) if all(pair)]


def _claims(demand: TokenDemand) -> _Claims:
    """Return claims with the first value that each condition names."""
    return {path: wildcard(values[0]).members()[0] for path, values in demand.claims if values}


def _audiences(demand: TokenDemand, issuer: str, rules: Sequence[JwtRule]) -> Iterator[str]:
    yield _audience(demand.audiences, issuer, rules)
    for value in demand.audiences[:_MOST_NAMED]:
        yield wildcard(value).members()[0]


def _not_taken(token: Token, rules: Sequence[JwtRule]) -> tuple[str, ...]:
    """Return an audience of each rule of a token's issuer that does not take it; empty where all take it."""
    asked = (rule.audiences for rule in rules if rule.issuer == token.issuer and rule.audiences)
    return tuple(dict.fromkeys(names[0] for names in asked if not set(names) & set(token.audiences)))


def _audience(asked: Sequence[str], issuer: str, rules: Sequence[JwtRule]) -> str:
    """Return an audience that a rule asks for, and that as many proxies as possible take; empty for none."""
    taken = [rule.audiences for rule in rules if rule.issuer == issuer and rule.audiences]
    candidates = [wildcard(value).members()[0] for value in asked]
    candidates = candidates or [name for names in taken for name in names]
    return max(candidates, key=lambda name: sum(name in names for names in taken), default="")
