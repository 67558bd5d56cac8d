"""ML209: an egress host of a Sidecar that does not exist. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.missed import SERVICES, Missed
from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML209",
    name="sidecar-imports-nothing",
    severity=Severity.WARNING,
    summary="an egress host of a Sidecar that does not exist",
    why="Nothing is imported, so calls to it go where unknown hosts go.",
    fix="Correct namespace/host.",
    source="istio/istio pilot/pkg/model/sidecar.go",
    missed=Missed(SERVICES, anywhere=True),
)
