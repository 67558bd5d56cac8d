"""ML203: a destination that no service has. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML203",
    name="destination-unknown",
    severity=Severity.ERROR,
    summary="a destination that no service has",
    why="Requests are answered 503.",
    fix="Correct the host: a short name is completed with the VirtualService's own namespace.",
    source="istio/istio pkg/config/analysis: IST0101 for destinations",
)
