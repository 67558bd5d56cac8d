"""ML101: a Gateway whose selector fits no workload. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.missed import WORKLOADS, Missed
from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML101",
    name="gateway-selects-nothing",
    severity=Severity.WARNING,
    summary="a Gateway whose selector fits no workload",
    why="Its servers are opened nowhere, and its routes are served nowhere.",
    fix="Give the selector the labels of the gateway's pods.",
    source="istio/istio pkg/config/analysis: IST0101 for Gateways",
    missed=Missed(WORKLOADS, anywhere=True),
)
