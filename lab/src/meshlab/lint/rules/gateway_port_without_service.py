"""ML102: a port of a Gateway that no Service of its workload has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    """Look at pods without a gateway's proxy; reading the mesh reports those with one."""
    for gateway in facts.mesh.gateways:
        for workload in facts.workloads if gateway.services is None and gateway.selector else ():
            if workload.is_gateway or not gateway.selects(workload.ref.namespace, workload.labels):
                continue
            ports = [port for service in facts.mesh.services_of(workload) for port in service.ports]
            have = {port.number for port in ports} | {port.target for port in ports}
            for server in gateway.servers:
                if have and server.port not in have:
                    text = f"no Service of {workload.ref} has port {server.port}."
                    yield RULE.at(server.where.key("port", "number"), text)


RULE = Rule(
    code="ML102",
    name="gateway-port-without-service",
    severity=Severity.WARNING,
    summary="a port of a Gateway that no Service of its workload has",
    why=(
        "Callers reach a gateway through its Service, so no client reaches this port but by the pod's own "
        "address."
    ),
    fix="Add the port to the Service, or correct the number: a Gateway names the Service's port.",
    source="istio/istio pkg/config/analysis: IST0104",
    check=_check,
)
