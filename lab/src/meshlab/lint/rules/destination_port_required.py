"""ML214: a destination without a port of a service with several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import full_name
from meshlab.lint.facts import listed, mapping, scalar
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import destinations, of_networking, text_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    ports = {
        f"{service.name}.{service.namespace}.svc.cluster.local": _numbers(service, "port")
        for service in facts.of_kind("Service")
    }
    for entry in of_networking(facts.manifests, "ServiceEntry"):
        ports.update(
            dict.fromkeys(text_list(mapping(entry.body, "spec"), "hosts"), _numbers(entry, "number"))
        )
    for service in of_networking(facts.manifests, "VirtualService"):
        listeners = _listeners(facts, service, ports)
        for destination in destinations(service):
            known = ports.get(destination.host, frozenset())
            if destination.port is None and len(known) > 1 and not (listeners and listeners <= known):
                have = ", ".join(map(str, sorted(known)))
                yield RULE.at(
                    destination.where, f"{destination.host} has ports {have}, and none is named here."
                )


def _numbers(manifest: Manifest, name: str) -> frozenset[int]:
    found = (scalar(port, name) for port in listed(mapping(manifest.body, "spec"), "ports"))
    return frozenset(number for number in found if isinstance(number, int))


def _listeners(facts: Facts, service: Manifest, ports: Mapping[str, frozenset[int]]) -> frozenset[int]:
    """Return the ports by which requests come to the routes of a VirtualService, as far as they are known."""
    spec = mapping(service.body, "spec")
    found: set[int] = set()
    for name in text_list(spec, "gateways") or ["mesh"]:
        if name == "mesh":
            hosts = (full_name(host, service.namespace) for host in text_list(spec, "hosts"))
            found |= {number for host in hosts for number in ports.get(host, ())}
        for gateway in of_networking(facts.manifests, "Gateway"):
            if f"{gateway.namespace}/{gateway.name}" == (
                name if "/" in name else f"{service.namespace}/{name}"
            ):
                servers = listed(mapping(gateway.body, "spec"), "servers")
                numbers = [mapping(server, "port").get("number") for server in servers]
                found |= {number for number in numbers if isinstance(number, int)}
    return frozenset(found)


RULE = Rule(
    code="ML214",
    name="destination-port-required",
    severity=Severity.WARNING,
    summary="a destination without a port of a service with several",
    why=(
        "Istio then takes the number of the port that the request came in by. Where the service has no "
        "such port, requests are answered 503; where it has, a request may meet a port of another "
        "protocol."
    ),
    fix="Write destination.port.number.",
    source="istio/istio pilot/pkg/networking/core/route/route.go#GetDestinationCluster",
    check=_check,
)
