"""The servers behind a cluster, where they are on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.destination_rules import endpoint_tls_mode
from meshlab.istio.model.mtls import mtls_mode
from meshlab.istio.read.attachment import attached
from meshlab.istio.read.hosts import is_address

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.model.destination_rules import MergedRule
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.registry import MeshPort, MeshService, ServiceEndpoint

__all__ = ["load_balanced_endpoints", "subset_endpoints"]


def subset_endpoints(
    service: MeshService, port: MeshPort, rule: MergedRule | None, subset: str
) -> list[ServiceEndpoint]:
    """Return the servers behind a port of a service, or those of a subset."""
    found = service.endpoints.get(port.number, ())
    chosen = rule.subset(subset) if rule and subset else None
    labels = chosen.labels if chosen else {}
    # Only clusters that look names up can have a name as a server; from the others Istio leaves it out.
    names = service.resolution == "dns"
    return [
        endpoint
        for endpoint in found
        if labels.items() <= endpoint.labels.items()
        and (names or endpoint.workload is not None or is_address(endpoint.address))
    ]


def load_balanced_endpoints(
    mesh: Mesh,
    service: MeshService,
    port: MeshPort,
    rule: MergedRule | None,
    subset: str,
    placement: Placement,
) -> list[Json]:
    """Return the servers in Envoy's words; one that takes mutual TLS is marked as Istio marks it."""
    mode = endpoint_tls_mode(rule, port.number, subset)
    found: list[Json] = []
    for endpoint in subset_endpoints(service, port, rule, subset):
        entry: Json = {"endpoint": {"address": placement.of_endpoint(endpoint).envoy}}
        mutual = mode == "ISTIO_MUTUAL" if mode else _takes_mtls(mesh, endpoint)
        if mutual:
            entry["metadata"] = {"filterMetadata": {"envoy.transport_socket_match": {"tlsMode": "istio"}}}
        found.append(entry)
    return found


def _takes_mtls(mesh: Mesh, endpoint: ServiceEndpoint) -> bool:
    if not endpoint.takes_mtls:
        return False
    policies = attached(mesh.peer_authentications, endpoint.namespace, endpoint.labels, mesh.root_namespace)
    mode = mtls_mode(
        policies, namespace=endpoint.namespace, root_namespace=mesh.root_namespace, port=endpoint.port
    )
    return mode != "DISABLE"
