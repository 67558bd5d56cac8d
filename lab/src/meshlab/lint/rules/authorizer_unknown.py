"""ML301: a CUSTOM policy without its authorizer. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.missed import SERVICES, SETTINGS, Missed
from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML301",
    name="authorizer-unknown",
    severity=Severity.ERROR,
    summary="a CUSTOM policy without its authorizer",
    why="Istio denies every request that the policy selects.",
    fix="Add the provider to extensionProviders of the MeshConfig, and its Service to the manifests.",
    source="istio/istio pilot/pkg/security/authz/builder/extauthz.go",
    missed=Missed(SETTINGS | SERVICES, anywhere=True),
)
