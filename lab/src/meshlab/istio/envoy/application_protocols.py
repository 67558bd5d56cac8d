"""What connections that are not looked into offer in the mesh's mutual TLS.

A sidecar tells requests from other connections by the protocol names (ALPN) that its client offers. Istio's clusters
offer the names for connections, and a filter of Istio's own (`istio.alpn`) changes the offer for requests. Envoy lacks
that filter, so the clusters here offer the names for requests, and the chains for connections change the offer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters import is_mutual

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.visibility import ProxyScope

__all__ = ["offering_connections"]

_OFFER: Json = {
    "name": "envoy.filters.network.set_filter_state",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config",
        "onNewConnection": [
            {
                "objectKey": "envoy.network.application_protocols",
                "formatString": {"textFormatSource": {"inlineString": "istio-peer-exchange,istio"}},
            }
        ],
    },
}


def offering_connections(
    mesh: Mesh, scope: ProxyScope, labels: Mapping[str, str], tcp_proxy: Json
) -> list[Json]:
    """Return the filter that passes connections on, behind the one that changes the offer where there is one.

    Args:
        mesh: The mesh.
        scope: What the proxy knows.
        labels: The labels of its workload.
        tcp_proxy: The filter that passes connections on.
    """
    for cluster in _clusters(tcp_proxy["typedConfig"]):
        direction, *rest = cluster.split("|")
        if direction != "outbound" or len(rest) != len(("port", "subset", "host")):
            continue
        number, subset, host = rest
        service = scope.by_hostname.get(host)
        port = service.port(int(number)) if service else None
        if service and port and is_mutual(mesh, service, port, scope.rule_for(service, labels), subset):
            return [_OFFER, tcp_proxy]
    return [tcp_proxy]


def _clusters(config: Json) -> Iterator[str]:
    if "cluster" in config:
        yield config["cluster"]
    for share in config.get("weightedClusters", {}).get("clusters", ()):
        yield share["name"]
