"""ML206: a rule that is never reached. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML206",
    name="route-unreachable",
    severity=Severity.WARNING,
    summary="a rule that is never reached",
    why="A rule before it takes every request.",
    fix="Move it forward, or narrow the rule before it.",
    source="istio/istio pkg/config/validation: VirtualServiceUnreachableRule",
)
