"""ML104: a server of a Gateway that conflicts with an older one. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML104",
    name="gateway-server-dropped",
    severity=Severity.ERROR,
    summary="a server of a Gateway that conflicts with an older one",
    why="Istio drops the server, and what it was to serve is not served.",
    fix="Give one of them another port, host or name.",
    source="istio/istio pilot/pkg/model/gateway.go#mergeGateways",
)
