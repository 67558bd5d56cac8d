"""ML203: a destination that no service has, or none that is exported to the route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import destinations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.virtual_service import VirtualService
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    """Look for services that the route's proxies do not see; reading the mesh reports those that do not exist."""
    for service in facts.mesh.virtual_services:
        if service.gateway_api:
            continue
        seeing = _namespaces(facts, service)
        for destination in destinations(service.where.manifest):
            named = facts.mesh.registry.named(destination.host)
            scopes = [each.export_to or ("*",) for each in named]
            if named and not any("*" in scope or seeing & set(scope) for scope in scopes):
                where = ", ".join(sorted(seeing))
                yield RULE.at(
                    destination.where.key("host"), f"{destination.host} is not exported to {where}."
                )


def _namespaces(facts: Facts, service: VirtualService) -> set[str]:
    """Return the namespaces of the proxies that the routes are for, its own where they are for all."""
    found = set(service.export_to or facts.mesh.settings.virtual_service_export_to) - {"*"}
    for gateway in facts.mesh.gateways:
        if f"{gateway.namespace}/{gateway.name}" in service.gateways:
            found |= {
                workload.ref.namespace
                for workload in facts.mesh.workloads
                if workload.is_gateway and gateway.selects(workload.ref.namespace, workload.labels)
            }
    return found or {service.namespace}


RULE = Rule(
    code="ML203",
    name="destination-unknown",
    severity=Severity.ERROR,
    summary="a destination that no service has",
    why="Requests are answered 503.",
    fix="Correct the host: a short name is completed with the VirtualService's own namespace.",
    source="istio/istio pkg/config/analysis: IST0101 for destinations",
    check=_check,
)
