"""The network filter that passes a connection on (`pilot/pkg/networking/core/networkfilter.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.routes.settings import ClusterName
    from meshlab.istio.read.virtual_service import L4Destination

__all__ = ["tcp_proxy"]


def tcp_proxy(stat_prefix: str, destinations: Sequence[L4Destination], cluster_name: ClusterName) -> Json:
    """Return the filter for the destinations of a rule of `tcp` or `tls`.

    Args:
        stat_prefix: The prefix of its statistics where there are several destinations (Istio takes `name.namespace` of
            the VirtualService); a single one is counted under its cluster's name.
        destinations: The destinations. A single one takes everything, whatever its weight says.
        cluster_name: Names their clusters.
    """
    config: Json = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
    }
    if len(destinations) == 1:
        cluster = cluster_name(destinations[0].destination)
        config |= {"statPrefix": cluster, "cluster": cluster}
    else:
        shares = [
            {"name": cluster_name(entry.destination), "weight": entry.weight}
            for entry in destinations
            if entry.weight
        ]
        config |= {"statPrefix": stat_prefix, "weightedClusters": {"clusters": shares}}
    return {"name": "envoy.filters.network.tcp_proxy", "typedConfig": config}
