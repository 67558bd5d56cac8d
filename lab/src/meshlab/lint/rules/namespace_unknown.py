"""ML502: a Namespace that the manifests do not hold. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML502",
    name="namespace-unknown",
    severity=Severity.INFO,
    summary="a Namespace that the manifests do not hold",
    why="Whether its pods are injected is not known; here they are taken for injected.",
    fix="Add the Namespace with its labels.",
    source="istio/istio pkg/kube/inject",
)
