"""Hosts that clients in the mesh may ask for, and the workloads behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import full_name, is_subset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio import Mesh
    from meshlab.istio.model.registry import MeshService
    from meshlab.istio.read.names import WorkloadRef

__all__ = ["asked_hosts", "servers_behind"]


def asked_hosts(
    meshes: Sequence[Mesh],
) -> dict[tuple[str, int, str], list[tuple[int, MeshService]]]:
    """Return what clients may ask for: host, port and protocol, with the services of each mesh that have it."""
    found: dict[tuple[str, int, str], list[tuple[int, MeshService]]] = {}
    for number, mesh in enumerate(meshes):
        for service in mesh.registry.services:
            for port in service.ports if service.resolution != "alias" else ():
                if port.protocol != "udp":
                    host = service.hostname.replace("*", "any", 1)
                    found.setdefault((host, port.number, port.protocol), []).append((number, service))
    return found


def servers_behind(
    meshes: Sequence[Mesh], host: str, port: int, services: Sequence[tuple[int, MeshService]]
) -> set[WorkloadRef] | None:
    """Return the workloads behind a host; `None` where a route of a sidecar may lead elsewhere."""
    for mesh in meshes:
        for each in mesh.virtual_services:
            if any(is_subset(host, full_name(name, each.namespace)) for name in each.hosts):
                return None
    endpoints = (each for _, service in services for each in service.endpoints.get(port, ()))
    return {each.workload for each in endpoints if each.workload is not None}
