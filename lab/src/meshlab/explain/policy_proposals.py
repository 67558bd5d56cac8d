"""Proposals for a request that policies refuse: other values in a rule, a rule of its own, or another caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.explain.caller_proposals import fitting_token, header_name, with_header, with_identity
from meshlab.explain.edits import Edit
from meshlab.explain.manifest_places import safe
from meshlab.explain.policy_step import closest
from meshlab.explain.proposal import Proposal
from meshlab.istio.read.fields import Where

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.bench.verdicts.policy_results import (
        Alternative,
        ConditionResult,
        PolicyResult,
        RuleResult,
    )
    from meshlab.explain.hop_context import HopContext

__all__ = ["not_to_be_denied", "to_be_allowed", "written_value"]

_RULES_TRIED = 3
_OF_TOKENS = ("requestPrincipals", "request.auth.")
_OF_CALLER = ("principals", "requestPrincipals", "remoteIpBlocks")
_OF_REQUEST = ("paths", "methods", "hosts", "ports")
"""What a DENY rule can leave a request out by, the narrowest first."""
_IDENTITIES = ("principals", "namespaces", "serviceAccounts", "trustDomains")


def to_be_allowed(context: HopContext, results: Sequence[PolicyResult]) -> Iterator[Proposal]:
    """Yield what could make an ALLOW rule match.

    Args:
        context: The hop.
        results: What Envoy said of the policies there.
    """
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


def not_to_be_denied(
    context: HopContext, results: Sequence[PolicyResult], policy: str, index: int
) -> Iterator[Proposal]:
    """Yield what could make a rule of a DENY or CUSTOM policy leave the request out.

    Args:
        context: The hop.
        results: What Envoy said of the policies there.
        policy: The policy, as `NAMESPACE/NAME`.
        index: The index of the rule.
    """
    found = next((each for each in results if each.name == policy), None)
    rule = next((each for each in found.rules if each.index == index), None) if found else None
    if rule is None:
        return
    if caller := _left_out_by_the_caller(context, [each for each in rule.sources if not each.failing]):
        yield caller
    for side, names in ((rule.sources, _OF_CALLER), (rule.operations, _OF_REQUEST)):
        matching = [each for each in side if not each.failing]
        excluded = [_excluding(context, rule, each, names) for each in matching]
        for choice in (0, 1):
            edits = [each[min(choice, len(each) - 1)] for each in excluded if each]
            if edits and len(edits) == len(matching) and all(len(each) > choice for each in excluded):
                yield Proposal(tuple(edits))


def _left_out_by_the_caller(context: HopContext, matching: Sequence[Alternative]) -> Proposal | None:
    """Return what the caller could send so that each alternative misses one of the values that it leaves out."""
    found = Proposal()
    of_token: list[ConditionResult] = []
    for alternative in matching:
        left_out = [each for each in alternative.conditions if each.negated and each.holds and each.values]
        if token := next((each for each in left_out if each.attribute.startswith(_OF_TOKENS)), None):
            of_token.append(token)
        elif header := next((each for each in left_out if header_name(each.attribute)), None):
            found = found.then(with_header(found.case or context.case, header))
        elif any(_is_identity(each.attribute) for each in left_out) and (peer := with_identity(context)):
            found = found.then(peer)
        else:
            return None
    if of_token:
        token_sent = fitting_token(context, of_token, case=found.case)
        if token_sent is None:
            return None
        found = found.then(token_sent)
    return found if matching else None


def written_value(context: HopContext, attribute: str, stage: int) -> str | None:
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
    of_peer = [each for each in failing if _is_identity(each.attribute)]
    others = [each for each in failing if each not in (*of_token, *of_peer)]
    rest = [_admitting(context, rule, condition) for condition in others]
    if not (of_token or of_peer) or not all(rest):
        return
    found = Proposal(tuple(edit for edit in rest if edit))
    if of_token:
        wanted = not any(each.negated for each in of_token)
        token = fitting_token(context, of_token) if wanted else None
        if token is None:
            return
        found = found.then(token)
    if of_peer:
        peer = with_identity(context)
        if peer is None:
            return
        found = found.then(peer)
    yield found


def _admitting(context: HopContext, rule: RuleResult, condition: ConditionResult) -> Edit | None:
    """Return the edit after which a condition holds; `None` where no value does it."""
    value = written_value(context, condition.attribute, rule.stage)
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


def _rule_of_its_own(context: HopContext, result: PolicyResult) -> Proposal:
    """Return a further rule for exactly this caller and request."""
    rule: dict[str, object] = {}
    source: dict[str, list[str]] = {}
    stage = max((rule.stage for rule in result.rules), default=0)
    for name in ("principals", "requestPrincipals"):
        if value := written_value(context, name, stage):
            source[name] = [value]
    of_request = ("hosts", "methods", "paths") if context.manager else ("ports",)
    operation = {name: [value] for name in of_request if (value := written_value(context, name, stage))}
    if source:
        rule["from"] = [{"source": source}]
    rule["to"] = [{"operation": operation}]
    where = Where(result.where.manifest, ("spec", "rules"))
    return Proposal((Edit(where, "append", rule, "a rule for this request alone"),))


def _excluding(
    context: HopContext, rule: RuleResult, alternative: Alternative, names: Sequence[str]
) -> list[Edit]:
    """Return the edits each of which makes an alternative of a DENY rule not match any more."""
    found = []
    for condition in alternative.conditions:
        value = written_value(context, condition.attribute, rule.stage)
        if value is None:
            continue
        if condition.negated and condition.holds:
            found.append(Edit(condition.where, "append", value, "so that the DENY rule does not match"))
        elif not condition.negated and value in condition.values and len(condition.values) > 1:
            found.append(Edit(condition.where, "remove", value))
    written = {condition.attribute for condition in alternative.conditions}
    for name in names:
        value = written_value(context, name, rule.stage)
        if value is None or (context.manager is None and name in ("paths", "methods", "hosts")):
            continue
        negation = f"not{name[0].upper()}{name[1:]}"
        if "serviceAccounts" in written and name == "principals":
            continue  # Istio refuses both in one source
        outer, inner = ("from", "source") if names is _OF_CALLER else ("to", "operation")
        if alternative.where.keys == rule.where.keys:
            where, value_to_write = rule.where.key(outer), {inner: {negation: [value]}}
            found.append(Edit(where, "append", value_to_write, "so that the DENY rule does not match"))
        else:
            where = alternative.where.key(inner, negation)
            if not any(condition.where.keys == where.keys for condition in alternative.conditions):
                found.append(Edit(where, "append", value, "so that the DENY rule does not match"))
    return found


def _is_identity(attribute: str) -> bool:
    return attribute in _IDENTITIES or attribute in {f"source.{name[:-1]}" for name in _IDENTITIES}
