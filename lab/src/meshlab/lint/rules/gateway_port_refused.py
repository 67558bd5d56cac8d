"""ML106: servers of one port that Envoy refuses together. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML106",
    name="gateway-port-refused",
    severity=Severity.ERROR,
    summary="servers of one port that Envoy refuses together",
    why="Envoy takes none of the port's configuration, so the whole port is closed or keeps its old one.",
    fix="Make the servers differ in the names that clients send (SNI).",
    source="Envoy: filter chains with the same match",
)
