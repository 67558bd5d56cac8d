"""ML503: a gateway's pod without injection. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML503",
    name="gateway-not-injected",
    severity=Severity.ERROR,
    summary="a gateway's pod without injection",
    why="It runs without a proxy, and serves nothing.",
    fix='Add the label sidecar.istio.io/inject: "true" to the pod.',
    source="istio/istio pkg/kube/inject/inject.go#injectRequired",
)
