"""ML214: a destination without a port of a service with several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import destinations, of_networking, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    ports = {
        f"{service.name}.{service.namespace}.svc.cluster.local": len(
            listed(mapping(service.body, "spec"), "ports")
        )
        for service in facts.of_kind("Service")
    }
    for entry in of_networking(facts.manifests, "ServiceEntry"):
        spec = mapping(entry.body, "spec")
        ports.update(dict.fromkeys(texts(spec, "hosts"), len(listed(spec, "ports"))))
    for service in of_networking(facts.manifests, "VirtualService"):
        for destination in destinations(service):
            count = ports.get(destination.host, 0)
            if destination.port is None and count > 1:
                yield RULE.at(
                    destination.where, f"{destination.host} has {count} ports, and none is named here."
                )


RULE = Rule(
    code="ML214",
    name="destination-port-required",
    severity=Severity.ERROR,
    summary="a destination without a port of a service with several",
    why="Istio does not know which port is meant, and requests are answered 503.",
    fix="Write destination.port.number.",
    source="istio/istio pkg/config/analysis: IST0112",
    check=_check,
)
