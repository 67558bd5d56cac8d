"""ML403: credentialName that sidecars do not use. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML403",
    name="credential-for-sidecars",
    severity=Severity.ERROR,
    summary="a credentialName that sidecars do not use",
    why="Gateways use the Secret. Sidecars get no TLS at all, and send plaintext to a port that expects TLS.",
    fix="Add workloadSelector, or exportTo with the gateway's namespace alone.",
    source="istio/istio pilot/pkg/networking/core/cluster_tls.go",
)
