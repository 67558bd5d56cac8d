"""Where a route's destination leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.services import Service, ServicePort
    from meshlab.istio.read.virtual_service import Destination

__all__ = ["cluster_name", "find_destination"]


def find_destination(mesh: Mesh, destination: Destination) -> tuple[Service, ServicePort] | None:
    """Return the Service and the port that a route goes to, or `None` where there is no such port.

    A destination that names no port means the Service's only one.
    """
    for service in mesh.services:
        if service.hostname == destination.host:
            if destination.port is None and len(service.ports) == 1:
                return service, service.ports[0]
            for port in service.ports:
                if port.number == destination.port:
                    return service, port
    return None


def cluster_name(mesh: Mesh, destination: Destination) -> str:
    """Return the name that Istio gives to a destination's cluster, whether it exists or not."""
    found = find_destination(mesh, destination)
    number = found[1].number if found else destination.port or 0
    return f"outbound|{number}||{destination.host}"
