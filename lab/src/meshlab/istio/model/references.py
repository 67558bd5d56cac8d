"""Checks across objects: what names or selects something must find it.

In a cluster such slips are silent: a route to nowhere is a 503, a policy that selects nothing is no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.attachment import Attachment
    from meshlab.istio.read.gateway import Server, ServerHost

__all__ = ["check_references"]


def check_references(mesh: Mesh) -> None:
    """Check every reference between the objects of a mesh.

    Raises:
        ManifestError: Something names or selects what is not there.
    """
    _check_gateways(mesh)
    _check_protocols(mesh)
    for attachment in _attachments(mesh):
        _check_selector(mesh, attachment)


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


def _check_protocols(mesh: Mesh) -> None:
    """Refuse HTTP routes of gateways to ports that are not HTTP by name: their clusters are not compiled."""
    ports = {(service.hostname, port.number): port for service in mesh.services for port in service.ports}
    only = {service.hostname: service.ports[0].number for service in mesh.services if len(service.ports) == 1}
    for service in mesh.virtual_services:
        if service.gateways == ("mesh",) and not service.is_delegate:
            continue
        for rule in service.http:
            for entry in rule.destinations:
                destination = entry.destination
                number = destination.port or only.get(destination.host, 0)
                port = ports.get((destination.host, number))
                if port is not None and not port.protocol:
                    problem = (
                        f"port {number} of {destination.host} is not HTTP by name; name it http or http2."
                    )
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
