"""ML110: a part of an object of the Gateway API that has no effect. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML110",
    name="gateway-api-ignored",
    severity=Severity.WARNING,
    summary="a part of an object of the Gateway API that has no effect",
    why="Istio accepts the object, and leaves this part out. The object's status says so in a cluster.",
    fix="Correct the reference or the field that is named.",
    source="istio/istio pilot/pkg/config/kube/gateway",
)
