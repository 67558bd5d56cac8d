"""Rules and conditions that one request exercised at one proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.bench.verdicts.policy_results import Alternative, ConditionResult, PolicyResult, RuleResult
    from meshlab.istio.read.fields import Where

__all__ = ["Exercised", "exercised_by"]


@dataclass(frozen=True)
class Exercised:
    """What a request exercised.

    Attributes:
        rules: Rules that matched, and had a say.
        conditions: Conditions that alone kept a rule from matching, where the match would have changed the verdict.
    """

    rules: tuple[Where, ...]
    conditions: tuple[Where, ...]


def exercised_by(policies: Sequence[PolicyResult]) -> Exercised:
    """Return what a request exercised.

    A rule had a say where it matched, unless it is an ALLOW rule and a DENY rule refused the request all the same. A
    policy without rules had a say where no ALLOW rule matched.

    A condition counts where the rule would have matched without it, and where that would have been noticed. For an
    ALLOW rule no other ALLOW rule may have matched and no DENY rule; for a DENY rule the request was let in. AUDIT,
    CUSTOM and dry runs record each match, so there every match is noticed.

    Args:
        policies: What Envoy said of each policy at the proxy. A request that did not get to them, because its token or
            its certificate was refused before, exercised none.
    """
    policies = [policy for policy in policies if policy.reached]
    decision = _Decision(policies)
    rules: list[Where] = []
    conditions: list[Where] = []
    for policy in policies:
        if not policy.rules and decision.by_none_allowed:
            rules.append(policy.where.key("spec"))
        for rule in policy.rules:
            if rule.matched and decision.counts(policy):
                rules.append(rule.where)
            elif rule.matched is False and decision.would_notice(policy):
                conditions += (condition.where for condition in _alone(rule))
    return Exercised(tuple(rules), tuple(conditions))


class _Decision:
    """What the enforced policies of a proxy decided together."""

    def __init__(self, policies: Sequence[PolicyResult]) -> None:
        enforced = [policy for policy in policies if not policy.policy.dry_run]
        allowing = [policy for policy in enforced if policy.policy.action == "ALLOW"]
        self._denied = any(policy.matched for policy in enforced if policy.policy.action == "DENY")
        self._allowed = not allowing or any(policy.matched for policy in allowing)
        self.by_none_allowed = bool(allowing) and not self._allowed and not self._denied

    def counts(self, policy: PolicyResult) -> bool:
        """Return whether a match of the policy's rule had a say."""
        return not (self._decides(policy) and policy.policy.action == "ALLOW" and self._denied)

    def would_notice(self, policy: PolicyResult) -> bool:
        """Return whether one match more of the policy would have been noticed."""
        if not self._decides(policy):
            return True
        if policy.policy.action == "ALLOW":
            return self.by_none_allowed
        return self._allowed and not self._denied

    @staticmethod
    def _decides(policy: PolicyResult) -> bool:
        return policy.policy.action in ("ALLOW", "DENY") and not policy.policy.dry_run


def _alone(rule: RuleResult) -> Iterator[ConditionResult]:
    """Yield the conditions without which the rule would have matched."""
    for condition in rule.conditions:
        if condition.holds is False and all(
            _fits(side, condition) for side in (rule.operations, rule.sources)
        ):
            yield condition


def _fits(alternatives: Sequence[Alternative], without: ConditionResult) -> bool:
    """Return whether one of the alternatives holds without a condition."""
    return any(
        all(each.holds or each.where.keys == without.where.keys for each in alternative.conditions)
        for alternative in alternatives
    )
