"""The step of policies: each AuthorizationPolicy at a proxy in the order of evaluation, rule by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.verdicts.policy_results import PolicyResult, RuleResult, policy_results
from meshlab.explain.explanation import (
    ConditionExplanation,
    PolicyExplanation,
    RuleExplanation,
    Step,
)
from meshlab.explain.manifest_places import place_of, place_of_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.verdicts.policy_results import Alternative, ConditionResult
    from meshlab.explain.attribute_values import SeenValues
    from meshlab.explain.explanation import State
    from meshlab.explain.hop_context import HopContext

__all__ = ["closest", "policies_step", "results_at"]


def results_at(context: HopContext) -> list[PolicyResult]:
    """Return what Envoy said of each policy at a hop's proxy."""
    return policy_results(context.hop, context.mesh, context.bootstrap)


def policies_step(context: HopContext, state: State) -> Step | None:
    """Explain every policy; `None` where policies decide nothing, as on the way out of a workload."""
    if context.hop.direction == "outbound" or context.chain is None:
        return None
    policies = tuple(_policy(context, result) for result in results_at(context))
    places = tuple(policy.place for policy in policies)
    evidence = context.line.details if "rbac" in context.line.details else context.line.termination
    if state == "refused":
        decided = context.hop.policy
        places = tuple(each.place for each in policies if decided and each.name == decided.name) or places
        return Step("policies", state, _refusal(context, policies), places, (), evidence, policies)
    if state == "not reached":
        return Step("policies", state, "no policy was evaluated", places, (), "", policies)
    attached = context.mesh.attached_to(context.workload, context.mesh.authorization_policies)
    if attached and not policies:
        return Step("policies", state, "no policy decides on TLS that AUTO_PASSTHROUGH passes on")
    return Step("policies", state, _passage(policies), places, (), "", policies)


def closest(alternatives: Sequence[Alternative]) -> Alternative | None:
    """Return the alternative with the fewest conditions that do not hold; `None` where there is none."""
    return min(alternatives, key=lambda each: len(each.failing), default=None)


def _refusal(context: HopContext, policies: Sequence[PolicyExplanation]) -> str:
    decided = context.hop.policy
    if decided is None:
        return "refused"
    if decided.rule is not None and context.line.details == "ext_authz_denied":
        return f"the external authorizer that {decided.name}, rule {decided.rule}, asks denied it"
    if decided.rule is not None:
        return f"denied by {decided.name}, rule {decided.rule}"
    allowing = [each for each in policies if each.action == "ALLOW" and not each.dry_run]
    names = ", ".join(each.name for each in allowing)
    return f"no rule of an ALLOW policy matches ({names}), and with an ALLOW policy all else is refused"


def _passage(policies: Sequence[PolicyExplanation]) -> str:
    allowing = [each for each in policies if each.action == "ALLOW" and not each.dry_run]
    if not allowing:
        return "there is no ALLOW policy, so all that no policy denies is allowed"
    by = [f"{each.name}, rule {rule.index}" for each in allowing for rule in each.rules if rule.matched]
    return f"allowed by {'; '.join(by)}" if by else "allowed"


def _policy(context: HopContext, result: PolicyResult) -> PolicyExplanation:
    rules = tuple(_rule(context.seen, rule) for rule in result.rules)
    policy = result.policy
    return PolicyExplanation(
        place=place_of_manifest(result.where.manifest),
        name=result.name,
        action=policy.action,
        dry_run=policy.dry_run,
        matched=result.matched,
        text=_words(result),
        rules=rules,
    )


def _words(result: PolicyResult) -> str:
    policy = result.policy
    if not policy.rules:
        return "has no rule, so it matches nothing"
    if result.matched is None:
        return "not reached"
    if not result.matched:
        return "no rule matches"
    index = next(rule.index for rule in result.rules if rule.matched)
    does = {
        "ALLOW": "allows",
        "DENY": "denies",
        "AUDIT": "logs",
        "CUSTOM": f"asks the authorizer {policy.provider}",
    }[policy.action]
    would = "would do so, but is a dry run: " if policy.dry_run else ""
    return f"{would}{does} (rule {index} matches)"


def _rule(seen: SeenValues, result: RuleResult) -> RuleExplanation:
    note = ""
    if not result.written:
        note = "istiod drops it here, as a rule on HTTP for a connection that is passed on as it is"
    failing = [
        condition
        for side in (result.operations, result.sources)
        if (best := closest(side)) is not None
        for condition in best.failing
    ]
    unique = {condition.where.keys: condition for condition in failing}
    return RuleExplanation(
        place=place_of(result.where),
        index=result.index,
        matched=result.matched,
        note=note,
        failing=tuple(_condition(seen, each, result.stage) for each in unique.values()),
        conditions=tuple(_condition(seen, each, result.stage) for each in result.conditions),
    )


def _condition(seen: SeenValues, result: ConditionResult, stage: int) -> ConditionExplanation:
    return ConditionExplanation(
        place=place_of(result.where),
        attribute=result.attribute,
        negated=result.negated,
        wants=result.values,
        saw=seen.words(result.attribute, stage),
        holds=result.holds,
    )
