"""ML312: a port in a policy that the workload does not listen on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.workload import target_number
from meshlab.lint.facts import named_values
from meshlab.lint.missed import SERVICES, WORKLOADS, Missed
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.workload import Workload
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for policy in facts.mesh.authorization_policies:
        reached = [workload for workload in facts.reached(policy) if not workload.assumed]
        if not reached:
            continue
        for place, value in named_values(policy, "ports"):
            if not value.isdigit() or any(_listens(workload, int(value)) for workload in reached):
                continue
            targets = sorted(
                {
                    target
                    for workload in reached
                    for number, target in _service_ports(facts, workload)
                    if number == int(value)
                }
            )
            if targets:
                names = ", ".join(map(str, targets))
                yield RULE.at(place, f"{value} is the Service's port; the pods listen on {names}.")
            elif all(workload.is_gateway and workload.ports for workload in reached):
                # Only Gateways open ports of a gateway, so all of them are known.
                known = {str(port.number) for workload in reached for port in workload.ports}
                yield RULE.at(place, f"the gateway listens on {', '.join(sorted(known))}.")


def _listens(workload: Workload, number: int) -> bool:
    return any(port.number == number for port in workload.ports)


def _service_ports(facts: Facts, workload: Workload) -> Iterator[tuple[int, int]]:
    for service in facts.mesh.services_of(workload):
        for port in service.ports:
            target = target_number(workload.named_ports, port)
            if target is not None and target != port.number:
                yield port.number, target


RULE = Rule(
    code="ML312",
    name="policy-port-not-served",
    severity=Severity.ERROR,
    summary="a port in a policy that the workload does not listen on",
    why=(
        "Policies compare the pod's own port. A Service's port that leads to another one never matches, so "
        "an ALLOW lets no caller in and a DENY keeps none out."
    ),
    fix="Write the targetPort.",
    source="istio/istio pilot/pkg/model/gateway.go#resolvePorts; destination.port of the proxy's listener",
    check=_check,
    missed=Missed(WORKLOADS | SERVICES),
)
