"""ML202: a host that no server of the Gateway takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import hosts_overlap
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.gateway import Gateway
    from meshlab.istio.read.virtual_service import VirtualService
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    """Look for a Gateway that takes none of the hosts; reading the mesh reports hosts that no Gateway takes."""
    gateways = {f"{gateway.namespace}/{gateway.name}": gateway for gateway in facts.mesh.gateways}
    for service in facts.mesh.virtual_services:
        if service.gateway_api or service.is_delegate:
            continue
        taking = {
            name: name == "mesh" or _takes(gateways[name], service)
            for name in service.gateways
            if name == "mesh" or name in gateways
        }
        for name, takes in taking.items():
            if not takes and any(taking.values()):
                place = service.where.key("gateways").item(service.gateways.index(name))
                yield RULE.at(place, f"no server of {name} takes any of its hosts.")


def _takes(gateway: Gateway, service: VirtualService) -> bool:
    return any(
        hosts_overlap(entry.name, host) and entry.namespace in ("", service.namespace)
        for server in gateway.servers
        for entry in server.hosts
        for host in service.hosts
    )


RULE = Rule(
    code="ML202",
    name="host-not-in-gateway",
    severity=Severity.WARNING,
    summary="a host that no server of the Gateway takes",
    why="Requests for this host never reach the route.",
    fix="Add the host to a server, with a namespace that may bind it, or correct it here.",
    source="istio/istio pkg/config/analysis: IST0132",
    check=_check,
)
