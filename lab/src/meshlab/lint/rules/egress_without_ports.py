"""ML602: a rule for every port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for manifest in facts.of_kind("NetworkPolicy", "networking.k8s.io"):
        spec = mapping(manifest.body, "spec")
        for index, rule in enumerate(listed(spec, "ingress")):
            if manifest.namespace == facts.mesh.root_namespace and not _names_ports(rule):
                place = Where(manifest, ("spec", "ingress", index))
                yield RULE.at(place, f"opens every port of the control plane in {manifest.namespace}.")
        for index, rule in enumerate(listed(spec, "egress")):
            if _names_ports(rule):
                continue
            for number, peer in enumerate(listed(rule, "to")):
                what = _what(peer, facts.mesh.root_namespace)
                if what:
                    place = Where(manifest, ("spec", "egress", index, "to", number))
                    yield RULE.at(place, f"opens every port of {what}.")


def _names_ports(rule: object) -> bool:
    """Return whether a rule is for ports; an entry with a protocol alone is for all of them."""
    ports = listed(rule, "ports")
    return bool(ports) and all("port" in mapping(port) for port in ports)


def _what(peer: object, root_namespace: str) -> str:
    cidr = mapping(peer, "ipBlock").get("cidr")
    if isinstance(cidr, str) and cidr.startswith("199.36.153."):
        return f"Google's APIs ({cidr})"
    labels = mapping(peer, "namespaceSelector", "matchLabels")
    if labels.get("kubernetes.io/metadata.name") == root_namespace:
        return f"the control plane in {root_namespace}"
    return ""


RULE = Rule(
    code="ML602",
    name="egress-without-ports",
    severity=Severity.WARNING,
    summary="a rule of a NetworkPolicy for every port",
    why=(
        "Addresses of Google's APIs take HTTPS alone, and istiod serves plaintext beside mutual TLS: a "
        "rule without ports opens all of it."
    ),
    fix="Name the ports: 443 for Google's APIs, 15012 for istiod.",
    source="Kubernetes: NetworkPolicyEgressRule.ports",
    check=_check,
)
