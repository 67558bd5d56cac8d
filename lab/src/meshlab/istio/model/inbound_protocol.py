"""Whether a sidecar speaks to its application the HTTP that the client speaks.

A DestinationRule for a workload's own Service counts here, too, and the Sidecar before it
(`pilot/pkg/networking/core/cluster_builder.go#buildInboundCluster`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.destination_rules import policy_for

if TYPE_CHECKING:
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload, WorkloadPort

__all__ = ["uses_client_protocol"]


def uses_client_protocol(mesh: Mesh, workload: Workload, port: WorkloadPort) -> bool:
    """Return whether the application behind a port is spoken to in the HTTP of the client."""
    sidecar = mesh.visibility.sidecar_of(workload)
    if not port.declared:
        return False
    if sidecar is not None:
        pools = [each.pool for each in sidecar.ingress if each.port.number == port.number]
        pool = next((pool for pool in (*pools, sidecar.inbound_pool) if pool is not None), None)
        if pool is not None:
            return pool.use_client_protocol
    scope = mesh.visibility.scope_of(workload)
    service = scope.by_hostname.get(port.service)
    if service is None:
        return False
    # A rule that chooses its clients says nothing about servers.
    rules = [rule for rule in scope.rules.candidates(scope.namespace, service) if rule.selector is None]
    return bool(rules) and policy_for(rules[-1], port.service_port).use_client_protocol
