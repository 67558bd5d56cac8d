"""ML207: a condition that Istio does not implement. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML207",
    name="match-not-implemented",
    severity=Severity.ERROR,
    summary="a condition that Istio does not implement",
    why="The rule takes connections that the condition was to keep out.",
    fix="Ask for it in an AuthorizationPolicy.",
    source="istio/istio api: L4MatchAttributes.sourceSubnet",
)
