"""ML405: sni without subjectAltNames. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML405",
    name="server-name-not-verified",
    severity=Severity.ERROR,
    summary="a server name (sni) without subjectAltNames",
    why=(
        "Istio checks the server's name by itself only where sni is not set. With sni alone any certificate "
        "of the CA passes."
    ),
    fix="Add subjectAltNames, or leave sni out.",
    source="istio/istio pilot/pkg/networking/core/cluster_tls.go#setAutoSniAndAutoSanValidation",
)
