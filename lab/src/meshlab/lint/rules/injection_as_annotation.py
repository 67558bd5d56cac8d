"""ML504: sidecar.istio.io/inject as an annotation alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.istio.read.pods import TEMPLATES
from meshlab.lint.facts import mapping
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for manifest in facts.manifests:
        path = TEMPLATES.get((manifest.group, manifest.kind))
        if path is None:
            continue
        metadata = mapping(manifest.body, *path, "metadata")
        if _INJECT in mapping(metadata, "annotations") and _INJECT not in mapping(metadata, "labels"):
            yield RULE.at(
                Where(manifest, (*path, "metadata", "annotations", _INJECT)), "stands as an annotation alone."
            )


_INJECT = "sidecar.istio.io/inject"


RULE = Rule(
    code="ML504",
    name="injection-as-annotation",
    severity=Severity.WARNING,
    summary="an annotation sidecar.istio.io/inject without the label",
    why=(
        "Istio's webhook selects pods by labels. Where the namespace does not ask for injection, the "
        "annotation has no effect."
    ),
    fix="Write it as a label of the pod.",
    source="istio/istio pkg/kube/inject/inject.go#injectRequired",
    check=_check,
)
