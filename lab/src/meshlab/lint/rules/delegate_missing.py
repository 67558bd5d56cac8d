"""ML205: a rule whose delegate is missing or not exported. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.missed import Missed
from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML205",
    name="delegate-missing",
    severity=Severity.ERROR,
    summary="a rule whose delegate is missing or not exported",
    why="Istio leaves the rule out, and the next rule answers its requests.",
    fix="Name a VirtualService without hosts that is exported to this namespace.",
    source="istio/istio pilot/pkg/model/virtualservice.go#mergeVirtualServicesIfNeeded",
    missed=Missed(frozenset({"VirtualService"}), anywhere=True),
)
