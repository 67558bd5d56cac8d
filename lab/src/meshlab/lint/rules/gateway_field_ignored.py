"""ML103: a field of a Gateway that Istio ignores. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML103",
    name="gateway-field-ignored",
    severity=Severity.WARNING,
    summary="a field of a Gateway that Istio ignores",
    why="It looks as if it were enforced.",
    fix="Remove it, or ask for the same in a way that Istio implements.",
    source="istio/istio pilot/pkg/networking/core/gateway.go",
)
