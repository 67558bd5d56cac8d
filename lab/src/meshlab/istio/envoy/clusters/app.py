"""Clusters of a sidecar's own application, in plaintext."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters.http_versions import protocol_options

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Address
    from meshlab.istio.model.workload import WorkloadPort

__all__ = ["app_cluster", "app_cluster_name"]


def app_cluster_name(port: WorkloadPort) -> str:
    """Return the name that Istio gives to the cluster of a sidecar's own app."""
    return f"inbound|{port.number}||"


def app_cluster(port: WorkloadPort, app: Address) -> Json:
    """Return the cluster of a sidecar's own app, in plaintext."""
    name = app_cluster_name(port)
    endpoint = {"endpoint": {"address": app.envoy}}
    return {
        "name": name,
        "type": "STATIC",
        "connectTimeout": "10s",
        "lbPolicy": "LEAST_REQUEST",
        "loadAssignment": {"clusterName": name, "endpoints": [{"lbEndpoints": [endpoint]}]},
        **protocol_options("http2" if port.protocol == "http2" else "http1"),
    }
