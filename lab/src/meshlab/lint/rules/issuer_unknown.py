"""ML308: a principal of an issuer that is not trusted there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import named_values
from meshlab.lint.missed import Missed
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for policy in facts.mesh.authorization_policies:
        issuers = {rule.issuer for workload in facts.reached(policy) for rule in facts.jwt_rules(workload)}
        if not issuers or "" in issuers:
            continue
        for place, value in named_values(policy, "requestPrincipals"):
            issuer = value.rpartition("/")[0]
            if issuer and "*" not in issuer and issuer not in issuers and value not in issuers:
                known = ", ".join(sorted(issuers))
                yield RULE.at(place, f"no token of {issuer} is checked there; the issuers are: {known}.")
        for index, each in enumerate(policy.rules):
            for number, condition in enumerate(each.conditions):
                if condition.key != "request.auth.claims[iss]":
                    continue
                for value in condition.values.any_of:
                    if "*" not in value and value not in issuers:
                        keys = ("spec", "rules", index, "when", number, "values")
                        place = Where(policy.attachment.where.manifest, keys)
                        yield RULE.at(place, f"no token of {value} is checked there.")


RULE = Rule(
    code="ML308",
    name="issuer-unknown",
    severity=Severity.ERROR,
    summary="a principal of an issuer that is not trusted there",
    why=(
        "No token of this issuer is ever verified at the workload, so the rule never matches. Issuers are "
        "compared letter by letter."
    ),
    fix="Write the issuer exactly as jwtRules has it.",
    source="istio/istio pilot/pkg/security/authz/model/generator.go#requestPrincipalGenerator",
    check=_check,
    missed=Missed(frozenset({"RequestAuthentication"})),
)
