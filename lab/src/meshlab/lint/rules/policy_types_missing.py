"""ML601: a NetworkPolicy that isolates more than it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import mapping
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for manifest in facts.of_kind("NetworkPolicy", "networking.k8s.io"):
        spec = mapping(manifest.body, "spec")
        if "policyTypes" not in spec and "egress" in spec and "ingress" not in spec:
            yield RULE.at(
                Where(manifest, ("spec",)), "has egress rules and no policyTypes, so it denies all ingress."
            )


RULE = Rule(
    code="ML601",
    name="policy-types-missing",
    severity=Severity.WARNING,
    summary="a NetworkPolicy that isolates more than it says",
    why=(
        "Without policyTypes a NetworkPolicy with egress rules also isolates ingress: all traffic to its "
        "pods stops."
    ),
    fix="Write policyTypes.",
    source="Kubernetes: NetworkPolicySpec.policyTypes",
    check=_check,
)
