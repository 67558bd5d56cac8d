"""The HTTP connection manager of a listener, with Istio's defaults.

The settings are those of `pilot/pkg/networking/core/listener_builder.go#buildHTTPConnectionManager`, even where Envoy's
guide for edge proxies is stricter: what the lab lets through must be what Istio lets through. So a path keeps its
escaped and its doubled slashes unless the mesh says otherwise, and headers with underscores pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.istio.read.proxy_config import GatewayTopology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.mesh_config import MeshSettings

__all__ = ["Side", "connection_manager", "duration"]

Side = Literal["gateway", "inbound", "outbound"]
"""Whose requests a listener takes: clients of a gateway, callers of a workload, or the workload itself."""


def connection_manager(
    *,
    stat_prefix: str,
    routes: Json,
    filters: Sequence[Json],
    access_log: Sequence[Json],
    side: Side,
    settings: MeshSettings,
    topology: GatewayTopology | None = None,
    grpc_web: bool = False,
) -> Json:
    """Return the network filter that speaks HTTP.

    Args:
        stat_prefix: The prefix of its statistics.
        routes: The route configuration.
        filters: The HTTP filters of the policies, in order; those for faults, CORS and routes are added.
        access_log: The access loggers.
        side: Whose requests it takes. A gateway takes the connection's address for the caller's and replaces any client
            certificate header; a sidecar trusts what the peer's proxy wrote, and adds to it.
        settings: The mesh-wide settings.
        topology: What a gateway's own pods say about what stands in front of it.
        grpc_web: Whether gRPC-Web is translated, as at a port of that protocol.
    """
    manager: Json = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "codecType": "AUTO",
        "statPrefix": stat_prefix,
        **_SIDES[side],
        **_NORMALIZATIONS[settings.path_normalization],
        "streamIdleTimeout": "0s",
        "proxy100Continue": True,
        "upgradeConfigs": [{"upgradeType": "websocket"}],
        "routeConfig": routes,
        "httpFilters": [*filters, *([_GRPC_WEB] if grpc_web else []), _FAULT, _CORS, _ROUTER],
    }
    if side == "gateway":
        everywhere = GatewayTopology(settings.num_trusted_proxies, settings.forwarded_certificate)
        manager |= _behind(topology.over(everywhere) if topology else everywhere)
    if access_log:
        manager["accessLog"] = list(access_log)
    return {"name": "envoy.filters.network.http_connection_manager", "typedConfig": manager}


def _behind(topology: GatewayTopology) -> Json:
    """Return what a gateway does differently behind other proxies."""
    found: Json = {"xffNumTrustedHops": topology.trusted_proxies} if topology.trusted_proxies else {}
    if forwarded := topology.forwarded_certificate:
        adds = forwarded in ("APPEND_FORWARD", "SANITIZE_SET")
        details = _SIDES["gateway"]["setCurrentClientCertDetails"] if adds else {}
        found |= {"forwardClientCertDetails": forwarded, "setCurrentClientCertDetails": details}
    return found


def duration(seconds: float) -> str:
    """Return a duration in the form of protobuf's JSON."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


_PEER: Json = {"subject": True, "uri": True, "dns": True}
_SIDES: dict[Side, Json] = {
    "gateway": {
        "serverName": "istio-envoy",
        "useRemoteAddress": True,
        "forwardClientCertDetails": "SANITIZE_SET",
        "setCurrentClientCertDetails": {**_PEER, "cert": True},
    },
    "inbound": {
        "serverName": "istio-envoy",
        "useRemoteAddress": False,
        "forwardClientCertDetails": "APPEND_FORWARD",
        "setCurrentClientCertDetails": _PEER,
    },
    # Envoy's own server name, "envoy", and no certificate: the application speaks plaintext to its own proxy.
    "outbound": {"useRemoteAddress": False},
}
_KEEP = {"pathWithEscapedSlashesAction": "KEEP_UNCHANGED"}
_NORMALIZATIONS: dict[str, Json] = {
    "NONE": {"normalizePath": False, **_KEEP},
    "BASE": {"normalizePath": True, **_KEEP},
    "MERGE_SLASHES": {"normalizePath": True, "mergeSlashes": True, **_KEEP},
    "DECODE_AND_MERGE_SLASHES": {
        "normalizePath": True,
        "mergeSlashes": True,
        "pathWithEscapedSlashesAction": "UNESCAPE_AND_FORWARD",
    },
}
_GRPC_WEB: Json = {
    "name": "envoy.filters.http.grpc_web",
    "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"},
}
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
