"""ML105: a port of a Gateway that Istio does not open. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML105",
    name="gateway-port-closed",
    severity=Severity.ERROR,
    summary="a port of a Gateway that Istio does not open",
    why="Connections to it are refused.",
    fix="Correct the port or its routes.",
    source="istio/istio pilot/pkg/networking/core/gateway.go",
)
