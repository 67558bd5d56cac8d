"""ML511: the image auto in a pod that is not injected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import injection_of, pod_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    injects = {each.name: injection_of(each) for each in facts.of_kind("Namespace")}
    for pod in pod_templates(facts.manifests):
        by_namespace = injects.get(pod.manifest.namespace)
        asked = str(pod.labels.get("sidecar.istio.io/inject", "")).lower()
        asks = asked == "true" or (asked != "false" and "istio.io/rev" in pod.labels)
        unknown = pod.manifest.namespace not in injects and asked != "false"
        if by_namespace is not False and (asks or (asked != "false" and by_namespace) or unknown):
            continue
        for where, container in pod.containers:
            if container.get("name") == "istio-proxy" and container.get("image") == "auto":
                yield RULE.at(where.key("image"), "the pod is not injected, so auto is no image.")


RULE = Rule(
    code="ML511",
    name="image-not-replaced",
    severity=Severity.ERROR,
    summary="the image auto in a pod that is not injected",
    why=(
        "Injection replaces the image auto. Without it the pod asks a registry for an image of that name, "
        "and does not start."
    ),
    fix='Add the label sidecar.istio.io/inject: "true" to the pod, or name an image.',
    source="istio/istio pkg/config/analysis: IST0146 and IST0147",
    check=_check,
)
