"""ML501: a ServiceAccount that the manifests do not hold. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML501",
    name="service-account-unknown",
    severity=Severity.INFO,
    summary="a ServiceAccount that the manifests do not hold",
    why="The pod does not start without it, and policies name it as a principal.",
    fix="Add the ServiceAccount, or correct the name.",
    source="Kubernetes: admission of ServiceAccounts",
)
