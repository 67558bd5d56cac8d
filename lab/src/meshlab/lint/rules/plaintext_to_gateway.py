"""ML407: plaintext between sidecars and a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.gateway import Gateway
    from meshlab.istio.read.virtual_service import VirtualService
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    gateways = {f"{gateway.namespace}/{gateway.name}": gateway for gateway in facts.mesh.gateways}
    led = sorted(
        {
            name
            for service in facts.mesh.virtual_services
            if "mesh" in service.gateways and not service.gateway_api
            for name in service.gateways
            if name in gateways and _hosts(service) & _services(facts, gateways[name])
        }
    )
    for name in led:
        for server in gateways[name].servers:
            if server.is_plain_http:
                yield RULE.at(
                    server.where, "sidecars are led here by a VirtualService for mesh, and send plaintext."
                )


def _hosts(service: VirtualService) -> set[str]:
    return {entry.destination.host for route in service.http for entry in route.destinations}


def _services(facts: Facts, gateway: Gateway) -> set[str]:
    """Return the hosts of the Services of a gateway's pods."""
    return {
        service.hostname
        for workload in facts.mesh.workloads
        if workload.is_gateway and gateway.selects(workload.ref.namespace, workload.labels)
        for service in facts.mesh.services_of(workload)
    }


RULE = Rule(
    code="ML407",
    name="plaintext-to-gateway",
    severity=Severity.ERROR,
    summary="plaintext between sidecars and a gateway",
    why=(
        "Nothing says who the caller is, so the gateway's policies cannot distinguish one namespace from another, "
        "and the network can read the requests."
    ),
    fix=(
        "Give the gateway's server tls mode ISTIO_MUTUAL, and the gateway's host a DestinationRule with "
        "the same mode."
    ),
    source=(
        "istio/istio pilot/pkg/networking/core/gateway.go: mutual TLS is not chosen for a gateway's HTTP "
        "server"
    ),
    check=_check,
)
