"""ML401: a DestinationRule for a host that does not exist. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML401",
    name="rule-for-no-host",
    severity=Severity.WARNING,
    summary="a DestinationRule for a host that does not exist",
    why="It has no effect; its TLS settings are not applied.",
    fix="Correct the host, or add the Service or ServiceEntry.",
    source="istio/istio pkg/config/analysis: UnknownDestinationRuleHost",
)
