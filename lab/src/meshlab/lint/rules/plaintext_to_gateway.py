"""ML407: plaintext between sidecars and a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    gateways = {f"{gateway.namespace}/{gateway.name}": gateway for gateway in facts.mesh.gateways}
    led = {
        name
        for service in facts.mesh.virtual_services
        if "mesh" in service.gateways and not service.gateway_api
        for name in service.gateways
        if name != "mesh"
    }
    for name in sorted(led):
        gateway = gateways.get(name)
        for server in gateway.servers if gateway else ():
            if server.is_plain_http:
                yield RULE.at(
                    server.where, "sidecars are led here by a VirtualService for mesh, and send plaintext."
                )


RULE = Rule(
    code="ML407",
    name="plaintext-to-gateway",
    severity=Severity.ERROR,
    summary="plaintext between sidecars and a gateway",
    why=(
        "Nothing says who the caller is, so the gateway's policies cannot tell one namespace from another, "
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
