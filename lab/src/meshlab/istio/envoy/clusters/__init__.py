"""Clusters: where a proxy sends requests, and over which kind of connection.

| module | what it holds |
|---|---|
| `outbound` | the clusters of the services that a proxy knows |
| `endpoints` | the servers behind them |
| `fixed` | BlackHoleCluster, PassthroughCluster, and connections to original destinations |
| `app` | a sidecar's own application |
| `http_versions` | which HTTP a cluster speaks |
"""

from __future__ import annotations

from meshlab.istio.envoy.clusters.app import app_cluster, app_cluster_name
from meshlab.istio.envoy.clusters.fixed import (
    BLACK_HOLE,
    PASSTHROUGH,
    black_hole_cluster,
    passthrough_cluster,
)
from meshlab.istio.envoy.clusters.outbound import ServiceClusters, http_version, is_mutual

__all__ = [
    "BLACK_HOLE",
    "PASSTHROUGH",
    "ServiceClusters",
    "app_cluster",
    "app_cluster_name",
    "black_hole_cluster",
    "http_version",
    "is_mutual",
    "passthrough_cluster",
]
