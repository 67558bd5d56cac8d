"""ML601: a NetworkPolicy that does not say what it isolates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for manifest in facts.of_kind("NetworkPolicy", "networking.k8s.io"):
        spec = mapping(manifest.body, "spec")
        if not listed(spec, "policyTypes"):
            what = "ingress and egress" if "egress" in spec else "ingress"
            yield RULE.at(Where(manifest, ("spec",)), f"has no policyTypes, so it isolates {what}.")


RULE = Rule(
    code="ML601",
    name="policy-types-missing",
    severity=Severity.WARNING,
    summary="a NetworkPolicy that does not say what it isolates",
    why=(
        "Without policyTypes every NetworkPolicy isolates ingress, one with egress rules alone, too: all "
        "traffic to its pods stops. Egress stays open where egress is not there."
    ),
    fix="Write policyTypes.",
    source="Kubernetes: NetworkPolicySpec.policyTypes",
    check=_check,
)
