"""ML001: an old version of Istio's API. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML001",
    name="old-version",
    severity=Severity.INFO,
    summary="an old version of Istio's API",
    why="v1alpha3 and v1beta1 say the same, and will be removed one day.",
    fix="Write v1.",
    source="istio/istio releasenotes 1.22: v1 of networking, security and telemetry",
)
