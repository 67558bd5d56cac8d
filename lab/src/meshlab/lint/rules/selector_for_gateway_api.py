"""ML315: a selector for pods of the Gateway API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.attachment import GATEWAY_NAME
from meshlab.istio.read.fields import Where
from meshlab.istio.read.object_kinds import EXTENSIONS, SECURITY, TELEMETRY
from meshlab.lint.facts import mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import pod_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    pods = [pod for pod in pod_templates(facts.manifests) if GATEWAY_NAME in pod.labels]
    for manifest in facts.manifests:
        if (manifest.group, manifest.kind) not in _POLICIES:
            continue
        spec = mapping(manifest.body, "spec")
        selector = mapping(spec, "selector", "matchLabels")
        if "targetRef" in spec or "targetRefs" in spec or "selector" not in spec:
            continue
        for pod in pods:
            if pod.manifest.namespace == manifest.namespace and selector.items() <= pod.labels.items():
                text = f"selects pods of the Gateway {pod.labels[GATEWAY_NAME]} of the Gateway API."
                yield RULE.at(Where(manifest, ("spec", "selector")), text)
                break


_POLICIES = (
    (SECURITY, "AuthorizationPolicy"),
    (SECURITY, "RequestAuthentication"),
    (TELEMETRY, "Telemetry"),
    (EXTENSIONS, "WasmPlugin"),
)


RULE = Rule(
    code="ML315",
    name="selector-for-gateway-api",
    severity=Severity.WARNING,
    summary="a selector for pods of the Gateway API",
    why=(
        "Policies for pods of the Gateway API name their Gateway. Whether a selector counts depends on a "
        "setting of istiod, and at waypoints it never does."
    ),
    fix="Write targetRefs with the Gateway in place of the selector.",
    source="istio/istio pkg/config/analysis: IST0166",
    check=_check,
)
