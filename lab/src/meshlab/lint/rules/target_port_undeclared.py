"""ML514: a target port that no container declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping, scalar
from meshlab.lint.missed import SERVICES, Missed
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import is_selected, pod_templates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from meshlab.lint.facts import Facts
    from meshlab.lint.written import PodTemplate
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    pods = list(pod_templates(facts.manifests))
    for service in facts.of_kind("Service"):
        selector = mapping(service.body, "spec", "selector")
        own = [
            pod
            for pod in pods
            if pod.manifest.namespace == service.namespace and is_selected(selector, pod.labels)
        ]
        declared = [port for pod in own for port in _declared(pod)]
        if not declared or not all(any(True for _ in _declared(pod)) for pod in own):
            continue
        for index, port in enumerate(listed(mapping(service.body, "spec"), "ports")):
            number = scalar(port, "port")
            target = scalar(port, "targetPort") or number
            if not any(target in (found.get("containerPort"), found.get("name")) for found in declared):
                known = ", ".join(sorted({str(found.get("containerPort")) for found in declared}))
                keys = ("spec", "ports", index, "targetPort")
                yield RULE.at(Where(service, keys), f"no container has port {target}; they declare {known}.")


def _declared(pod: PodTemplate) -> Iterator[Mapping[str, Any]]:
    for _, container in pod.containers:
        # A proxy opens the ports of Gateways, which its container does not declare.
        if container.get("name") == "istio-proxy":
            continue
        for port in listed(container, "ports"):
            if isinstance(port, dict):
                yield port


RULE = Rule(
    code="ML514",
    name="target-port-undeclared",
    severity=Severity.INFO,
    summary="a Service's target port that no container declares",
    why=(
        "Kubernetes asks for no declaration. Where containers declare ports all the same, one that none "
        "has is often a slip, and connections to it are refused."
    ),
    fix="Correct targetPort, or declare the port in the container.",
    source="Kubernetes: ServicePort.targetPort",
    check=_check,
    missed=Missed(SERVICES),
)
