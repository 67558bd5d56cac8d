"""The listeners of a sidecar for callers of its workload: one per port.

In a pod one listener takes everything that iptables redirects, and picks a filter chain by the original port. The lab
redirects nothing, so every port listens by itself; the chains are the same
(`pilot/pkg/networking/core/listener_inbound.go`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters.app import app_cluster_name
from meshlab.istio.envoy.connection_manager import connection_manager, duration
from meshlab.istio.envoy.downstream_tls import inbound_context
from meshlab.istio.envoy.http_filters import access_loggers, connection_filters, policy_filters
from meshlab.istio.envoy.inbound_chains import inbound_chains
from meshlab.istio.model.mtls import mtls_mode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.inbound_chains import InboundChain
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload, WorkloadPort

__all__ = ["TLS_INSPECTOR", "inbound_listener"]

TLS_INSPECTOR: Json = {
    "name": "envoy.filters.listener.tls_inspector",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    },
}
_HTTP_INSPECTOR: Json = {
    "name": "envoy.filters.listener.http_inspector",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
    },
}


def inbound_listener(
    mesh: Mesh, workload: Workload, port: WorkloadPort, placement: Placement, secrets: Secrets
) -> Json:
    """Return the listener of one port of a workload with a sidecar."""
    mode = mtls_mode(
        mesh.attached_to(workload, mesh.peer_authentications),
        namespace=workload.ref.namespace,
        root_namespace=mesh.root_namespace,
        port=port.number,
    )
    chains = inbound_chains(port.protocol, mode)
    filters = {
        "http": [_http(mesh, workload, port, placement)],
        "tcp": [*connection_filters(mesh, workload, placement), _tcp(mesh, workload, port)],
    }
    return {
        # A name of its own: the outbound side of the same proxy may have a listener for the same port number.
        "name": f"inbound_0.0.0.0_{port.number}",
        "address": placement.proxies[workload.ref, port.number].envoy,
        "trafficDirection": "INBOUND",
        "listenerFilters": _inspectors(chains),
        "listenerFiltersTimeout": duration(mesh.settings.protocol_detection_timeout_s),
        "continueOnListenerFiltersTimeout": True,
        "filterChains": [
            {
                "filterChainMatch": _match(chain),
                **(
                    {"transportSocket": inbound_context(secrets, mesh.settings, chain.inside)}
                    if chain.mutual
                    else {}
                ),
                "filters": filters[chain.inside],
            }
            for chain in chains
        ],
    }


def _match(chain: InboundChain) -> Json:
    return {
        "transportProtocol": chain.transport,
        **({"applicationProtocols": list(chain.alpn)} if chain.alpn else {}),
    }


def _inspectors(chains: Iterable[InboundChain]) -> list[Json]:
    # Without an inspector a connection counts as plaintext, so TLS at a port with mode DISABLE is passed on as bytes.
    every = list(chains)
    tls = any(chain.transport == "tls" for chain in every)
    http = any("http/1.1" in chain.alpn for chain in every)
    return [*([TLS_INSPECTOR] if tls else []), *([_HTTP_INSPECTOR] if http else [])]


def _http(mesh: Mesh, workload: Workload, port: WorkloadPort, placement: Placement) -> Json:
    name = app_cluster_name(port)
    return connection_manager(
        stat_prefix=f"inbound_0.0.0.0_{port.number}" if port.declared else name,
        routes=_routes(port),
        filters=policy_filters(mesh, workload, placement),
        access_log=access_loggers(mesh, workload, "inbound"),
        side="inbound",
        settings=mesh.settings,
    )


def _tcp(mesh: Mesh, workload: Workload, port: WorkloadPort) -> Json:
    name = app_cluster_name(port)
    config: Json = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "statPrefix": name,
        "cluster": name,
    }
    if loggers := access_loggers(mesh, workload, "inbound"):
        config["accessLog"] = loggers
    return {"name": "envoy.filters.network.tcp_proxy", "typedConfig": config}


def _routes(port: WorkloadPort) -> Json:
    name = app_cluster_name(port)
    to_app = {
        "cluster": name,
        "timeout": "0s",
        "maxStreamDuration": {"maxStreamDuration": "0s", "grpcTimeoutHeaderMax": "0s"},
        # Istio repeats only what the app closed before it could have read it.
        "retryPolicy": {"retryOn": "reset-before-request", "numRetries": 2},
    }
    route = {"name": "default", "match": {"prefix": "/"}, "route": to_app}
    number = port.number if port.declared else 0
    hosts = [{"name": f"inbound|http|{number}", "domains": ["*"], "routes": [route]}]
    return {"name": name, "virtualHosts": hosts, "validateClusters": False}
