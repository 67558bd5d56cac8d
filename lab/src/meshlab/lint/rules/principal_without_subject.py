"""ML309: a principal that is only an issuer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.facts import named_values
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for policy in facts.mesh.authorization_policies:
        issuers = {rule.issuer for workload in facts.reached(policy) for rule in facts.jwt_rules(workload)}
        for place, value in named_values(policy, "requestPrincipals"):
            if value in issuers or ("/" not in value and "*" not in value):
                yield RULE.at(place, f"{value} has no /subject, so no token matches it.")


RULE = Rule(
    code="ML309",
    name="principal-without-subject",
    severity=Severity.ERROR,
    summary="a principal that is only an issuer",
    why=(
        "A request's principal is issuer/subject. A token without sub has none, so even * does not match it."
    ),
    fix="Write issuer/subject, or issuer/* for every subject of the issuer.",
    source="istio/istio pilot/pkg/security/authz/model/generator.go#requestPrincipalGenerator",
    check=_check,
)
