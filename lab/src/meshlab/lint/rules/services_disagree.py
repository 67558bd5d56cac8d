"""ML513: two Services that disagree on a port of one workload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping, scalar
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import pod_templates, protocol_of, services_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.lint.written import PodTemplate
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for pod in pod_templates(facts.manifests):
        services = services_of(facts.manifests, pod) if _may_be_injected(pod) else []
        by_port: dict[int | str | None, dict[tuple[int | str | None, str], str]] = {}
        for service in services:
            for port in listed(mapping(service.body, "spec"), "ports"):
                number = scalar(port, "port")
                target = scalar(port, "targetPort") or number
                found = by_port.setdefault(target, {})
                found.setdefault((number, protocol_of(port)), service.name)
        for target, found in by_port.items():
            names = sorted(set(found.values()))
            if len(found) > 1 and len(names) > 1 and len({protocol for _, protocol in found}) > 1:
                yield RULE.at(Where(pod.manifest), f"{' and '.join(names)} disagree on port {target}.")


def _may_be_injected(pod: PodTemplate) -> bool:
    return "false" not in (pod.labels.get(_INJECT), pod.annotations.get(_INJECT))


_INJECT = "sidecar.istio.io/inject"


RULE = Rule(
    code="ML513",
    name="services-disagree",
    severity=Severity.WARNING,
    summary="two Services that disagree on a port of one workload",
    why=(
        "A pod has one listener for a port. Its protocol follows one of the Services, and traffic by the "
        "other one is read wrongly."
    ),
    fix="Give the port the same protocol in both, or keep one Service.",
    source="istio/istio pkg/config/analysis: IST0116 and IST0137",
    check=_check,
)
