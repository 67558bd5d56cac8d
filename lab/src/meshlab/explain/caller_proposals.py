"""Proposals of what a caller could do otherwise: another token, or mutual TLS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.battery.token_rules import found_by, places
from meshlab.bench.case import FromBypass, HttpRequest, TokenSpec
from meshlab.explain.edits import Edit
from meshlab.explain.explanation import ChangePart
from meshlab.explain.manifest_places import safe
from meshlab.explain.proposal import Proposal
from meshlab.explain.token_step import failed_part, rule_where

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.verdicts.policy_results import ConditionResult
    from meshlab.explain.hop_context import HopContext
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["fitting_token", "header_name", "valid_token", "with_header", "with_identity"]

_ANYONE = "someone"


def fitting_token(
    context: HopContext, conditions: Sequence[ConditionResult], *, case: Case | None = None
) -> Proposal | None:
    """Return the request with a token whose claims have a value of each condition.

    Args:
        context: The hop.
        conditions: The conditions. Of a DENY rule, those that leave out what has one of their values.
        case: The request, where it is another one already.
    """
    case = case or context.case
    base = case.tokens[0] if case.tokens and case.tokens[0].literal is None else TokenSpec()
    issuers = [rule.issuer for _, _, rule in context.jwt_rules if rule.issuer]
    token = replace(base, flaw="", issuer=base.issuer or (issuers[0] if issuers else None))
    for condition in conditions:
        if not condition.values:
            return None
        changed = _with_claim(token, condition.attribute, condition.values[0], issuers)
        if changed is None:
            return None
        token = changed
    if token.issuer is None:
        return None
    token, place = _where_it_is_found(token, [rule for _, _, rule in context.jwt_rules])
    claims = ", ".join(f"{name} {safe(value)}" for name, value in token.claims.items())
    text = (
        f"the caller sends a valid token of {safe(token.issuer)}{place}{f' with {claims}' if claims else ''}"
    )
    return Proposal((), replace(case, tokens=(token, *case.tokens[1:])), (ChangePart("caller", text),))


def valid_token(context: HopContext) -> Iterator[Proposal]:
    """Yield what could let a request past the verification of its token."""
    case = context.case
    part = failed_part(context.hop.jwt_failure)
    if part.startswith("audience"):
        for found in context.jwt_rules:
            for token in case.tokens:
                audience = "another-service" if token.flaw == "wrong audience" else token.claims.get("aud")
                named = token.claims.get("iss", token.issuer)
                if isinstance(audience, str) and named in (None, found[2].issuer):
                    where = rule_where(found).key("audiences")
                    yield Proposal((Edit(where, "append", audience),))
    issuers = [rule.issuer for _, _, rule in context.jwt_rules if rule.issuer]
    good = tuple(_repaired(token, issuers, part) for token in case.tokens)
    if good != case.tokens and all(token.issuer for token in good):
        issuer = ", ".join(dict.fromkeys(safe(token.issuer) for token in good))
        text = f"the caller sends a valid token of {issuer}"
        yield Proposal((), replace(case, tokens=good), (ChangePart("caller", text),))
    if case.tokens:
        text = "the caller sends no token"
        yield Proposal((), replace(case, tokens=()), (ChangePart("caller", text),), alone=True)


def header_name(attribute: str) -> str:
    """Return the header that a condition asks for; empty where it asks for something else."""
    named = attribute.startswith("request.headers[") and attribute.endswith("]")
    return attribute[len("request.headers[") : -1] if named else ""


def with_header(case: Case, condition: ConditionResult) -> Proposal:
    """Return the request with a header that has the first value of a condition."""
    name, value = header_name(condition.attribute), condition.values[0].replace("*", _ANYONE)
    if not isinstance(case.request, HttpRequest):
        return Proposal()
    others = tuple(header for header in case.request.headers if header[0].lower() != name.lower())
    request = replace(case.request, headers=(*others, (name, value)))
    text = f"the caller sends the header {safe(name)}: {safe(value)}"
    return Proposal((), replace(case, request=request), (ChangePart("caller", text),))


def with_identity(context: HopContext) -> Proposal | None:
    """Return the request through the caller's own sidecar, for a workload that went past it."""
    sender = context.case.sender
    if not isinstance(sender, FromBypass) or sender.workload is None or sender.mode == "mtls":
        return None
    case = replace(context.case, sender=replace(sender, mode="mtls"))
    text = f"the caller uses mutual TLS with the certificate of {sender.workload}, as its sidecar does"
    return Proposal((), case, (ChangePart("caller", text),))


def _where_it_is_found(token: TokenSpec, rules: Sequence[JwtRule]) -> tuple[TokenSpec, str]:
    """Return a token in a place where a rule of its issuer looks, and which that is in words where it is another."""
    own = [rule for rule in rules if rule.issuer == token.issuer]
    if any(found_by(token, rule) for rule in own):
        return token, ""
    place = next((place for rule in own for place in places(rule)), None)
    if place is None:
        return token, ""
    moved = replace(token, placement=place.placement, name=place.name, prefix=place.prefix)
    return moved, f" {safe(str(place))}"


def _with_claim(token: TokenSpec, attribute: str, wanted: str, issuers: Sequence[str]) -> TokenSpec | None:
    """Return a token with the claim that a condition asks for; patterns get a member of theirs."""
    claims = dict(token.claims)
    if attribute in ("requestPrincipals", "request.auth.principal"):
        issuer, slash, subject = wanted.rpartition("/")
        if not slash:
            issuer, subject = (wanted, "") if wanted != "*" else ("*", "*")
        if "*" in issuer:
            issuer = token.issuer or (issuers[0] if issuers else "")
        if not issuer:
            return None
        claims["sub"] = claims.get("sub", _ANYONE) if subject == "*" else subject.replace("*", _ANYONE)
        claims.pop("iss", None)
        return replace(token, issuer=issuer, claims=claims)
    name = {"request.auth.audiences": "aud", "request.auth.presenter": "azp"}.get(attribute)
    path = [name] if name else attribute.removeprefix("request.auth.claims[").removesuffix("]").split("][")
    value: object = wanted.replace("*", _ANYONE)
    for key in reversed(path[1:]):
        value = {key: value}
    claims[path[0]] = value
    return replace(token, claims=claims)


def _repaired(token: TokenSpec, issuers: Sequence[str], part: str) -> TokenSpec:
    """Return a token without what is wrong with it."""
    claims = {name: value for name, value in token.claims.items() if name not in ("exp", "nbf", "iat", "iss")}
    if part.startswith("audience"):
        claims.pop("aud", None)
    if "sub" not in claims and token.literal is not None:
        claims["sub"] = _ANYONE
    issuer = token.issuer if token.issuer in issuers else (issuers[0] if issuers else token.issuer)
    return replace(token, flaw="", literal=None, claims=claims, issuer=issuer)
