"""Entries of `tls` and `tcp` in VirtualServices that took a connection."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from meshlab.istio.model.addresses import NO_ADDRESS
from meshlab.istio.model.connection_routes import sidecar_tcp, sidecar_tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.bench.verdicts.hop import Hop
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.connection_routes import ConnectionRoute
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.fields import Where

__all__ = ["connection_entry", "sidecar_entry"]


def connection_entry(route: ConnectionRoute) -> Where | None:
    """Return the entry that a filter chain is made from."""
    service = route.virtual_service
    entries = [("tls", index, entry.destinations) for index, entry in enumerate(service.tls)]
    entries += [("tcp", index, entry.destinations) for index, entry in enumerate(service.tcp)]
    for name, index, destinations in entries:
        # The very same destinations: two entries may lead to the same places.
        if destinations is route.destinations:
            return service.where.key(name).item(index)
    return None


def sidecar_entry(hop: Hop, mesh: Mesh, chain: Json) -> Where | None:
    """Return the entry that a connection took at the outbound side of a sidecar.

    Args:
        hop: The hop.
        mesh: The mesh.
        chain: The filter chain that took the connection.
    """
    match = chain.get("filterChainMatch", {})
    names = set(match.get("serverNames", []))
    ranges = {f"{each['addressPrefix']}/{each['prefixLen']}" for each in match.get("prefixRanges", [])}
    for route in _routes(hop, mesh):
        asked = {name for name in route.sni_hosts if name != "*"}
        if (
            asked == names
            and _written(route.destination_subnets) == ranges
            and _leads(route, hop.line.cluster)
        ):
            return connection_entry(route)
    return None


def _routes(hop: Hop, mesh: Mesh) -> Iterator[ConnectionRoute]:
    """Yield what VirtualServices ask for, for every service that the connection may be to."""
    workload = mesh.workload(hop.workload)
    scope = mesh.visibility.scope_of(workload)
    egress = scope.egress_for(hop.port)
    address = hop.line.destination.rpartition(":")[0].strip("[]")
    for service in egress.services if egress else ():
        port = service.port(hop.port)
        if port is None or ("/" not in service.address and service.address not in (address, NO_ADDRESS)):
            continue
        select = sidecar_tls if port.protocol == "tls" else sidecar_tcp
        yield from select(
            egress.for_connections if egress else (),
            service.hostname,
            labels=workload.labels,
            namespace=workload.ref.namespace,
            port=hop.port,
            subnets=(service.address,) if "/" in service.address else (),
        ).routes


def _leads(route: ConnectionRoute, cluster: str) -> bool:
    """Return whether a route leads to a cluster, which Istio names `outbound|PORT|SUBSET|HOST`."""
    _, _, rest = cluster.partition("|")
    _, _, rest = rest.partition("|")
    subset, _, host = rest.partition("|")
    found = ((each.destination.subset, each.destination.host.lower()) for each in route.destinations)
    return (subset, host.lower()) in found


def _written(subnets: tuple[str, ...]) -> set[str]:
    networks = [ipaddress.ip_network(text, strict=False) for text in subnets]
    return {str(each) for each in networks if str(each.network_address) != NO_ADDRESS}
