"""ML202: a host that no server of the Gateway takes. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML202",
    name="host-not-in-gateway",
    severity=Severity.WARNING,
    summary="a host that no server of the Gateway takes",
    why="Requests for this host never reach the route.",
    fix="Add the host to a server, with a namespace that may bind it, or correct it here.",
    source="istio/istio pkg/config/analysis: IST0132",
)
