"""ML606: a namespace with NetworkPolicies and no default deny."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import denied_to_all, isolated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    by_namespace: dict[str, list[Manifest]] = {}
    for manifest in facts.of_kind("NetworkPolicy", "networking.k8s.io"):
        by_namespace.setdefault(manifest.namespace, []).append(manifest)
    for namespace, policies in by_namespace.items():
        covered = {kind for policy in policies for kind in denied_to_all(policy)}
        some = {kind for policy in policies for kind in isolated(policy)}
        missing = [kind for kind in ("Ingress", "Egress") if kind in some - covered]
        if missing:
            yield RULE.at(
                Where(policies[0]), f"no policy denies {' and '.join(missing)} of every pod of {namespace}."
            )


RULE = Rule(
    code="ML606",
    name="no-default-deny",
    severity=Severity.WARNING,
    summary="a namespace with NetworkPolicies and no default deny",
    why="Pods that no policy selects are not isolated, and a new pod is one of them.",
    fix="Add a NetworkPolicy with an empty podSelector, the policyTypes and no rules.",
    source="Kubernetes: default deny policies",
    check=_check,
)
