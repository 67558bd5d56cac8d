"""ML307: a token that the gateway removes and a workload needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import asks_for_token
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    needed = {
        rule.issuer
        for workload in facts.workloads
        if workload.proxy == "sidecar"
        and any(asks_for_token(rule) for policy in facts.policies(workload) for rule in policy.rules)
        for rule in facts.jwt_rules(workload)
    }
    for authentication in facts.mesh.request_authentications:
        if not any(
            workload.is_gateway and authentication in facts.mesh.attached_to(workload, [authentication])
            for workload in facts.mesh.workloads
        ):
            continue
        for index, rule in enumerate(authentication.rules):
            if rule.issuer in needed and not rule.forward_original_token:
                place = Where(authentication.attachment.where.manifest, ("spec", "jwtRules", index))
                yield RULE.at(place, f"a policy of a workload behind asks for a token of {rule.issuer}.")


RULE = Rule(
    code="ML307",
    name="token-not-forwarded",
    severity=Severity.ERROR,
    summary="a token that the gateway removes and a workload needs",
    why=(
        "A proxy that verified a token removes it. The workload behind then sees no token, and refuses "
        "the request."
    ),
    fix="Set forwardOriginalToken: true in the gateway's jwtRules.",
    source="Envoy's jwt_authn: forward",
    check=_check,
)
