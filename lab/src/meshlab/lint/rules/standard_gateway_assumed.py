"""ML114: a Gateway for a gateway of Istio's installation that the manifests lack. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML114",
    name="standard-gateway-assumed",
    severity=Severity.INFO,
    summary="a Gateway for a gateway of Istio's own installation that is not among the manifests",
    why="Its labels and ports are taken from Istio's charts. An installation of your own may have others.",
    fix="Lint it together with the manifests of the gateway, or leave it as it is where Istio's charts install it.",
    source="istio/istio manifests/charts/gateways",
)
