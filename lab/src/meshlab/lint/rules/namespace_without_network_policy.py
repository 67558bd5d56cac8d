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
    if len(walled) < _SEVERAL:
        return
    names = ", ".join(sorted(walled))
    covered = {policy.namespace for policy in policies}
    for namespace in facts.of_kind("Namespace"):
        if namespace.name not in covered and not namespace.name.startswith("kube-"):
            place = Where(namespace, ("metadata", "name"))
            yield RULE.at(place, f"has no NetworkPolicy; {names} deny by default.")
    root = facts.mesh.root_namespace
    known = {each.name for each in facts.of_kind("Namespace")}
    for manifest in facts.manifests:
        # Istio's installation makes its own namespace, which manifests therefore seldom hold.
        if manifest.namespace == root and root not in covered | known:
            place = Where(manifest, ("metadata", "namespace"))
            yield RULE.at(place, f"{root} has no NetworkPolicy; {names} deny by default.")
            break


_SEVERAL = 2
"""One namespace with walls, such as a gateway's, does not say that all should have them."""


RULE = Rule(
    code="ML610",
    name="namespace-without-network-policy",
    severity=Severity.WARNING,
    summary="a namespace without NetworkPolicies beside others that deny by default",
    why=(
        "Its pods reach everything and are reached by everything, although the other namespaces are isolated."
    ),
    fix="Add a NetworkPolicy with an empty podSelector, both policyTypes and no rules.",
    source="Kubernetes: default deny policies",
    check=_check,
)
