"""ML608: a NetworkPolicy for a port that the pods do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping, scalar
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import pod_templates, services_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.lint.written import PodTemplate
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    pods = list(pod_templates(facts.manifests))
    for policy in facts.of_kind("NetworkPolicy", "networking.k8s.io"):
        spec = mapping(policy.body, "spec")
        selector = mapping(spec, "podSelector", "matchLabels")
        own = [
            pod
            for pod in pods
            if pod.manifest.namespace == policy.namespace and selector.items() <= pod.labels.items()
        ]
        if mapping(spec, "podSelector").keys() - {"matchLabels"} or not own:
            continue
        ports = [port for pod in own for port in _ports(facts, pod)]
        targets = {target for _, target in ports}
        for index, rule in enumerate(listed(spec, "ingress")):
            for number, entry in enumerate(listed(rule, "ports")):
                port = scalar(entry, "port")
                meant = sorted(str(target) for own_port, target in ports if own_port == port)
                if not isinstance(port, int) or port in targets or any(_has_port(pod, port) for pod in own):
                    continue
                place = Where(policy, ("spec", "ingress", index, "ports", number, "port"))
                if meant:
                    yield RULE.at(
                        place, f"{port} is the Service's port; the pods listen on {', '.join(meant)}."
                    )
                elif targets and port not in _OF_PROXY and all(map(_is_gateway, own)):
                    listening = ", ".join(sorted(map(str, targets)))
                    yield RULE.at(
                        place, f"nothing listens on {port}; the gateway's Service leads to {listening}."
                    )


def _ports(facts: Facts, pod: PodTemplate) -> Iterator[tuple[object, object]]:
    for service in services_of(facts.manifests, pod):
        for port in listed(mapping(service.body, "spec"), "ports"):
            number = scalar(port, "port")
            yield number, scalar(port, "targetPort") or number


def _has_port(pod: PodTemplate, number: object) -> bool:
    return any(
        scalar(port, "containerPort") == number
        for _, container in pod.containers
        for port in listed(container, "ports")
    )


def _is_gateway(pod: PodTemplate) -> bool:
    return pod.annotations.get("inject.istio.io/templates") == "gateway"


_OF_PROXY = (15020, 15021, 15090)
"""Ports of each proxy, for its status and its metrics."""


RULE = Rule(
    code="ML608",
    name="network-policy-service-port",
    severity=Severity.WARNING,
    summary="a NetworkPolicy for a port that the pods do not have",
    why=(
        "NetworkPolicies compare the pod's own port. A Service's port that leads to another one opens "
        "nothing."
    ),
    fix="Write the targetPort.",
    source="Kubernetes: NetworkPolicyPort.port",
    check=_check,
)
