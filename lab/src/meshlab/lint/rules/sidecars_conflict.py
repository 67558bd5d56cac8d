"""ML221: two Sidecars for one workload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import is_selected, of_networking, pod_templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from meshlab.lint.facts import Facts
    from meshlab.lint.written import PodTemplate
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    sidecars = of_networking(facts.manifests, "Sidecar")
    pods = list(pod_templates(facts.manifests))
    for sidecar in sidecars:
        others = sorted(
            other.name
            for other in sidecars
            if other is not sidecar
            and other.namespace == sidecar.namespace
            and _overlap(pods, _selector(sidecar), _selector(other), sidecar.namespace)
        )
        if others:
            yield RULE.at(
                Where(sidecar, ("metadata", "name")), f"{', '.join(others)} is for the same workloads."
            )


def _selector(sidecar: Manifest) -> Mapping[str, Any]:
    return mapping(sidecar.body, "spec", "workloadSelector", "labels")


def _overlap(
    pods: Iterable[PodTemplate], one: Mapping[str, Any], other: Mapping[str, Any], namespace: str
) -> bool:
    if not one or not other:
        return not one and not other
    return any(
        pod.manifest.namespace == namespace
        and is_selected(one, pod.labels)
        and is_selected(other, pod.labels)
        for pod in pods
    )


RULE = Rule(
    code="ML221",
    name="sidecars-conflict",
    severity=Severity.WARNING,
    summary="two Sidecars for one workload",
    why="Only the oldest counts, and its age decides what the workload sees.",
    fix="Keep one, or make the selectors differ.",
    source="istio/istio pkg/config/analysis: IST0110 and IST0111",
    check=_check,
)
