"""The HTTP connection manager of a listener, with Istio's defaults.

The settings are those of `pilot/pkg/networking/core/listener_builder.go#buildHTTPConnectionManager`, even where Envoy's
guide for edge proxies is stricter: what the lab lets through must be what Istio lets through. So a path keeps its
escaped and its doubled slashes (`normalize_path` alone, Istio's `BASE` normalization), and headers with underscores
pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json

__all__ = ["connection_manager", "duration"]


def connection_manager(
    *,
    stat_prefix: str,
    routes: Json,
    filters: Sequence[Json],
    access_log: Sequence[Json],
    at_gateway: bool,
) -> Json:
    """The network filter that speaks HTTP.

    Args:
        stat_prefix: The prefix of its statistics.
        routes: The route configuration.
        filters: The HTTP filters of the policies, in order; those for faults, CORS and routes are added.
        access_log: The access loggers.
        at_gateway: Whether callers are outside the mesh. A gateway takes the connection's address for the caller's and
            replaces any client certificate header; a sidecar trusts what the peer's proxy wrote, and adds to it.
    """
    details = {"subject": True, "uri": True, "dns": True}
    manager: Json = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "codecType": "AUTO",
        "statPrefix": stat_prefix,
        "serverName": "istio-envoy",
        "useRemoteAddress": at_gateway,
        "forwardClientCertDetails": "SANITIZE_SET" if at_gateway else "APPEND_FORWARD",
        "setCurrentClientCertDetails": details | ({"cert": True} if at_gateway else {}),
        "normalizePath": True,
        "pathWithEscapedSlashesAction": "KEEP_UNCHANGED",
        "streamIdleTimeout": "0s",
        "upgradeConfigs": [{"upgradeType": "websocket"}],
        "routeConfig": routes,
        "httpFilters": [*filters, _FAULT, _CORS, _ROUTER],
    }
    if access_log:
        manager["accessLog"] = list(access_log)
    return {"name": "envoy.filters.network.http_connection_manager", "typedConfig": manager}


def duration(seconds: float) -> str:
    """A duration in the form of protobuf's JSON."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


# Istio has these two in every connection manager, after the policies; routes say what they do.
_FAULT: Json = {
    "name": "envoy.filters.http.fault",
    "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"},
}
_CORS: Json = {
    "name": "envoy.filters.http.cors",
    "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"},
}
_ROUTER: Json = {
    "name": "envoy.filters.http.router",
    "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}
