"""Checks across objects: what names or selects something must find it.

In a cluster such slips are silent: a route to nowhere is a 503, a policy that selects nothing is no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import common_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.attachment import Attachment
    from meshlab.istio.read.gateway import Server, ServerHost
    from meshlab.istio.read.kubernetes import Service, ServicePort
    from meshlab.istio.read.virtual_service import Destination

__all__ = ["check_references", "find_destination"]


def check_references(mesh: Mesh) -> None:
    """Check every reference between the objects of a mesh.

    Raises:
        ManifestError: Something names or selects what is not there.
    """
    _check_gateways(mesh)
    _check_virtual_services(mesh)
    for attachment in _attachments(mesh):
        _check_selector(mesh, attachment)


def find_destination(mesh: Mesh, destination: Destination) -> tuple[Service, ServicePort]:
    """The Service and the port that a route goes to.

    Raises:
        ManifestError: There is no such Service, it has no such port, or the port must be named and is not.
    """
    for service in mesh.services:
        if service.hostname != destination.host:
            continue
        if destination.port is None and len(service.ports) == 1:
            return service, service.ports[0]
        for port in service.ports:
            if port.number == destination.port:
                return service, port
        have = ", ".join(str(port.number) for port in service.ports)
        if destination.port is None:
            raise destination.where.key("port").error(f"missing; {destination.host} has the ports {have}.")
        problem = f"{destination.host} has no port {destination.port}; it has {have}."
        raise destination.where.key("port.number").error(problem)
    known = ", ".join(service.hostname for service in mesh.services) or "none"
    raise destination.where.key("host").error(f"no Service is called {destination.host}; there are {known}.")


def _check_gateways(mesh: Mesh) -> None:
    for gateway in mesh.gateways:
        where = gateway.where.key("selector")
        gateway_labels = [workload.labels for workload in mesh.workloads if workload.is_gateway]
        if not any(gateway.selector.items() <= labels.items() for labels in gateway_labels):
            problem = "selects no gateway workload (a Deployment with inject.istio.io/templates: gateway)"
            raise where.error(f"{problem}, so its ports would never open.")
    for workload in mesh.workloads:
        taken: dict[tuple[int, str], ServerHost] = {}
        for _, server in mesh.servers(workload) if workload.is_gateway else ():
            if server.tls:
                _claim_hosts(server, taken)


def _claim_hosts(server: Server, taken: dict[tuple[int, str], ServerHost]) -> None:
    for host in server.hosts:
        if (server.port, host.name) in taken:
            problem = (
                f"another server has the host {host.name} on port {server.port}; Istio would drop this one."
            )
            raise host.where.error(problem)
        taken[server.port, host.name] = host


def _check_virtual_services(mesh: Mesh) -> None:
    gateways = {f"{gateway.namespace}/{gateway.name}": gateway for gateway in mesh.gateways}
    for service in mesh.virtual_services:
        for name in service.gateways:
            if name not in gateways:
                known = ", ".join(gateways) or "none"
                raise service.where.key("gateways").error(f"there is no Gateway {name}; there are {known}.")
        offered = [
            host for name in service.gateways for server in gateways[name].servers for host in server.hosts
        ]
        for index, host in enumerate(service.hosts):
            if not any(entry.shares(service.namespace, host) for entry in offered):
                where = service.where.key("hosts").item(index)
                near = any(common_host(entry.name, host) for entry in offered)
                reason = f"lets namespace {service.namespace} bind it" if near else "has that host"
                raise where.error(f"{host!r}: no server of {', '.join(service.gateways)} {reason}.")
        for route in service.routes:
            for destination in route.destinations:
                _check_protocol(mesh, destination)


def _check_protocol(mesh: Mesh, destination: Destination) -> None:
    service, port = find_destination(mesh, destination)
    if not port.protocol:
        problem = f"port {port.number} of {service.hostname} is not HTTP by name; name it http or http2."
        raise destination.where.error(problem)


def _attachments(mesh: Mesh) -> Iterator[Attachment]:
    for policies in (
        mesh.request_authentications,
        mesh.authorization_policies,
        mesh.peer_authentications,
        mesh.telemetries,
    ):
        for policy in policies:
            yield policy.attachment


def _check_selector(mesh: Mesh, attachment: Attachment) -> None:
    if not attachment.selector:
        return
    chosen = [
        workload
        for workload in mesh.workloads
        if attachment.reaches(workload.ref.namespace, workload.labels, mesh.root_namespace)
    ]
    if not chosen:
        raise attachment.where.error(
            "selects no workload, so it has no effect; correct the labels or the namespace."
        )
    for workload in chosen:
        if not workload.injected:
            problem = f"selects {workload.ref}, which has no proxy to enforce it; have it injected."
            raise attachment.where.error(problem)
