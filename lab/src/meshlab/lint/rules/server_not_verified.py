"""ML404: insecureSkipVerify. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML404",
    name="server-not-verified",
    severity=Severity.ERROR,
    summary="insecureSkipVerify",
    why="A server that answers in the server's place is believed.",
    fix="Remove it, and name the CA of the server.",
    source="istio/istio api: ClientTLSSettings",
)
