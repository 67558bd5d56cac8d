"""What Envoy said of every policy, rule and condition that a proxy holds, with the place of each in the manifests.

The results come from the probes of a bench with `condition_probes`. Coverage and explanations use them.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from meshlab.bench.evidence.condition_probes import has_policies, probed_rules
from meshlab.bench.verdicts.configured import chain_of, manager_of, policy_filters_of
from meshlab.istio.envoy.rbac import RuleContext, written_rule
from meshlab.istio.read.fields import Where
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from meshlab.bench.evidence.condition_probes import ConditionKey, ProbedRule
    from meshlab.bench.verdicts.hop import Hop
    from meshlab.istio.envoy.rbac import WrittenCondition, WrittenRule
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy

__all__ = ["Alternative", "ConditionResult", "PolicyResult", "RuleResult", "policy_results"]

_ORDER = ("CUSTOM", "AUDIT", "DENY", "ALLOW")


@dataclass(frozen=True)
class ConditionResult:
    """One condition of a rule.

    Attributes:
        where: Where it stands, such as `spec.rules[0].from[1].source.principals`.
        attribute: What it is about: a field of `source` or `operation`, or a key of `when`.
        negated: Whether the values are those that must not be.
        values: The values as written.
        holds: Envoy's verdict; `None` where the request did not get there.
    """

    where: Where
    attribute: str
    negated: bool
    values: tuple[str, ...]
    holds: bool | None


@dataclass(frozen=True)
class Alternative:
    """Conditions that must hold all together: one entry of `from` or `to`, and the entries of `when` that go with it.

    Attributes:
        where: The entry; the rule where it has no such entry.
        conditions: The conditions; none where everything fits.
    """

    where: Where
    conditions: tuple[ConditionResult, ...]

    @property
    def failing(self) -> tuple[ConditionResult, ...]:
        """The conditions that do not hold."""
        return tuple(each for each in self.conditions if each.holds is False)


@dataclass(frozen=True)
class RuleResult:
    """One rule: one operation and one source have to fit.

    Attributes:
        where: The rule.
        index: Its index, from 0.
        matched: Envoy's verdict; `None` where the request did not get there.
        written: Whether istiod writes the rule at all. It drops an ALLOW rule that it cannot express, which matches
            nothing then.
        operations: The alternatives about the request.
        sources: The alternatives about the caller.
        stage: The stage of the proxy's filters, see `condition_probes`.
    """

    where: Where
    index: int
    matched: bool | None
    written: bool = True
    operations: tuple[Alternative, ...] = ()
    sources: tuple[Alternative, ...] = ()
    stage: int = 0

    @property
    def conditions(self) -> Iterator[ConditionResult]:
        """Every condition once, in the order of evaluation."""
        seen = set()
        for each in chain.from_iterable(part.conditions for part in (*self.operations, *self.sources)):
            if each.where.keys not in seen:
                seen.add(each.where.keys)
                yield each


@dataclass(frozen=True)
class PolicyResult:
    """A policy that applies at a proxy.

    Attributes:
        policy: The policy.
        where: The object.
        rules: Its rules. A policy without rules matches nothing.
        reached: Whether the request got to the policies of the proxy.
    """

    policy: AuthorizationPolicy
    where: Where
    rules: tuple[RuleResult, ...]
    reached: bool

    @property
    def name(self) -> str:
        """`NAMESPACE/NAME`."""
        return _name(self.policy)

    @property
    def matched(self) -> bool | None:
        """Whether a rule matched; `None` where the request did not get there."""
        if any(rule.matched for rule in self.rules):
            return True
        return False if self.reached else None


def policy_results(hop: Hop, mesh: Mesh, bootstrap: Mapping[str, Any]) -> list[PolicyResult]:
    """Return every AuthorizationPolicy at a hop's proxy in the order of evaluation: CUSTOM, AUDIT, DENY, ALLOW.

    On the outbound side of a sidecar, and where a gateway passes TLS on by AUTO_PASSTHROUGH, there is none.

    Args:
        hop: The hop, of a bench with probes of conditions.
        mesh: The mesh.
        bootstrap: The configuration of the hop's proxy, with probes or without.
    """
    if hop.direction == "outbound" or not (configured := chain_of(bootstrap, hop.line)):
        return []
    filters = policy_filters_of(configured)
    if not has_policies(filters):
        return []
    over_tcp = manager_of(configured) is None
    probed = {(rule.policy, rule.index): rule for rule in probed_rules(filters)}
    results = hop.conditions
    policies = mesh.attached_to(mesh.workload(hop.workload), mesh.authorization_policies)
    asked = {_name(policy) for policy in policies if policy.action == "CUSTOM"}
    own = [rule.key for rule in probed.values() if rule.policy not in asked]
    decided = hop.policy is not None and hop.line.details != "ext_authz_denied"
    reached = hop.passed_on or decided or any(key in results for key in own)
    return [
        _policy_result(policy, probed, results, over_tcp=over_tcp, reached=reached)
        for action in _ORDER
        for policy in policies
        if policy.action == action
    ]


def _name(policy: AuthorizationPolicy) -> str:
    return f"{policy.attachment.namespace}/{policy.attachment.name}"


def _policy_result(
    policy: AuthorizationPolicy,
    probed: Mapping[tuple[str, int], ProbedRule],
    results: Mapping[ConditionKey, bool],
    *,
    over_tcp: bool,
    reached: bool,
) -> PolicyResult:
    attachment = policy.attachment
    manifest = Where(attachment.where.manifest)
    name = _name(policy)
    keys = [rule.key for rule in probed.values() if rule.policy == name]
    if keys:
        reached = any(key in results for key in keys)
    rules = []
    for index, rule in enumerate(policy.rules):
        where = manifest.key("spec", "rules").item(index)
        found = probed.get((name, index))
        written = written_rule(
            rule,
            _NO_CONTEXT,
            namespace=attachment.namespace,
            over_tcp=over_tcp,
            drop_whole=policy.action == "ALLOW",
        )
        if found is None or written is None:
            rules.append(RuleResult(where, index, False if reached else None, written=False))
        else:
            rules.append(_rule_result(where, index, found, written, results))
    return PolicyResult(policy, manifest, tuple(rules), reached)


def _nowhere(target: int) -> int | None:
    del target
    return None


def _context() -> RuleContext:
    from meshlab.istio.read.mesh_config import MeshSettings

    return RuleContext(MeshSettings(), _nowhere)


_NO_CONTEXT = _context()
"""The order of conditions depends on a rule alone; only what Envoy compares depends on the mesh."""


def _rule_result(
    where: Where,
    index: int,
    probed: ProbedRule,
    written: WrittenRule,
    results: Mapping[ConditionKey, bool],
) -> RuleResult:
    def alternatives(
        sides: tuple[tuple[WrittenCondition, ...], ...],
        keys: tuple[tuple[ConditionKey, ...], ...],
        entry: Callable[[int], Where],
    ) -> tuple[Alternative, ...]:
        return tuple(
            Alternative(
                entry(number),
                tuple(
                    _condition_result(where, each, results.get(key))
                    for each, key in zip(conditions, names, strict=True)
                ),
            )
            for number, (conditions, names) in enumerate(zip(sides, keys, strict=True))
        )

    body = where.manifest.body["spec"]["rules"][index] or {}
    to = where.key("to") if body.get("to") else None
    source = where.key("from") if body.get("from") else None
    return RuleResult(
        where=where,
        index=index,
        matched=results.get(probed.key),
        operations=alternatives(
            written.operations, probed.operations, lambda number: to.item(number) if to else where
        ),
        sources=alternatives(
            written.sources, probed.sources, lambda number: source.item(number) if source else where
        ),
        stage=probed.stage,
    )


def _condition_result(rule: Where, condition: WrittenCondition, holds: bool | None) -> ConditionResult:
    where = Where(rule.manifest, (*rule.keys, *condition.path))
    field = str(condition.path[-1])
    if condition.path[0] == "when":
        return ConditionResult(where, condition.attribute, field == "notValues", condition.values, holds)
    return ConditionResult(where, condition.attribute, field != condition.attribute, condition.values, holds)
