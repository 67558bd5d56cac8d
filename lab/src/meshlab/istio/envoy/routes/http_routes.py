"""Routes of a VirtualService for one proxy and one listener.

Follows `pilot/pkg/networking/core/route/route.go#BuildHTTPRoutesForVirtualService`, for gateways and sidecars alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.routes.filter_overrides import filter_overrides
from meshlab.istio.envoy.routes.gateway_api import gateway_api_action
from meshlab.istio.envoy.routes.route_action import default_action, route_action
from meshlab.istio.envoy.routes.route_match import is_catch_all, is_for, route_match
from meshlab.istio.envoy.routes.settings import RouteSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.routes.settings import ClusterName, ProxyView
    from meshlab.istio.read.virtual_service import HttpMatch, HttpRoute, VirtualService

__all__ = ["catch_alls_last", "default_route", "http_routes"]

_DEFAULTS = RouteSettings()


def http_routes(
    virtual_service: VirtualService,
    *,
    proxy: ProxyView,
    gateway_names: Collection[str],
    listener_port: int,
    cluster_name: ClusterName,
    settings: RouteSettings = _DEFAULTS,
) -> list[Json]:
    """Return the routes of a VirtualService, empty where none of its rules is for this proxy and listener.

    Rules after the first that takes every request are left out. This happens before the routes of several
    VirtualServices of one host are joined, so such a rule never hides those of another VirtualService.

    Args:
        virtual_service: The VirtualService, with its delegates merged.
        proxy: The workload of the proxy.
        gateway_names: The Gateway as `namespace/name`, or `mesh` for a sidecar.
        listener_port: The port that the gateway's server declares, or the port of the sidecar's listener.
        cluster_name: Names the clusters of destinations.
        settings: The mesh's, the listener's and the destinations' settings.
    """
    found: list[Json] = []
    for rule in virtual_service.http:
        for match in rule.matches or (None,):
            if match is not None and not is_for(match, proxy, gateway_names, listener_port):
                continue
            conditions = route_match(match, segments=virtual_service.gateway_api)
            action = route_action(
                rule, listener_port=listener_port, cluster_name=cluster_name, settings=settings
            )
            if virtual_service.gateway_api:
                action = gateway_api_action(action, rule, conditions)
            found.append(
                {
                    **_names(rule, match),
                    "match": conditions,
                    "metadata": _metadata(virtual_service),
                    **action,
                    **filter_overrides(rule),
                }
            )
            if is_catch_all(conditions):
                return found
    return found


def default_route(cluster: str, settings: RouteSettings = _DEFAULTS) -> Json:
    """Return the route to a service for which there is no rule."""
    return {"name": "default", "match": {"prefix": "/"}, "route": default_action(cluster, settings)}


def catch_alls_last(routes: Iterable[Json]) -> list[Json]:
    """Return the routes with those at the end that take every request; the order is kept otherwise."""
    return sorted(routes, key=lambda route: is_catch_all(route["match"]))


def _names(rule: HttpRoute, match: HttpMatch | None) -> Json:
    name = f"{rule.name}.{match.name}" if match and match.name else rule.name
    prefix = match.stat_prefix if match else ""
    return {**({"name": name} if name else {}), **({"statPrefix": prefix} if prefix else {})}


def _metadata(virtual_service: VirtualService) -> Json:
    """Return the metadata by which Istio names the VirtualService of a route."""
    path = f"/namespaces/{virtual_service.namespace}/virtual-service/{virtual_service.name}"
    return {"filterMetadata": {"istio": {"config": f"/apis/networking.istio.io/v1{path}"}}}
