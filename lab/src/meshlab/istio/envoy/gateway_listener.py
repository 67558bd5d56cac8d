"""The listeners of a gateway: one per port, with a filter chain for each way to be spoken to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.connection_manager import connection_manager
from meshlab.istio.envoy.downstream_tls import gateway_context
from meshlab.istio.envoy.gateway_routes import connection_proxy, request_routes
from meshlab.istio.envoy.http_filters import access_loggers, connection_filters, policy_filters
from meshlab.istio.envoy.inbound_chains import MESH_ALPN
from meshlab.istio.envoy.inbound_listener import TLS_INSPECTOR
from meshlab.istio.model.gateway_chains import envoy_refuses, gateway_chains

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.model.gateway_chains import GatewayChain
    from meshlab.istio.model.gateway_servers import GatewayPort
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload

__all__ = ["gateway_listeners"]

_HANDSHAKE_TIMEOUT = "15s"


def gateway_listeners(mesh: Mesh, workload: Workload, placement: Placement, secrets: Secrets) -> list[Json]:
    """Return the listeners of a gateway.

    A port is missing where nothing says where its connections go, and where Envoy would refuse the chains that Istio
    writes: in a cluster no client can connect to such a port, either.
    """
    found = []
    for port in mesh.gateway_ports(workload).ports:
        chains = gateway_chains(mesh, workload, port)
        if chains and not envoy_refuses(chains):
            found.append(_listener(mesh, workload, port, chains, placement, secrets))
    return found


def _listener(
    mesh: Mesh,
    workload: Workload,
    port: GatewayPort,
    chains: Sequence[GatewayChain],
    placement: Placement,
    secrets: Secrets,
) -> Json:
    name = f"0.0.0.0_{port.number}"
    reads_tls = any(chain.sni_hosts or chain.ends_tls for chain in chains)
    return {
        "name": name,
        "address": placement.proxies[workload.ref, port.number].envoy,
        "trafficDirection": "OUTBOUND",
        **({"listenerFilters": [TLS_INSPECTOR]} if reads_tls else {}),
        "filterChains": [
            {
                **_match(chain),
                **_transport(chain, secrets),
                "filters": _filters(mesh, workload, chain, placement, name),
                "transportSocketConnectTimeout": _HANDSHAKE_TIMEOUT,
            }
            for chain in chains
        ],
    }


def _match(chain: GatewayChain) -> Json:
    match: Json = {"serverNames": list(chain.server_names)} if chain.server_names else {}
    if chain.cluster:
        match["applicationProtocols"] = list(MESH_ALPN)
    return {"filterChainMatch": match} if match else {}


def _transport(chain: GatewayChain, secrets: Secrets) -> Json:
    server = chain.servers[0].server
    if not chain.ends_tls or server.tls is None:
        return {}
    return {"transportSocket": gateway_context(secrets, server, server.tls)}


def _filters(
    mesh: Mesh, workload: Workload, chain: GatewayChain, placement: Placement, listener: str
) -> list[Json]:
    log = access_loggers(mesh, workload, "gateway")
    if chain.inside == "tcp":
        # Istio lets policies decide nothing about what AUTO_PASSTHROUGH passes on.
        policies = [] if chain.cluster else connection_filters(mesh, workload, placement)
        return [*policies, *connection_proxy(mesh, workload, chain, log)]
    first = chain.servers[0].server
    return [
        connection_manager(
            stat_prefix=(first.name if first.is_https else "") or f"outbound_{listener}",
            routes=request_routes(mesh, workload, chain.servers),
            filters=policy_filters(mesh, workload, placement),
            access_log=log,
            side="gateway",
            settings=mesh.settings,
            topology=workload.topology,
            grpc_web=first.protocol == "grpc-web",
        )
    ]
