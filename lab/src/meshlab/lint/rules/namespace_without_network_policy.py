"""ML610: a namespace that other namespaces' NetworkPolicies forgot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import denied_to_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    policies = facts.of_kind("NetworkPolicy", "networking.k8s.io")
    walled = {policy.namespace for policy in policies if set(denied_to_all(policy)) == {"Ingress", "Egress"}}
    if not walled:
        return
    covered = {policy.namespace for policy in policies}
    for namespace in facts.of_kind("Namespace"):
        if namespace.name not in covered and not namespace.name.startswith("kube-"):
            names = ", ".join(sorted(walled))
            yield RULE.at(
                Where(namespace, ("metadata", "name")), f"has no NetworkPolicy; {names} deny by default."
            )


RULE = Rule(
    code="ML610",
    name="namespace-without-network-policy",
    severity=Severity.WARNING,
    summary="a namespace without NetworkPolicies beside others that deny by default",
    why=(
        "Its pods reach everything and are reached by everything, past the walls that the other "
        "namespaces have."
    ),
    fix="Add a NetworkPolicy with an empty podSelector, both policyTypes and no rules.",
    source="Kubernetes: default deny policies",
    check=_check,
)
