"""ML302: a policy whose selector fits no workload. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.missed import WORKLOADS, Missed
from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML302",
    name="policy-selects-nothing",
    severity=Severity.ERROR,
    summary="a policy whose selector fits no workload",
    why="It has no effect: what it was to keep out gets in.",
    fix="Give the selector labels of the pods, in the namespace of the pods or in the root namespace.",
    source="istio/istio pkg/config/analysis: IST0127",
    missed=Missed(WORKLOADS),
)
