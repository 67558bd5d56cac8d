"""Ports that cases connect to straight, and that no pod of the workload lists.

A pod need not list its ports. Istio's proxy passes a connection to any port on to the application, where its policies
and PeerAuthentications let it in (InboundPassthroughCluster), so the bench has an application there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.bench.case import FromBypass, FromForeignMesh
from meshlab.istio.model.workload import WorkloadPort

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.bench.case import Case
    from meshlab.istio import Mesh
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["asked_ports", "with_asked_ports"]


def asked_ports(cases: Iterable[Case]) -> dict[WorkloadRef, dict[int, None]]:
    """Return the ports that cases connect to straight, by workload."""
    asked: dict[WorkloadRef, dict[int, None]] = {}
    for case in cases:
        sender = case.sender
        if isinstance(sender, FromBypass | FromForeignMesh) and sender.port is not None:
            asked.setdefault(sender.to, {})[sender.port] = None
    return asked


def with_asked_ports(mesh: Mesh, cases: Iterable[Case]) -> Mesh:
    """Return a mesh whose applications also listen on the ports that cases name.

    Args:
        mesh: The mesh.
        cases: The cases. Those that connect to a gateway's own pod add nothing: a gateway has no application.
    """
    asked = asked_ports(cases)
    added = {
        workload.ref: tuple(number for number in asked[workload.ref] if number not in known)
        for workload in mesh.workloads
        if workload.ref in asked and not workload.is_gateway
        for known in [{port.number for port in workload.ports}]
    }
    if not any(added.values()):
        return mesh
    workloads = tuple(
        replace(
            workload,
            ports=(
                *workload.ports,
                *(WorkloadPort(number, "auto", declared=False) for number in added.get(workload.ref, ())),
            ),
        )
        for workload in mesh.workloads
    )
    return replace(mesh, workloads=workloads)
