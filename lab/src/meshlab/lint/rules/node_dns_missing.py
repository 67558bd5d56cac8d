"""ML609: DNS without the cache of the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import opens_dns, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for policy in facts.of_kind("NetworkPolicy", "networking.k8s.io"):
        rules = listed(mapping(policy.body, "spec"), "egress")
        for index, rule in enumerate(rules):
            if not opens_dns(rule) or not any(_is_pods(peer) for peer in listed(rule, "to")):
                continue
            if not any(
                _is_link_local(peer) for other in rules if opens_dns(other) for peer in listed(other, "to")
            ):
                yield RULE.at(
                    Where(policy, ("spec", "egress", index)), "no rule opens port 53 of a link-local address."
                )


def _is_pods(peer: object) -> bool:
    labels = mapping(peer, "namespaceSelector", "matchLabels")
    return labels.get("kubernetes.io/metadata.name") == "kube-system"


def _is_link_local(peer: object) -> bool:
    return text(mapping(peer, "ipBlock"), "cidr").startswith("169.254.")


RULE = Rule(
    code="ML609",
    name="node-dns-missing",
    severity=Severity.WARNING,
    summary="DNS without the cache of the node",
    why=(
        "With NodeLocal DNSCache or Cloud DNS pods ask a link-local address, which a rule for pods of "
        "kube-system does not open. Every look-up fails."
    ),
    fix="Add ipBlocks for 169.254.20.10/32 and, on GKE, 169.254.169.254/32 to the rule.",
    source="Kubernetes: NodeLocal DNSCache; GKE: Cloud DNS",
    check=_check,
)
