"""Clusters that every proxy has: for traffic that goes nowhere, and for traffic that goes where it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters.http_versions import protocol_options
from meshlab.istio.envoy.connection_manager import duration

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Address

__all__ = [
    "BLACK_HOLE",
    "PASSTHROUGH",
    "black_hole_cluster",
    "passthrough_cluster",
    "to_original_destination",
]

BLACK_HOLE, PASSTHROUGH = "BlackHoleCluster", "PassthroughCluster"
_RAW: Json = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
    },
}


def black_hole_cluster(connect_timeout_s: float) -> Json:
    """Return the cluster without servers, for connections to what a sidecar does not know (REGISTRY_ONLY)."""
    return {
        "name": BLACK_HOLE,
        "type": "STATIC",
        "connectTimeout": duration(connect_timeout_s),
        "lbPolicy": "ROUND_ROBIN",
    }


def passthrough_cluster(connect_timeout_s: float, relay: Address) -> Json:
    """Return the cluster for connections to what a sidecar does not know (ALLOW_ANY)."""
    return {
        "name": PASSTHROUGH,
        "connectTimeout": duration(connect_timeout_s),
        **to_original_destination(PASSTHROUGH, relay),
        **protocol_options("client's"),
    }


def to_original_destination(name: str, relay: Address, inner: Json | None = None) -> Json:
    """Return the fields of a cluster whose connections go where the client wanted them to go (`ORIGINAL_DST`).

    Addresses of a cluster do not exist on this machine. So they go to a relay, with a PROXY header that names the
    address; the relay knows what is there.

    Args:
        name: The name of the cluster.
        relay: Where the relay listens.
        inner: The transport socket inside; plaintext where there is none.
    """
    socket = "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"
    endpoint = {"endpoint": {"address": relay.envoy}}
    return {
        "type": "STATIC",
        "lbPolicy": "ROUND_ROBIN",
        "loadAssignment": {"clusterName": name, "endpoints": [{"lbEndpoints": [endpoint]}]},
        "transportSocket": {
            "name": "envoy.transport_sockets.upstream_proxy_protocol",
            "typedConfig": {"@type": socket, "config": {"version": "V1"}, "transportSocket": inner or _RAW},
        },
    }
