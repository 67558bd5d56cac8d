"""ML505: a gateway's pod with a sidecar's proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for gateway in facts.mesh.gateways:
        if gateway.services is not None or not gateway.selector:
            continue
        for workload in facts.workloads:
            if workload.proxy == "sidecar" and gateway.selects(workload.ref.namespace, workload.labels):
                yield RULE.at(
                    gateway.where.key("selector"), f"{workload.ref} has a sidecar, and serves no Gateway."
                )


RULE = Rule(
    code="ML505",
    name="gateway-without-template",
    severity=Severity.ERROR,
    summary="a gateway's pod with a sidecar's proxy",
    why=(
        "Without the annotation inject.istio.io/templates: gateway the pod gets a sidecar, which takes no "
        "Gateway."
    ),
    fix="Add the annotation inject.istio.io/templates: gateway to the pod.",
    source="istio/istio pkg/kube/inject/inject.go#selectTemplates",
    check=_check,
)
