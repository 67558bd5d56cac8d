"""ML211: a selector on istio.io/rev."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for gateway in facts.mesh.gateways:
        if gateway.services is None and _LABEL in gateway.selector:
            yield RULE.at(gateway.where.key("selector"), f"selects by {_LABEL}.")
    for rule in facts.mesh.destination_rules:
        if rule.selector and _LABEL in rule.selector:
            yield RULE.at(rule.where.key("workloadSelector"), f"selects by {_LABEL}.")
    for sidecar in facts.mesh.sidecars:
        if sidecar.selector and _LABEL in sidecar.selector:
            yield RULE.at(sidecar.where.key("workloadSelector"), f"selects by {_LABEL}.")
    attachments = [policy.attachment for policy in facts.mesh.authorization_policies]
    attachments += [policy.attachment for policy in facts.mesh.request_authentications]
    for attachment in attachments:
        if _LABEL in attachment.selector:
            yield RULE.at(attachment.where, f"selects by {_LABEL}.")
    for service in facts.mesh.virtual_services:
        for route in service.http:
            if any(_LABEL in (match.source_labels or {}) for match in route.matches):
                yield RULE.at(route.where.key("match"), f"sourceLabels select by {_LABEL}.")


_LABEL = "istio.io/rev"


RULE = Rule(
    code="ML211",
    name="revision-as-selector",
    severity=Severity.WARNING,
    summary="a selector on istio.io/rev",
    why="The label changes with each upgrade of the control plane, and the selector then fits no pod.",
    fix="Select a label that stays, such as app.",
    source="Istio's guide to canary upgrades",
    check=_check,
)
