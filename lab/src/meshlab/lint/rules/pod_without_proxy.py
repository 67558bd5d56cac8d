"""ML510: a running pod without a proxy in a namespace that is injected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.facts import mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import labels_of, pod_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    injected = {
        each.name
        for each in facts.of_kind("Namespace")
        if labels_of(each).get("istio-injection") == "enabled"
    }
    for pod in pod_templates(facts.manifests):
        # A pod in a file that was not exported from a cluster is injected when it is created.
        if (
            pod.manifest.kind != "Pod"
            or pod.manifest.namespace not in injected
            or not _is_running(pod.manifest)
        ):
            continue
        setting = pod.labels.get("sidecar.istio.io/inject", pod.annotations.get("sidecar.istio.io/inject"))
        if str(setting).lower() == "false" or pod.spec.get("hostNetwork"):
            continue
        if not any(container.get("name") == "istio-proxy" for _, container in pod.containers):
            yield RULE.at(pod.where, "runs without the container istio-proxy.")


def _is_running(pod: Manifest) -> bool:
    return mapping(pod.body, "status").get("phase") == "Running"


RULE = Rule(
    code="ML510",
    name="pod-without-proxy",
    severity=Severity.WARNING,
    summary="a running pod without a proxy in a namespace that is injected",
    why=(
        "It was created before its namespace was injected, or the webhook failed. It enforces no policy, "
        "and speaks plaintext."
    ),
    fix="Restart it.",
    source="istio/istio pkg/config/analysis: IST0103",
    check=_check,
)
