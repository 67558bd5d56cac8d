"""A listener of a sidecar's outbound side in Envoy's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.connection_manager import duration
from meshlab.istio.envoy.inbound_listener import TLS_INSPECTOR
from meshlab.istio.envoy.outbound.chains import to_cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.outbound.chains import Chain
    from meshlab.istio.envoy.outbound.sidecar_context import OutboundContext

__all__ = ["outbound_listener"]

_HTTP_INSPECTOR: Json = {
    "name": "envoy.filters.listener.http_inspector",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
    },
}


def outbound_listener(context: OutboundContext, bind: str, port: int, chains: Sequence[Chain]) -> Json:
    """Return a listener that `virtualOutbound` hands connections to; it binds nothing itself.

    Connections that none of its chains takes are treated like those to unknown addresses.
    """
    inspectors = []
    if any(chain.sni_hosts for chain in chains):
        inspectors.append(TLS_INSPECTOR)
    detects = any(chain.http_only for chain in chains)
    if detects:
        inspectors.append(_HTTP_INSPECTOR)
    timeout_s = context.mesh.settings.protocol_detection_timeout_s if detects else 0
    matching = [chain.envoy() for chain in chains if not chain.takes_all]
    rest = [chain.envoy() for chain in chains if chain.takes_all]
    default = rest[-1] if rest else _unknown(context)
    return {
        "name": f"{bind}_{port}",
        "address": {"socketAddress": {"address": bind, "portValue": port}},
        "trafficDirection": "OUTBOUND",
        "bindToPort": False,
        "continueOnListenerFiltersTimeout": True,
        "listenerFiltersTimeout": duration(timeout_s),
        **({"listenerFilters": inspectors} if inspectors else {}),
        **(
            {"filterChains": matching, "defaultFilterChain": default}
            if matching
            else {"filterChains": [default]}
        ),
    }


def _unknown(context: OutboundContext) -> Json:
    filters = list(to_cluster(context, context.unknown_cluster))
    return {"name": "PassthroughFilterChain", "filters": filters}
