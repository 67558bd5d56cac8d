"""ML404: insecureSkipVerify. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML404",
    name="server-not-verified",
    severity=Severity.ERROR,
    summary="a server whose certificate is not checked (insecureSkipVerify)",
    why="The client accepts any server that answers at the address, whatever certificate it shows.",
    fix="Remove it, and name the CA of the server.",
    source="istio/istio api: ClientTLSSettings",
)
