"""Servers of Gateways that a request came through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.verdicts.configured import listener_of, named_chains
from meshlab.istio.model.gateway_chains import gateway_chains

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from meshlab.bench.verdicts.hop import Hop
    from meshlab.istio.model.gateway_chains import GatewayChain
    from meshlab.istio.model.gateway_servers import MergedServer
    from meshlab.istio.model.mesh import Mesh

__all__ = ["gateway_chain_of", "servers_met"]


def gateway_chain_of(hop: Hop, mesh: Mesh, bootstrap: Mapping[str, Any]) -> GatewayChain | None:
    """Return the filter chain of a gateway that took a connection, as the servers ask for it.

    Args:
        hop: The hop.
        mesh: The mesh.
        bootstrap: The configuration of the hop's proxy.
    """
    if hop.direction != "gateway" or not (listener := listener_of(bootstrap, hop.line)):
        return None
    names = list(named_chains(listener))
    if hop.line.chain not in names:
        return None
    workload = mesh.workload(hop.workload)
    for port in mesh.gateway_ports(workload).ports:
        if port.number == hop.port:
            # Envoy's chains are in the order of these.
            chains = gateway_chains(mesh, workload, port)
            index = names.index(hop.line.chain)
            return chains[index] if index < len(chains) else None
    return None


def servers_met(hop: Hop, chain: GatewayChain) -> list[MergedServer]:
    """Return the servers that a request came through.

    Servers with TLS have a filter chain of their own. Those for plaintext HTTP share one; there the host decides.
    A connection whose TLS failed came through none.

    Args:
        hop: The hop of the gateway.
        chain: The filter chain that took the connection.
    """
    if hop.line.scope == "connection" and hop.line.downstream_failure:
        return []
    if not chain.servers[0].server.is_plain_http:
        return list(chain.servers)
    return _for_host(chain.servers, _name(hop.line.authority))


def _for_host(servers: Sequence[MergedServer], name: str) -> list[MergedServer]:
    """Return the servers whose host fits best: the longest one, and every server that has it."""
    fitting = {
        index: max(lengths)
        for index, merged in enumerate(servers)
        if (lengths := [len(host.name) for host in merged.server.hosts if _covers(host.name.lower(), name)])
    }
    longest = max(fitting.values(), default=0)
    return [servers[index] for index, length in fitting.items() if length == longest]


def _covers(pattern: str, name: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*") else name == pattern


def _name(authority: str) -> str:
    host = authority.lower()
    return host.partition(":")[0] if host.count(":") == 1 else host
