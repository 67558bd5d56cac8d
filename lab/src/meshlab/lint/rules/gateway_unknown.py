"""ML201: a route for a Gateway that does not exist. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML201",
    name="gateway-unknown",
    severity=Severity.ERROR,
    summary="a route for a Gateway that does not exist",
    why="Its routes are served nowhere.",
    fix=(
        "Write namespace/name of a Gateway that exists. A name without a namespace is in the VirtualService's"
        " own."
    ),
    source="istio/istio pkg/config/analysis: IST0101 for VirtualServices",
)
