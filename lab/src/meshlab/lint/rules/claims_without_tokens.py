"""ML305: a condition on tokens where no token is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import asks_for_token
from meshlab.lint.missed import Missed
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for policy in facts.mesh.authorization_policies:
        asking = [index for index, each in enumerate(policy.rules) if asks_for_token(each)]
        if not asking:
            continue
        without = [workload for workload in facts.reached(policy) if not facts.jwt_rules(workload)]
        # A policy of a whole namespace may be meant for those of its workloads that check tokens.
        if without and (policy.attachment.selector or len(without) == len(facts.reached(policy))):
            names = ", ".join(str(workload.ref) for workload in without)
            place = Where(policy.attachment.where.manifest, ("spec", "rules", asking[0]))
            yield RULE.at(
                place, f"no RequestAuthentication reaches {names}, so no claim is ever known there."
            )


RULE = Rule(
    code="ML305",
    name="claims-without-tokens",
    severity=Severity.ERROR,
    summary="a condition on tokens where no token is checked",
    why=(
        "Claims are known only to the proxy that verified the token itself; a gateway's verdict does not "
        "travel. An ALLOW rule never matches, and a DENY rule on a claim never denies."
    ),
    fix=(
        "Add a RequestAuthentication for the same workload, and forwardOriginalToken: true at the proxy "
        "before it."
    ),
    source="istio/istio pilot/pkg/security/authz/model/generator.go",
    check=_check,
    missed=Missed(frozenset({"RequestAuthentication"})),
)
