"""ML605: port 53 of every pod of kube-system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping, scalar
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for manifest in facts.of_kind("NetworkPolicy", "networking.k8s.io"):
        for index, rule in enumerate(listed(mapping(manifest.body, "spec"), "egress")):
            ports = {scalar(port, "port") for port in listed(rule, "ports")}
            if 53 not in ports:
                continue
            for number, peer in enumerate(listed(rule, "to")):
                labels = mapping(peer, "namespaceSelector", "matchLabels")
                if labels.get("kubernetes.io/metadata.name") == "kube-system" and not mapping(
                    peer, "podSelector"
                ):
                    place = Where(manifest, ("spec", "egress", index, "to", number))
                    yield RULE.at(place, "has no podSelector, so every pod of kube-system may be asked.")


RULE = Rule(
    code="ML605",
    name="dns-to-every-pod",
    severity=Severity.WARNING,
    summary="port 53 of every pod of kube-system",
    why="Any pod there can carry data out by port 53, and NodeLocal DNSCache is not reached by it.",
    fix="Select the pods with k8s-app: kube-dns, and the address of the node's cache.",
    source="Kubernetes: DNS, k8s-app: kube-dns",
    check=_check,
)
