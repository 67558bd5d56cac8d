"""ML219: a route of a gateway past the rules for its service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import full_name
from meshlab.lint.facts import mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import destinations, of_networking, text_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    services = of_networking(facts.manifests, "VirtualService")
    by_subset: dict[str, Manifest] = {}
    for service in services:
        hosts = {
            full_name(host, service.namespace) for host in text_list(mapping(service.body, "spec"), "hosts")
        }
        for destination in destinations(service):
            if destination.subset and destination.host in hosts and not destination.is_mirror:
                by_subset.setdefault(destination.host, service)
    for service in services:
        if not text_list(mapping(service.body, "spec"), "gateways"):
            continue
        for destination in destinations(service):
            ruled = by_subset.get(destination.host)
            if ruled and ruled is not service and not destination.subset and not destination.is_mirror:
                text = (
                    f"the rules of {ruled.namespace}/{ruled.name} for {destination.host} do not count here."
                )
                yield RULE.at(destination.where, text)


RULE = Rule(
    code="ML219",
    name="ingress-skips-rules",
    severity=Severity.WARNING,
    summary="a route of a gateway past the rules for its service",
    why=(
        "Rules of a VirtualService for mesh count at sidecars. A gateway that routes to the service does "
        "not apply them, so its requests go to every version."
    ),
    fix="Name the subset in the gateway's route, or add the gateway to the other VirtualService.",
    source="istio/istio pkg/config/analysis: IST0113",
    check=_check,
)
