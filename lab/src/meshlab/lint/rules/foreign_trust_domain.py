"""ML311: a principal of a trust domain that is not the mesh's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.facts import named_values, takes_client_certificates
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    settings = facts.mesh.settings
    known = {settings.trust_domain, *settings.trust_domain_aliases, "cluster.local"}
    for policy in facts.mesh.authorization_policies:
        # Clients of a gateway may have certificates of another mesh.
        if any(takes_client_certificates(facts, workload) for workload in facts.reached(policy)):
            continue
        for place, value in named_values(policy, "principals"):
            domain, slash, _ = value.partition("/ns/")
            if slash and "*" not in domain and domain not in known:
                yield RULE.at(place, f"the trust domain {domain} is none of {', '.join(sorted(known))}.")


RULE = Rule(
    code="ML311",
    name="foreign-trust-domain",
    severity=Severity.WARNING,
    summary="a principal of a trust domain that is not the mesh's",
    why="No workload of the mesh has such an identity, so the rule never matches them.",
    fix="Write the mesh's own trust domain or cluster.local, or add the other one to trustDomainAliases.",
    source="istio/istio pkg/spiffe and pilot/pkg/security/trustdomain/bundle.go",
    check=_check,
)
