"""ML204: a destination port that the service does not have. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML204",
    name="destination-port-unknown",
    severity=Severity.ERROR,
    summary="a destination port that the service does not have",
    why="Requests are answered 503.",
    fix="Write a port of the Service, not of its pods.",
    source="istio/istio pilot/pkg/networking/core/route",
)
