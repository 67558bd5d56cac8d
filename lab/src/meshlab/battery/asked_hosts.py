"""Hosts that clients in the mesh may ask for, and the workloads behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.pod_ports import open_ports
from meshlab.istio.read.hosts import full_name, is_subset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.istio import Mesh
    from meshlab.istio.model.registry import MeshService, ServiceEndpoint
    from meshlab.istio.read.virtual_service import VirtualService
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["asked_hosts", "hosts_without_service", "is_open", "servers_behind"]

_USUAL_PORT = 80
"""The port whose routes a sidecar has for a host that no service has (`istio.envoy.routes.sidecar_hosts`)."""
_UNKNOWN_SERVERS = ("original", "dynamic dns")
"""How hosts are resolved whose servers no manifest names."""


def asked_hosts(
    meshes: Sequence[Mesh],
) -> dict[tuple[str, int, str], list[tuple[int, MeshService | None]]]:
    """Return what clients may ask for: host, port and protocol, with the services of each mesh that have it.

    `None` stands for a mesh in which a route alone has the host.
    """
    found: dict[tuple[str, int, str], list[tuple[int, MeshService | None]]] = {}
    for number, mesh in enumerate(meshes):
        for service in mesh.registry.services:
            for port in service.ports if service.resolution != "alias" else ():
                if port.protocol != "udp":
                    host = service.hostname.replace("*", "any", 1)
                    found.setdefault((host, port.number, port.protocol), []).append((number, service))
    for number, mesh in enumerate(meshes):
        for route, host in hosts_without_service(mesh):
            if route.http:
                key = (host.replace("*", "any", 1), _USUAL_PORT, "http")
                places = found.setdefault(key, [])
                if all(number != known for known, _ in places):
                    places.append((number, None))
    return found


def hosts_without_service(mesh: Mesh) -> Iterator[tuple[VirtualService, str]]:
    """Yield the hosts of routes of sidecars that no service has, each with its VirtualService."""
    known = [service.hostname for service in mesh.registry.services]
    for each in mesh.virtual_services:
        if "mesh" in each.gateways:
            for host in each.hosts:
                name = full_name(host, each.namespace)
                if not any(is_subset(service, name) or is_subset(name, service) for service in known):
                    yield each, name


def is_open(meshes: Sequence[Mesh], port: int, services: Sequence[tuple[int, MeshService | None]]) -> bool:
    """Return whether some server listens behind a port of a host.

    A client without a sidecar gets no further than a closed port, so there is nothing to ask. A sidecar answers itself.
    """
    return any(
        service is None
        or service.resolution in _UNKNOWN_SERVERS
        or any(_listens(meshes[number], each) for each in service.endpoints.get(port, ()))
        for number, service in services
    )


def _listens(mesh: Mesh, endpoint: ServiceEndpoint) -> bool:
    if endpoint.workload is None:
        return True
    workload = mesh.workload(endpoint.workload)
    return not workload.is_gateway or endpoint.port in open_ports(mesh, workload)


def servers_behind(
    meshes: Sequence[Mesh], host: str, port: int, services: Sequence[tuple[int, MeshService | None]]
) -> set[WorkloadRef] | None:
    """Return the workloads behind a host; `None` where a route of a sidecar may lead elsewhere."""
    for mesh in meshes:
        for each in mesh.virtual_services:
            if any(is_subset(host, full_name(name, each.namespace)) for name in each.hosts):
                return None
    endpoints = (each for _, service in services if service for each in service.endpoints.get(port, ()))
    return {each.workload for each in endpoints if each.workload is not None}
