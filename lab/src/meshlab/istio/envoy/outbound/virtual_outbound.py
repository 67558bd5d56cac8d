"""`virtualOutbound`: the listener to which everything goes that an application sends.

In a pod iptables redirects the connections to it, and Envoy asks the kernel for the address that the application
wanted. Here nothing is redirected: the client says the address in a PROXY header, and everything after is as in a pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters import BLACK_HOLE
from meshlab.istio.envoy.outbound.chains import to_cluster

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.outbound.sidecar_context import OutboundContext
    from meshlab.istio.envoy.placement import Address

__all__ = ["virtual_outbound_listener"]

_ISTIO_PORT = 15001
_PROXY_PROTOCOL: Json = {
    "name": "envoy.filters.listener.proxy_protocol",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
    },
}
_BLACK_HOLE: Json = {
    "name": "envoy.filters.network.tcp_proxy",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "statPrefix": BLACK_HOLE,
        "cluster": BLACK_HOLE,
    },
}


def virtual_outbound_listener(context: OutboundContext, address: Address) -> Json:
    """Return the listener (`pilot/pkg/networking/core/listener_builder.go#buildVirtualOutboundListener`).

    Args:
        context: The sidecar.
        address: Where it listens.
    """
    loop = {
        "name": "virtualOutbound-blackhole",
        "filterChainMatch": {"destinationPort": _ISTIO_PORT},
        "filters": [_BLACK_HOLE],
    }
    rest = {
        "name": "virtualOutbound-catchall-tcp",
        "filters": list(to_cluster(context, context.unknown_cluster)),
    }
    return {
        "name": "virtualOutbound",
        "address": address.envoy,
        "trafficDirection": "OUTBOUND",
        "useOriginalDst": True,
        "listenerFilters": [_PROXY_PROTOCOL],
        "filterChains": [loop, rest],
    }
