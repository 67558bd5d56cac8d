"""What no request of a battery can ask about, as far as a mesh has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.asked_hosts import hosts_without_service
from meshlab.battery.route_sources import labelled_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio import Mesh

__all__ = ["WRONG_CERTIFICATES", "never_asked"]

WRONG_CERTIFICATES = "servers outside that show a certificate of another name or authority"
"""A battery of `impostors` asks there."""


def never_asked(mesh: Mesh) -> Iterator[str]:
    """Yield what the manifests of a mesh say that a battery does not ask about, a few words each."""
    routes = [route for service in mesh.virtual_services for route in service.http]
    if any(route.timeout_s is not None or route.retries is not None for route in routes):
        yield "timeouts and retries of routes"
    if any(route.fault is not None or route.mirror is not None or route.mirrors for route in routes):
        yield "faults and mirrors of routes"
    if any(sum(bool(each.weight) for each in route.destinations) > 1 for route in routes):
        yield "the shares of weighted routes"
    if any(route.rewrite is not None for route in routes):
        yield "what stands behind a rewrite in other words"
    if any(_connections_without_service(mesh)):
        yield "hosts of routes of sidecars for TLS or TCP that no service has"
    for source in labelled_sources(mesh):
        if not any(map(source.takes, mesh.workloads)):
            yield f"callers with the labels {source}, which no workload has"
    if any(route.cors is not None for route in routes):
        yield "CORS preflights"
    if any(_checks_servers(mesh)):
        yield WRONG_CERTIFICATES
    tls = [server.tls for gateway in mesh.gateways for server in gateway.servers if server.tls is not None]
    if any(each.minimum != "TLS_AUTO" or each.maximum != "TLS_AUTO" or each.ciphers for each in tls):
        yield "TLS versions and ciphers of gateways"
    if any(each.certificate_spkis or each.certificate_hashes for each in tls):
        yield "client certificates that a gateway takes by their hash"
    if any(rule.output_claim_to_headers for each in mesh.request_authentications for rule in each.rules):
        yield "each claim that a gateway or sidecar writes into a header"
    if any(_tell_ports_apart(mesh)):
        yield "ports that neither a pod nor a Service lists"
    if any(policy.action == "CUSTOM" for policy in mesh.authorization_policies):
        yield "the answers of external authorizers, which are those of a server that has no script"


def _tell_ports_apart(mesh: Mesh) -> Iterator[bool]:
    """Yield whether a policy treats a port that is not listed otherwise than one that is."""
    yield any(policy.port_modes for policy in mesh.peer_authentications)
    for policy in mesh.authorization_policies:
        for rule in policy.rules:
            yield any("ports" in operation for operation in rule.operations)
            yield any(condition.key == "destination.port" for condition in rule.conditions)


def _checks_servers(mesh: Mesh) -> Iterator[bool]:
    for rule in mesh.destination_rules:
        for policy in (rule.policy, *(subset.policy for subset in rule.subsets)):
            if policy is not None:
                levels = (policy, *policy.ports.values())
                yield any(
                    level.tls is not None and level.tls.mode in ("SIMPLE", "MUTUAL") for level in levels
                )


def _connections_without_service(mesh: Mesh) -> Iterator[bool]:
    return (bool(each.tls or each.tcp) for each, _ in hosts_without_service(mesh))
