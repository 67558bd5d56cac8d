"""ML316: a rule on an issuer alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.authorization_policy import Rule as AllowRule
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for policy in facts.mesh.authorization_policies:
        if policy.action != "ALLOW":
            continue
        for index, rule in enumerate(policy.rules):
            issuers = [
                number
                for number, condition in enumerate(rule.conditions)
                if condition.key == "request.auth.claims[iss]" and condition.values.any_of
            ]
            if issuers and not _names_caller(rule):
                keys = ("spec", "rules", index, "when", issuers[0])
                place = Where(policy.attachment.where.manifest, keys)
                yield RULE.at(place, "says who made the token, and no part of the rule says for whom.")


def _names_caller(rule: AllowRule) -> bool:
    if any(condition.key in _CALLER for condition in rule.conditions):
        return True
    return bool(rule.sources) and all("requestPrincipals" in source for source in rule.sources)


_CALLER = (
    "request.auth.principal",
    "request.auth.presenter",
    "request.auth.claims[sub]",
    "request.auth.claims[email]",
    "request.auth.claims[azp]",
    "request.auth.claims[client_id]",
)


RULE = Rule(
    code="ML316",
    name="subject-not-required",
    severity=Severity.WARNING,
    summary="a rule on an issuer alone",
    why=(
        "The claim iss is in every token of the issuer, also in one without sub, so every caller that the "
        "issuer knows gets in."
    ),
    fix="Ask for requestPrincipals: issuer/subject.",
    source="istio/istio pilot/pkg/security/authz/model/generator.go",
    check=_check,
)
