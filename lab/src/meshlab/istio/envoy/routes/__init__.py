"""Routes: VirtualServices in Envoy's words, for gateways and for sidecars.

| module | what it holds |
|---|---|
| `http_routes` | the routes of one VirtualService |
| `route_match`, `route_action`, `header_changes`, `retry_policy`, `filter_overrides` | the parts of a route |
| `gateway_hosts` | the virtual hosts of a gateway |
| `sidecar_hosts`, `domains`, `unknown_hosts` | those of a sidecar's outbound port |
| `destinations`, `tcp_proxy` | names of clusters; connections without HTTP |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.routes.destinations import cluster_names, outbound_cluster
from meshlab.istio.envoy.routes.gateway_hosts import RoutedServer, gateway_virtual_hosts, shared_hosts
from meshlab.istio.envoy.routes.http_routes import http_routes
from meshlab.istio.envoy.routes.settings import (
    ClusterName,
    ProxyView,
    RoutedPort,
    RoutedService,
    RouteSettings,
)
from meshlab.istio.envoy.routes.sidecar_hosts import detected_port_hosts, sidecar_virtual_hosts
from meshlab.istio.envoy.routes.tcp_proxy import tcp_proxy
from meshlab.istio.envoy.routes.unknown_hosts import allow_any, block_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json

__all__ = [
    "ClusterName",
    "ProxyView",
    "RouteSettings",
    "RoutedPort",
    "RoutedServer",
    "RoutedService",
    "allow_any",
    "block_all",
    "cluster_names",
    "detected_port_hosts",
    "gateway_virtual_hosts",
    "http_routes",
    "outbound_cluster",
    "route_configuration",
    "shared_hosts",
    "sidecar_virtual_hosts",
    "tcp_proxy",
]

_MAX_BODY_BYTES = 1024 * 1024


def route_configuration(name: str, virtual_hosts: Sequence[Json]) -> Json:
    """Return a route configuration with Istio's settings, for gateways and outbound listeners of sidecars.

    Ports in host headers do not count, and clusters that do not exist are answered 503 rather than refused.
    """
    return {
        "name": name,
        "virtualHosts": list(virtual_hosts),
        "validateClusters": False,
        "ignorePortInHostMatching": True,
        "maxDirectResponseBodySizeBytes": _MAX_BODY_BYTES,
    }
