"""Which route Envoy chose, and the entry of the manifest that it is made from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.bench.verdicts.configured import marked_route
from meshlab.explain.connection_steps import servers_of
from meshlab.istio.envoy.routes.route_match import is_for, route_match
from meshlab.istio.envoy.routes.settings import ProxyView
from meshlab.istio.model.delegates import merge_delegates
from meshlab.istio.model.virtual_services import MESH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.explain.hop_context import HopContext
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.virtual_service import HttpMatch, VirtualService

__all__ = ["chosen_cluster", "chosen_route", "cluster_of", "route_where", "virtual_host_of", "virtual_hosts"]

_CONFIG = re.compile(r"/namespaces/([^/]+)/virtual-service/(.+)")


def virtual_hosts(context: HopContext) -> Sequence[Json]:
    """Return the virtual hosts of the filter chain that took the connection."""
    found: Sequence[Json] = (context.manager or {}).get("routeConfig", {}).get("virtualHosts", [])
    return found


def chosen_route(context: HopContext) -> tuple[Json | None, Json | None]:
    """Return the virtual host and the route that Envoy chose; without a route the virtual host that has the name."""
    found = marked_route(context.manager, context.line.route_mark) if context.manager else None
    if found is not None:
        return found
    return virtual_host_of(context, context.line.authority), None


def chosen_cluster(context: HopContext) -> str:
    """Return the cluster that the request went to, or that its route names where there is none of that name."""
    if context.line.cluster or context.manager is None:
        return context.line.cluster
    _, route = chosen_route(context)
    return cluster_of(route) if route else ""


def route_where(context: HopContext, host: Json | None, route: Json) -> Where | None:
    """Return the entry of `http` or of its `match` that a route is made from; `None` for one that Istio adds."""
    config = route.get("metadata", {}).get("filterMetadata", {}).get("istio", {}).get("config", "")
    found = _CONFIG.search(config)
    service = _virtual_service(context, found[1], found[2]) if found else None
    if service is None or host is None:
        return None
    wanted = route.get("match")
    for entry in service.http:
        if service.gateway_api and entry.matches and _same_match(entry.matches, wanted):
            return entry.where  # each match of a rule became an entry of its own
        if service.gateway_api:
            continue
        for index, match in enumerate(entry.matches or (None,)):
            if match is not None and not _is_here(context, match):
                continue
            name = f"{entry.name}.{match.name}" if match and match.name else entry.name
            if route_match(match) == wanted and name == route.get("name", ""):
                return entry.where.key("match").item(index) if match else entry.where
    return service.where


def virtual_host_of(context: HopContext, authority: str) -> Json | None:
    """Return the virtual host for a host header, as Envoy chooses it: exact names first, then the longest wildcard."""
    name = authority.lower()
    if not name.startswith("[") and name.count(":") == 1:
        name = name.partition(":")[0]
    best: tuple[int, Json] | None = None
    for host in virtual_hosts(context):
        for domain in (str(each).lower() for each in host["domains"]):
            if domain == name:
                return host
            fits = domain == "*" or (
                (domain.startswith("*") and name.endswith(domain[1:]))
                or (domain.endswith("*") and name.startswith(domain[:-1]))
            )
            if fits and (best is None or len(domain) > best[0]):
                best = len(domain), host
    return best[1] if best else None


def _same_match(matches: Sequence[HttpMatch], wanted: object) -> bool:
    return any(route_match(match, segments=True) == wanted for match in matches)


def _virtual_service(context: HopContext, namespace: str, name: str) -> VirtualService | None:
    merged = merge_delegates(context.mesh.virtual_services, context.mesh.settings.virtual_service_export_to)
    return next((each for each in merged if (each.namespace, each.name) == (namespace, name)), None)


def _is_here(context: HopContext, match: HttpMatch) -> bool:
    view = ProxyView(context.workload.labels, context.workload.ref.namespace)
    if context.hop.direction == "outbound":
        return is_for(match, view, (MESH,), context.hop.port)
    return any(
        is_for(match, view, (str(merged.gateway),), merged.server.port) for merged in servers_of(context)
    )


def cluster_of(route: Json) -> str:
    """Return the cluster that a route names, several for one that shares requests out."""
    action = route.get("route", {})
    if "cluster" in action:
        return str(action["cluster"])
    weighted = action.get("weightedClusters", {}).get("clusters", [])
    return " or ".join(str(each.get("name")) for each in weighted) or "none"
