"""ML509: a namespace with several labels on injection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import labels_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for namespace in facts.of_kind("Namespace"):
        labels = labels_of(namespace)
        if labels.get("istio-injection", "enabled") != "enabled":
            continue
        found = [label for label in _LABELS if label in labels]
        if len(found) > 1:
            yield RULE.at(Where(namespace, ("metadata", "labels")), f"has {' and '.join(found)}.")


_LABELS = ("istio-injection", "istio.io/rev", "istio.io/dataplane-mode")


RULE = Rule(
    code="ML509",
    name="injection-labels-conflict",
    severity=Severity.WARNING,
    summary="a namespace with several labels on injection",
    why=(
        "One of them counts, and it is not always the one that is meant: istio-injection wins over "
        "istio.io/rev."
    ),
    fix="Keep one.",
    source="istio/istio pkg/config/analysis: IST0123",
    check=_check,
)
