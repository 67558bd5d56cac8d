"""Routes of VirtualServices that a request took."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.bench.case_coverage.connection_entries import connection_entry, sidecar_entry
from meshlab.bench.verdicts.configured import chain_of, manager_of, marked_route
from meshlab.istio.envoy.routes.route_match import is_for, route_match
from meshlab.istio.envoy.routes.settings import ProxyView
from meshlab.istio.model.delegates import merge_delegates
from meshlab.istio.model.virtual_services import MESH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from meshlab.bench.verdicts.hop import Hop
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.gateway_chains import GatewayChain
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.virtual_service import HttpMatch, HttpRoute, VirtualService

__all__ = ["route_taken"]

_CONFIG = re.compile(r"/namespaces/([^/]+)/virtual-service/(.+)")


def route_taken(
    hop: Hop, mesh: Mesh, bootstrap: Mapping[str, Any], gateway_chain: GatewayChain | None
) -> Where | None:
    """Return the entry of `http`, `tls` or `tcp` that a request took; of `match` where an entry of `http` has several.

    Args:
        hop: The hop, of a bench with probes of conditions: they mark the routes.
        mesh: The mesh.
        bootstrap: The configuration of the hop's proxy.
        gateway_chain: The filter chain at a gateway.

    Returns:
        `None` where it took none, or one that Istio adds.
    """
    if hop.direction == "inbound" or not (chain := chain_of(bootstrap, hop.line)):
        return None
    if manager := manager_of(chain):
        found = marked_route(manager, hop.line.route_mark)
        return _http_entry(hop, mesh, found[1], gateway_chain) if found else None
    if gateway_chain:
        return connection_entry(gateway_chain.route) if gateway_chain.route and hop.line.cluster else None
    return sidecar_entry(hop, mesh, chain)


def _http_entry(hop: Hop, mesh: Mesh, route: Json, gateway_chain: GatewayChain | None) -> Where | None:
    config = route.get("metadata", {}).get("filterMetadata", {}).get("istio", {}).get("config", "")
    if not (named := _CONFIG.search(config)):
        return None
    merged = merge_delegates(mesh.virtual_services, mesh.settings.virtual_service_export_to)
    service = next((each for each in merged if (each.namespace, each.name) == named.groups()), None)
    if service is None:
        return None
    for entry, index, match in _matches_here(hop, mesh, service, gateway_chain):
        name = f"{entry.name}.{match.name}" if match and match.name else entry.name
        # Of two alike the first takes every request.
        if route_match(match, segments=service.gateway_api) == route["match"] and name == route.get(
            "name", ""
        ):
            return _alternative(mesh, entry, index)
    return None


def _matches_here(
    hop: Hop, mesh: Mesh, service: VirtualService, gateway_chain: GatewayChain | None
) -> Iterator[tuple[HttpRoute, int, HttpMatch | None]]:
    """Yield the matches of a VirtualService that count at a proxy's listener: entry, index and match."""
    workload = mesh.workload(hop.workload)
    view = ProxyView(workload.labels, workload.ref.namespace)
    servers = gateway_chain.servers if gateway_chain else ()
    listeners = [(str(each.gateway), each.server.port) for each in servers] or [(MESH, hop.port)]
    for entry in service.http:
        for index, match in enumerate(entry.matches or (None,)):
            if match is None or any(is_for(match, view, (name,), port) for name, port in listeners):
                yield entry, index, match


def _alternative(mesh: Mesh, entry: HttpRoute, index: int) -> Where:
    """Return where a match stands; the entry where it has one at most, or where it is a delegate's."""
    own = (each for service in mesh.virtual_services if not service.is_delegate for each in service.http)
    if len(entry.matches) > 1 and any(each is entry for each in own):
        return entry.where.key("match").item(index)
    return entry.where
