"""Clusters of a sidecar's own application, in plaintext."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Address
    from meshlab.istio.model.workload import WorkloadPort

__all__ = ["app_cluster", "app_cluster_name"]

_CONNECT_TIMEOUT = "10s"  # Istio's default, MeshConfig.connectTimeout
_PROTOCOLS: dict[str, Json] = {
    "http2": {"explicitHttpConfig": {"http2ProtocolOptions": {}}},
    "auto": {"useDownstreamProtocolConfig": {"httpProtocolOptions": {}, "http2ProtocolOptions": {}}},
}
_HTTP_1: Json = {"explicitHttpConfig": {"httpProtocolOptions": {}}}


def app_cluster_name(port: WorkloadPort) -> str:
    """Return the name that Istio gives to the cluster of a sidecar's own application.

    Istio has one cluster for all ports that no Service names, as in a pod they differ in the address alone. Here each
    has an address of its own.
    """
    return f"inbound|{port.number}||" if port.declared else f"InboundPassthroughCluster|{port.number}"


def app_cluster(port: WorkloadPort, app: Address, *, client_protocol: bool) -> Json:
    """Return the cluster of a port of a sidecar's own application.

    Args:
        port: The port.
        app: Where the application listens.
        client_protocol: Whether it is spoken to in the HTTP of the client, whatever the port declares.
    """
    name = app_cluster_name(port)
    endpoint = {"endpoint": {"address": app.envoy}}
    return {
        "name": name,
        "type": "STATIC",
        "connectTimeout": _CONNECT_TIMEOUT,
        "loadAssignment": {"clusterName": name, "endpoints": [{"lbEndpoints": [endpoint]}]},
        "typedExtensionProtocolOptions": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                **_PROTOCOLS.get("auto" if client_protocol else port.protocol, _HTTP_1),
            }
        },
    }
