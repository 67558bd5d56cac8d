"""Clusters of external authorizers, which a script answers for on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters.http_versions import protocol_options

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.model.mesh import Mesh

__all__ = ["authorizer_cluster_names", "authorizer_clusters"]


def authorizer_cluster_names(placement: Placement) -> dict[str, str]:
    """Return provider to the name of its cluster.

    In a cluster the name is that of the authorizer's service. Here a script decides in its place, so the connection
    does not pass the service's own sidecar.
    """
    return {provider: f"ext-authz|{provider}" for provider in placement.authorizers}


def authorizer_clusters(mesh: Mesh, placement: Placement) -> list[Json]:
    """Return the clusters of all external authorizers."""
    found: list[Json] = []
    for provider, name in authorizer_cluster_names(placement).items():
        authorizer = mesh.settings.extension_providers[provider].authorizer
        if authorizer is None:
            continue
        endpoint = {"endpoint": {"address": placement.authorizers[provider].envoy}}
        found.append(
            {
                "name": name,
                "type": "STATIC",
                "connectTimeout": "10s",
                "loadAssignment": {"clusterName": name, "endpoints": [{"lbEndpoints": [endpoint]}]},
                **protocol_options("http2" if authorizer.protocol == "grpc" else "http1"),
            }
        )
    return found
