"""ML208: a Sidecar whose selector fits no workload. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.missed import WORKLOADS, Missed
from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML208",
    name="sidecar-selects-nothing",
    severity=Severity.WARNING,
    summary="a Sidecar whose selector fits no workload",
    why="It has no effect, and the workloads that it was for see all services.",
    fix="Correct the labels or the namespace.",
    source="istio/istio pkg/config/analysis: IST0101 for Sidecars",
    missed=Missed(WORKLOADS),
)
