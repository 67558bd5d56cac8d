"""ML303: a policy for a workload without a proxy. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML303",
    name="policy-not-enforced",
    severity=Severity.ERROR,
    summary="a policy for a workload without a proxy",
    why="Nothing enforces it: what it was to keep out gets in.",
    fix="Have the workload injected.",
    source="istio/istio pkg/kube/inject",
)
