"""IP addresses of pods that the manifests or a case file state; all other addresses are invented."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TYPE_CHECKING

from meshlab.istio.read.workload_ref import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.pods import Pod
    from meshlab.istio.read.workload_entry import WorkloadEntry

__all__ = ["reachable_addresses", "stated_addresses"]


def stated_addresses(
    workloads: Iterable[WorkloadRef], pods: Iterable[Pod], entries: Iterable[WorkloadEntry]
) -> dict[WorkloadRef, str]:
    """Return the addresses that manifests state: a Pod's status, or a WorkloadEntry for the workload of its name."""
    found = {}
    for entry in entries:
        try:
            address = ipaddress.ip_address(entry.endpoint.address)
        except ValueError:
            continue
        found[WorkloadRef(entry.namespace, entry.name)] = str(address)
    found |= {pod.ref: pod.address for pod in pods if pod.address}
    return {ref: found[ref] for ref in workloads if ref in found}


def reachable_addresses(mesh: Mesh, taken: Iterable[str]) -> Mapping[WorkloadRef, str]:
    """Return the stated addresses at which clients of the mesh reach the workloads, as they would in the cluster.

    The bench's way from a client to a proxy knows IPv4 addresses, each of one owner. A pod with another stated address
    is reached at an invented one; policies are judged by the stated one all the same.

    Args:
        mesh: The mesh.
        taken: Addresses of Services and ServiceEntries.
    """
    known = {workload.ref for workload in mesh.workloads}
    stated = {ref: address for ref, address in mesh.stated_addresses.items() if ref in known}
    owners = Counter(stated.values())
    others = {*taken, *(entry.endpoint.address for entry in mesh.workload_entries)}
    others |= {endpoint.address for entry in mesh.service_entries for endpoint in entry.endpoints}
    return {
        ref: address
        for ref, address in stated.items()
        if owners[address] == 1 and address not in others and ipaddress.ip_address(address).version == 4
    }
