"""Ports of pods that clients in the mesh may connect to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.stages import HTTP
from meshlab.istio.model.gateway_chains import gateway_chains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio import Mesh, Workload
    from meshlab.istio.read.gateway import Server

__all__ = ["is_for_the_mesh", "open_ports", "pod_ports"]


def open_ports(mesh: Mesh, gateway: Workload) -> set[int]:
    """Return the ports on which a gateway listens: a server for TCP or TLS that no route leads on from opens none."""
    ports = mesh.gateway_ports(gateway).ports
    return {port.number for port in ports if gateway_chains(mesh, gateway, port)}


def pod_ports(mesh: Mesh, workload: Workload) -> Iterator[tuple[int, bool, str]]:
    """Yield the ports of a pod that clients in the mesh may connect to, whether they speak HTTP, and a usual host."""
    if workload.is_gateway:
        opened = open_ports(mesh, workload)
        found = {}
        for _, server in mesh.servers(workload):
            target = mesh.target_port(workload, server.port)
            if is_for_the_mesh(server) and target in opened:
                found[target] = server.is_https or server.is_plain_http
        for target, http in found.items():
            yield target, http, "any.example"
        return
    for port in workload.ports:
        yield (
            port.number,
            port.protocol in HTTP,
            port.service or f"{workload.ref.name}.{workload.ref.namespace}",
        )


def is_for_the_mesh(server: Server) -> bool:
    """Return whether a server of a gateway takes the mesh's own mTLS alone."""
    return server.tls is not None and server.tls.mode == "ISTIO_MUTUAL"
