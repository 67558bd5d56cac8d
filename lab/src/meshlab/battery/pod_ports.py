"""Ports of pods that clients in the mesh may connect to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.stages import HTTP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio import Mesh, Workload
    from meshlab.istio.read.gateway import Server

__all__ = ["is_for_the_mesh", "pod_ports"]


def pod_ports(mesh: Mesh, workload: Workload) -> Iterator[tuple[int, bool, str]]:
    """Yield the ports of a pod that clients in the mesh may connect to, whether they speak HTTP, and a usual host."""
    if workload.is_gateway:
        opened = {port.number for port in mesh.gateway_ports(workload).ports}
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
