"""Proposals: changes that could let a refused request past the step that refused it. `changes` tries them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meshlab.bench.case import FromBypass, HttpRequest, TokenSpec
from meshlab.explain.build import stop_of
from meshlab.explain.connections import mode_of, mode_place
from meshlab.explain.edits import Edit
from meshlab.explain.explanation import ChangePart
from meshlab.explain.places import safe
from meshlab.explain.policies import closest, results_at
from meshlab.explain.routes import missed_parts, route_where, virtual_host_of
from meshlab.explain.tokens import failed_part, rule_where
from meshlab.istio.read.fields import Where

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.verdicts.policy_results import (
        Alternative,
        ConditionResult,
        PolicyResult,
        RuleResult,
    )
    from meshlab.explain.context import HopContext

__all__ = ["Proposal", "proposals"]

_RULES_TRIED = 3
_OF_TOKENS = ("requestPrincipals", "request.auth.")
_ANYONE = "someone"


@dataclass(frozen=True)
class Proposal:
    """A change of manifests, of the request, or of both.

    Attributes:
        edits: What to change in manifests.
        case: The request with what the caller has to do otherwise; `None` for the same request.
        parts: What to do otherwise, in words.
        alone: Whether it is of use only where it is enough.
    """

    edits: tuple[Edit, ...] = ()
    case: Case | None = None
    parts: tuple[ChangePart, ...] = ()
    alone: bool = False

    def then(self, other: Proposal) -> Proposal:
        """Return both changes as one."""
        edits = (*self.edits, *(edit for edit in other.edits if edit not in self.edits))
        return Proposal(edits, other.case or self.case, (*self.parts, *other.parts))

    @property
    def all_parts(self) -> tuple[ChangePart, ...]:
        """All of it, for an explanation."""
        return (*(edit.part for edit in self.edits), *self.parts)


def proposals(context: HopContext) -> Iterator[Proposal]:
    """Yield what could let a request past the hop that refused it, the smallest change first.

    Args:
        context: The hop.
    """
    match stop_of(context.hop):
        case "policies":
            decided = context.hop.policy
            results = results_at(context)
            if decided is None or context.line.details == "ext_authz_denied":
                return
            if decided.rule is None:
                yield from _to_be_allowed(context, results)
            else:
                yield from _not_to_be_denied(context, results, decided.name, decided.rule)
        case "token":
            yield from _valid_token(context)
        case "filter chain" | "TLS":
            yield from _mutual_tls(context)
        case "route":
            yield from _route(context)


def _to_be_allowed(context: HopContext, results: Sequence[PolicyResult]) -> Iterator[Proposal]:
    allowing = [each for each in results if each.policy.action == "ALLOW" and not each.policy.dry_run]
    rules = [rule for each in allowing for rule in each.rules if rule.written and rule.matched is False]
    closest_first = sorted(rules, key=lambda each: len(_failing(each)))[:_RULES_TRIED]
    for rule in closest_first[:1]:
        yield from _fitting(context, rule)
    # The edit is longer, and of all edits it opens least.
    of_closest = [each for each in allowing if closest_first and closest_first[0] in each.rules]
    for each in (of_closest or allowing)[:1]:
        yield _rule_of_its_own(context, each)
    for rule in closest_first[1:]:
        yield from _fitting(context, rule)


def _failing(rule: RuleResult) -> list[ConditionResult]:
    found: dict[tuple[str | int, ...], ConditionResult] = {}
    for side in (rule.operations, rule.sources):
        if best := closest(side):
            found |= {each.where.keys: each for each in best.failing}
    return list(found.values())


def _fitting(context: HopContext, rule: RuleResult) -> Iterator[Proposal]:
    """Yield how a request could fit a rule: other values in the rule, or another token."""
    failing = _failing(rule)
    edits = [_admitting(context, rule, condition) for condition in failing]
    if edits and all(edits):
        yield Proposal(tuple(edit for edit in edits if edit))
    of_token = [each for each in failing if each.attribute.startswith(_OF_TOKENS)]
    of_peer = [each for each in failing if _is_of_peer(each)]
    others = [each for each in failing if each not in (*of_token, *of_peer)]
    rest = [_admitting(context, rule, condition) for condition in others]
    if not (of_token or of_peer) or not all(rest):
        return
    found = Proposal(tuple(edit for edit in rest if edit))
    if of_token:
        token = _fitting_token(context, of_token)
        if token is None:
            return
        found = found.then(token)
    if of_peer:
        peer = _with_identity(context)
        if peer is None:
            return
        found = found.then(peer)
    yield found


def _is_of_peer(condition: ConditionResult) -> bool:
    return condition.attribute in (
        "principals",
        "namespaces",
        "serviceAccounts",
        "trustDomains",
        "source.principal",
        "source.namespace",
        "source.serviceAccount",
        "source.trustDomain",
    )


def _admitting(context: HopContext, rule: RuleResult, condition: ConditionResult) -> Edit | None:
    """Return the edit after which a condition holds; `None` where no value does it."""
    value = _value(context, condition.attribute, rule.stage)
    if value is None:
        return None
    if condition.negated:
        if value in condition.values and len(condition.values) > 1:
            return Edit(condition.where, "remove", value)
        return Edit(_whole_condition(condition), "delete") if len(condition.values) == 1 else None
    return Edit(condition.where, "append", value)


def _whole_condition(condition: ConditionResult) -> Where:
    """Return what has to go for a condition to go: its entry of `when` where that holds nothing else."""
    keys = condition.where.keys
    above = Where(condition.where.manifest, keys[:-1])
    written: Any = condition.where.manifest.body
    for key in above.keys:
        written = written[key]
    return above if set(written) <= {"key", keys[-1]} and keys[-3] == "when" else condition.where


def _value(context: HopContext, attribute: str, stage: int) -> str | None:
    """Return what the proxy saw, as a policy writes exactly this; `None` where a policy cannot."""
    seen = context.seen.value(attribute, stage)
    if seen is None or safe(seen) != seen or not seen.isprintable():
        return None
    parts = seen.split("/")
    if _is_identity(attribute):
        if len(parts) != 5:
            return None
        domain, _, namespace, _, account = parts
        name = attribute.removeprefix("source.").rstrip("s").lower()
        return {
            "principal": seen,
            "namespace": namespace,
            "serviceaccount": f"{namespace}/{account}",
            "trustdomain": domain,
        }[name]
    if "*" in seen or (attribute == "paths" and "{" in seen) or seen.startswith("["):
        return None  # it would be read as a pattern, or is a list
    return seen


def _is_identity(attribute: str) -> bool:
    names = ("principals", "namespaces", "serviceAccounts", "trustDomains")
    return attribute in names or attribute in {f"source.{name[:-1]}" for name in names}


def _fitting_token(context: HopContext, conditions: Sequence[ConditionResult]) -> Proposal | None:
    """Return the request with a token that meets conditions on claims."""
    case = context.case
    base = case.tokens[0] if case.tokens and case.tokens[0].literal is None else TokenSpec()
    issuers = [rule.issuer for _, _, rule in context.jwt_rules if rule.issuer]
    token = replace(base, flaw="", issuer=base.issuer or (issuers[0] if issuers else None))
    for condition in conditions:
        if condition.negated or not condition.values:
            return None
        changed = _with_claim(token, condition.attribute, condition.values[0], issuers)
        if changed is None:
            return None
        token = changed
    if token.issuer is None:
        return None
    claims = ", ".join(f"{name} {_shown(value)}" for name, value in token.claims.items())
    text = f"the caller sends a valid token of {safe(token.issuer)}{f' with {claims}' if claims else ''}"
    return Proposal((), replace(case, tokens=(token, *case.tokens[1:])), (ChangePart("caller", text),))


def _shown(value: object) -> str:
    return safe(value if isinstance(value, str) else json.dumps(value))


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


def _with_identity(context: HopContext) -> Proposal | None:
    """Return the request through the caller's own sidecar, for a workload that went past it."""
    sender = context.case.sender
    if not isinstance(sender, FromBypass) or sender.workload is None or sender.mode == "mtls":
        return None
    case = replace(context.case, sender=replace(sender, mode="mtls"))
    text = f"the caller uses mutual TLS with the certificate of {sender.workload}, as its sidecar does"
    return Proposal((), case, (ChangePart("caller", text),))


def _rule_of_its_own(context: HopContext, result: PolicyResult) -> Proposal:
    """Return a further rule for exactly this caller and request."""
    rule: dict[str, object] = {}
    source: dict[str, list[str]] = {}
    for name in ("principals", "requestPrincipals"):
        if value := _value(context, name, 0):
            source[name] = [value]
    of_request = ("hosts", "methods", "paths") if context.manager else ("ports",)
    operation = {name: [value] for name in of_request if (value := _value(context, name, 0))}
    if source:
        rule["from"] = [{"source": source}]
    rule["to"] = [{"operation": operation}]
    where = Where(result.where.manifest, ("spec", "rules"))
    return Proposal((Edit(where, "append", rule, "a rule for this request alone"),))


def _not_to_be_denied(
    context: HopContext, results: Sequence[PolicyResult], policy: str, index: int
) -> Iterator[Proposal]:
    found = next((each for each in results if each.name == policy), None)
    rule = next((each for each in found.rules if each.index == index), None) if found else None
    if rule is None:
        return
    for side, names in (
        (rule.sources, ("principals", "requestPrincipals", "remoteIpBlocks")),
        (rule.operations, ("paths", "methods", "hosts", "ports")),
    ):
        matching = [each for each in side if not each.failing]
        excluded = [_excluding(context, rule, each, names) for each in matching]
        for choice in (0, 1):
            edits = [each[min(choice, len(each) - 1)] for each in excluded if each]
            if edits and len(edits) == len(matching) and all(len(each) > choice for each in excluded):
                yield Proposal(tuple(edits))


def _excluding(
    context: HopContext, rule: RuleResult, alternative: Alternative, names: Sequence[str]
) -> list[Edit]:
    """Return the edits each of which makes an alternative of a DENY rule not match any more."""
    found = []
    for condition in alternative.conditions:
        value = _value(context, condition.attribute, rule.stage)
        if value is None:
            continue
        if condition.negated and condition.holds:
            found.append(Edit(condition.where, "append", value, "so that the rule leaves it out"))
        elif not condition.negated and value in condition.values and len(condition.values) > 1:
            found.append(Edit(condition.where, "remove", value))
    written = {condition.attribute for condition in alternative.conditions}
    for name in names:
        value = _value(context, name, rule.stage)
        if value is None or (context.manager is None and name in ("paths", "methods", "hosts")):
            continue
        negation = f"not{name[0].upper()}{name[1:]}"
        if "serviceAccounts" in written and name == "principals":
            continue
        outer, inner = ("from", "source") if name in names[:3] and "rincipal" in name else ("to", "operation")
        if name == "remoteIpBlocks":
            outer, inner = "from", "source"
        if alternative.where.keys == rule.where.keys:
            where, value_to_write = rule.where.key(outer), {inner: {negation: [value]}}
            found.append(Edit(where, "append", value_to_write, "so that the rule leaves it out"))
        else:
            where = alternative.where.key(inner, negation)
            if not any(condition.where.keys == where.keys for condition in alternative.conditions):
                found.append(Edit(where, "append", value, "so that the rule leaves it out"))
    return found


def _valid_token(context: HopContext) -> Iterator[Proposal]:
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


def _repaired(token: TokenSpec, issuers: Sequence[str], part: str) -> TokenSpec:
    """Return a token without what is wrong with it."""
    claims = {name: value for name, value in token.claims.items() if name not in ("exp", "nbf", "iat", "iss")}
    if part.startswith("audience"):
        claims.pop("aud", None)
    if "sub" not in claims and token.literal is not None:
        claims["sub"] = _ANYONE
    issuer = token.issuer if token.issuer in issuers else (issuers[0] if issuers else token.issuer)
    return replace(token, flaw="", literal=None, claims=claims, issuer=issuer)


def _mutual_tls(context: HopContext) -> Iterator[Proposal]:
    if context.hop.direction != "inbound":
        return
    sender = context.case.sender
    if found := _with_identity(context):
        yield found
    mode = mode_of(context)
    if mode.mode == "STRICT" and not (isinstance(sender, FromBypass) and sender.mode == "mtls"):
        where = mode_place(mode, context.hop.port)
        if where:
            yield Proposal((Edit(where, "set", "PERMISSIVE", "so that plaintext is taken, too"),))


def _route(context: HopContext) -> Iterator[Proposal]:
    """Yield a further match of the route that comes closest, for exactly this path and method."""
    request = context.case.request
    if context.manager is None or not isinstance(request, HttpRequest):
        return
    host = virtual_host_of(context, context.line.authority)
    path = _value(context, "paths", 0) or context.line.path.partition("?")[0]
    found: list[tuple[list[str], Where]] = []
    for route in host.get("routes", []) if host else []:
        where = route_where(context, host, route)
        if "route" in route and where and where.keys[-2:-1] == ("match",):
            missed = list(missed_parts(context, route))
            if missed and all(each.startswith(("path", "method")) for each in missed):
                found.append((missed, where))
    for missed, where in sorted(found, key=lambda each: len(each[0]))[:1]:
        match: dict[str, object] = {"uri": {"exact": path}}
        if any(each.startswith("method") for each in missed):
            match["method"] = {"exact": context.line.method}
        yield Proposal((Edit(Where(where.manifest, where.keys[:-1]), "append", match),))
