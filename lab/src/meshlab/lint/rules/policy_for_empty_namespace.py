"""ML317: a policy of a namespace without workloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import pod_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    inhabited = {pod.manifest.namespace for pod in pod_templates(facts.manifests)}
    if not inhabited:
        return
    for policy in facts.mesh.authorization_policies:
        attachment = policy.attachment
        if attachment.selector or attachment.target_refs or attachment.namespace == facts.mesh.root_namespace:
            continue
        # The pods of a gateway are often installed by a chart.
        assumed = any(workload.ref.namespace == attachment.namespace for workload in facts.mesh.workloads)
        if attachment.namespace not in inhabited and not assumed:
            place = Where(attachment.where.manifest, ("metadata", "namespace"))
            yield RULE.at(place, f"the manifests have no workload in {attachment.namespace}.")


RULE = Rule(
    code="ML317",
    name="policy-for-empty-namespace",
    severity=Severity.INFO,
    summary="a policy of a namespace without workloads",
    why=(
        "It selects every workload of its namespace, and there is none: what it was to keep out gets in "
        "elsewhere."
    ),
    fix="Correct the namespace: a policy counts in its own alone, unless that is the root namespace.",
    source="istio/istio pkg/config/analysis: IST0127",
    check=_check,
)
