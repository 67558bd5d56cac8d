"""ML111: two Gateways with one host on one port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import of_networking, pod_templates, text, text_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    gateways = of_networking(facts.manifests, "Gateway")
    for gateway in gateways:
        for index, server in enumerate(listed(mapping(gateway.body, "spec"), "servers")):
            others = sorted(
                f"{other.namespace}/{other.name}"
                for other in gateways
                if other is not gateway
                and _share_pods(facts, gateway, other)
                and any(_share_host(server, each) for each in listed(mapping(other.body, "spec"), "servers"))
            )
            if others:
                place = Where(gateway, ("spec", "servers", index))
                yield RULE.at(place, f"{', '.join(others)} has the same host on the same port.")


def _share_pods(facts: Facts, one: Manifest, other: Manifest) -> bool:
    first, second = (mapping(each.body, "spec", "selector") for each in (one, other))
    if first == second:
        return True
    return any(
        first.items() <= pod.labels.items() and second.items() <= pod.labels.items()
        for pod in pod_templates(facts.manifests)
    )


def _share_host(one: object, other: object) -> bool:
    number = mapping(one, "port").get("number")
    if number is None or number != mapping(other, "port").get("number"):
        return False
    return text(one, "bind") == text(other, "bind") and bool(
        set(text_list(one, "hosts")) & set(text_list(other, "hosts"))
    )


RULE = Rule(
    code="ML111",
    name="gateways-conflict",
    severity=Severity.WARNING,
    summary="two Gateways with one host on one port",
    why=(
        "Both are for the same pods. Istio merges them or drops the younger one, so which of them counts "
        "depends on their age."
    ),
    fix="Keep the host in one of them.",
    source="istio/istio pkg/config/analysis: IST0145",
    check=_check,
)
