"""ML002: an object for an istiod of another revision. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML002",
    name="other-revision",
    severity=Severity.WARNING,
    summary="an object for an istiod of another revision",
    why="The mesh's istiod does not read it, so it has no effect here.",
    fix="Change the label istio.io/rev, or remove it.",
    source="istio/istio pkg/kube/inject, revision labels",
)
