"""The listeners of a sidecar: one per port that its workload serves.

In a pod one listener takes everything that iptables redirects, and picks a filter chain by the original port. The lab
redirects nothing, so every port listens by itself; the chains are the same
(`pilot/pkg/networking/core/{listener_inbound,filterchain_options}.go`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters import app_cluster_name
from meshlab.istio.envoy.connection_manager import connection_manager
from meshlab.istio.envoy.http_filters import access_loggers, policy_filters
from meshlab.istio.envoy.tls import inbound_context
from meshlab.istio.model.mtls import mtls_mode

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload, WorkloadPort

__all__ = ["TLS_INSPECTOR", "sidecar_listener"]

TLS_INSPECTOR: Json = {
    "name": "envoy.filters.listener.tls_inspector",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    },
}
_MESH_ALPN = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"]


def sidecar_listener(
    mesh: Mesh, workload: Workload, port: WorkloadPort, placement: Placement, secrets: Secrets
) -> Json:
    """The listener of one port of a workload with a sidecar."""
    name = f"0.0.0.0_{port.number}"
    manager = connection_manager(
        stat_prefix=f"inbound_{name}",
        routes=_routes(port),
        filters=policy_filters(mesh, workload, placement),
        access_log=access_loggers(mesh, workload),
        at_gateway=False,
    )
    mode = mtls_mode(
        mesh.attached_to(workload, mesh.peer_authentications),
        namespace=workload.ref.namespace,
        root_namespace=mesh.root_namespace,
        port=port.number,
    )
    mutual = {"transportSocket": inbound_context(secrets, mesh.trust_domain), "filters": [manager]}
    plain = {"filterChainMatch": {"transportProtocol": "raw_buffer"}, "filters": [manager]}
    chains: list[Json]
    match mode:
        case "STRICT":
            chains = [{"filterChainMatch": {"transportProtocol": "tls"}, **mutual}]
        case "PERMISSIVE":
            # TLS that is not the mesh's own would be passed on to the app untouched by Istio; here it is refused.
            known = {"transportProtocol": "tls", "applicationProtocols": _MESH_ALPN}
            chains = [{"filterChainMatch": known, **mutual}, plain]
        case "DISABLE":
            chains = [plain]
    return {
        "name": name,
        "address": placement.proxies[workload.ref, port.number].envoy,
        "trafficDirection": "INBOUND",
        "listenerFilters": [TLS_INSPECTOR],
        "filterChains": chains,
    }


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
    hosts = [{"name": f"inbound|http|{port.number}", "domains": ["*"], "routes": [route]}]
    return {"name": name, "virtualHosts": hosts, "validateClusters": False}
