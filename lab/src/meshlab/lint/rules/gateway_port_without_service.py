"""ML102: a port of a Gateway that no Service of its workload has. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML102",
    name="gateway-port-without-service",
    severity=Severity.WARNING,
    summary="a port of a Gateway that no Service of its workload has",
    why=(
        "Callers reach a gateway through its Service, so no client reaches this port but by the pod's own "
        "address."
    ),
    fix="Add the port to the Service, or correct the number: a Gateway names the Service's port.",
    source="istio/istio pkg/config/analysis: IST0104",
)
