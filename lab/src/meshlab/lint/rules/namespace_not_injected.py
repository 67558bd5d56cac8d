"""ML508: a namespace without a word on injection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import labels_of, pod_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    pods = list(pod_templates(facts.manifests))
    for namespace in facts.of_kind("Namespace"):
        labels = labels_of(namespace)
        if namespace.name in (facts.mesh.root_namespace, *_SYSTEM) or any(
            label in labels for label in _LABELS
        ):
            continue
        own = [pod for pod in pods if pod.manifest.namespace == namespace.name]
        if own and all(
            "sidecar.istio.io/inject" in pod.labels or "istio.io/rev" in pod.labels for pod in own
        ):
            continue
        yield RULE.at(Where(namespace, ("metadata", "name")), "has no label on injection.")


_LABELS = ("istio-injection", "istio.io/rev", "istio.io/dataplane-mode")
_SYSTEM = ("kube-system", "kube-public", "kube-node-lease")


RULE = Rule(
    code="ML508",
    name="namespace-not-injected",
    severity=Severity.INFO,
    summary="a namespace without a word on injection",
    why="Its pods get no sidecar unless each asks for one. A policy on them enforces nothing.",
    fix="Write istio-injection: enabled (or istio.io/rev), or istio-injection: disabled where that is meant.",
    source="istio/istio pkg/config/analysis: IST0102",
    check=_check,
)
