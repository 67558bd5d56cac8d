"""What connections that are not looked into offer in the mesh's mutual TLS.

A sidecar tells requests from other connections by the protocol names (ALPN) that its client offers. Istio's clusters
offer the names for connections, and a filter of Istio's own (`istio.alpn`) changes the offer for requests. Envoy lacks
that filter, so the clusters here offer the names for requests, and the chains for connections change the offer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters import http_version, is_mutual
from meshlab.istio.model.destination_rules import policy_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.visibility import ProxyScope
    from meshlab.istio.model.workload import Workload

__all__ = ["offering_connections"]

_NAMES = "istio-peer-exchange,istio"


def offering_connections(mesh: Mesh, scope: ProxyScope, workload: Workload, tcp_proxy: Json) -> list[Json]:
    """Return the filter that passes connections on, behind the one that changes the offer where there is one.

    Args:
        mesh: The mesh.
        scope: What the proxy knows.
        workload: Its workload.
        tcp_proxy: The filter that passes connections on.
    """
    mutual, http2 = False, False
    for cluster in _clusters(tcp_proxy["typedConfig"]):
        direction, *rest = cluster.split("|")
        if direction != "outbound" or len(rest) != len(("port", "subset", "host")):
            continue
        number, subset, host = rest
        service = scope.by_hostname.get(host)
        port = service.port(int(number)) if service else None
        if service is None or port is None:
            continue
        rule = scope.rule_for(service, workload.labels)
        if is_mutual(mesh, service, port, rule, subset):
            mutual = True
            policy = policy_for(rule, port.number, subset)
            version = http_version(mesh, port, policy, at_gateway=workload.is_gateway)
            http2 = http2 or version == "http2"
    return [*([_offer(f"{_NAMES},h2" if http2 else _NAMES)] if mutual else []), tcp_proxy]


def _offer(names: str) -> Json:
    value = {
        "objectKey": "envoy.network.application_protocols",
        "formatString": {"textFormatSource": {"inlineString": names}},
    }
    config = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config",
        "onNewConnection": [value],
    }
    return {"name": "envoy.filters.network.set_filter_state", "typedConfig": config}


def _clusters(config: Json) -> Iterator[str]:
    if "cluster" in config:
        yield config["cluster"]
    for share in config.get("weightedClusters", {}).get("clusters", ()):
        yield share["name"]
