"""Steps of a connection: listener, filter chain, TLS with the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.verdicts.configured import named_chains
from meshlab.bench.verdicts.hop import tls_failure
from meshlab.explain.explanation import Place, Step
from meshlab.explain.manifest_places import place_of
from meshlab.istio.model.gateway_chains import gateway_chains
from meshlab.istio.model.mtls import port_mode
from meshlab.istio.read.fields import Where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.explain.explanation import State
    from meshlab.explain.hop_context import HopContext
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.gateway_chains import GatewayChain
    from meshlab.istio.model.gateway_servers import MergedServer
    from meshlab.istio.model.mtls import PortMode

__all__ = [
    "chain_step",
    "client_tls_step",
    "gateway_chain_of",
    "listener_step",
    "mode_of",
    "mode_place",
    "servers_at",
    "servers_of",
]

_PROTOCOLS = {"tls": "TLS", "raw_buffer": "plaintext"}


def listener_step(context: HopContext) -> Step:
    """Explain which listener took the connection."""
    line, hop = context.line, context.hop
    name = f"listener {line.listener}"
    match hop.direction:
        case "gateway":
            places = tuple(dict.fromkeys(place_of(each.server.where) for each in servers_at(context)))
            return Step("listener", "passed", f"port {hop.port} of the gateway, {name}", places)
        case "inbound":
            return Step("listener", "passed", f"port {hop.port} of the workload, {name}")
    return Step("listener", "passed", f"the connection to {line.destination}, {name}")


def chain_step(context: HopContext) -> Step:
    """Explain which filter chain took the connection and why; or why none did."""
    places = tuple(_chain_places(context))
    chains = named_chains(context.listener) if context.listener else {}
    if context.chain is None:
        details = tuple(
            f"{name} takes {_wanted(chain)}{_missed(chain, context)}" for name, chain in chains.items()
        )
        text = f"none takes {_shown(context)}"
        return Step("filter chain", "refused", text, places, details, context.line.details)
    match = context.chain.get("filterChainMatch") or {}
    inside = "HTTP" if context.manager else "connections as they are"
    text = f"it takes {_wanted(context.chain)} for {inside}"
    if not match and len(chains) == 1:
        text = f"the only one, for {inside}"
    return Step("filter chain", "passed", text, places, (f"the client's connection: {_shown(context)}",))


def client_tls_step(context: HopContext, state: State) -> Step | None:
    """Explain TLS with the client and its identity; `None` for connections of an application to its own proxy."""
    line = context.line
    if context.hop.direction == "outbound" and not line.tls_version:
        return None
    places = tuple(_chain_places(context))
    if state == "refused":
        text = f"TLS with the client failed: {tls_failure(line.downstream_failure)}"
        return Step("TLS", state, text, places, (), line.downstream_failure)
    if not line.tls_version:
        ended = (context.chain or {}).get("transportSocket")
        text = "the client speaks plaintext, so it has no identity"
        if context.client_speaks_tls and not ended:
            text = f"the client's TLS is passed on as it is (server name {line.sni or 'none'}): no identity"
        return Step("TLS", state, text, places)
    peer = f"the client's certificate is {line.peer}" if line.peer else "the client shows no certificate"
    return Step("TLS", state, f"{line.tls_version}, {peer}", places, (f"cipher {line.tls_cipher}",))


def servers_at(context: HopContext) -> list[MergedServer]:
    """Return the servers of Gateways at the hop's port."""
    ports = context.mesh.gateway_ports(context.workload).ports
    return [server for port in ports if port.number == context.hop.port for server in port.servers]


def servers_of(context: HopContext) -> list[MergedServer]:
    """Return the servers of Gateways behind the filter chain that took the connection."""
    found = gateway_chain_of(context)
    return list(found.servers) if found else []


def gateway_chain_of(context: HopContext) -> GatewayChain | None:
    """Return what the filter chain of a gateway that took the connection is made from."""
    if context.hop.direction != "gateway" or context.listener is None or context.chain is None:
        return None
    index = list(named_chains(context.listener)).index(context.line.chain)
    for port in context.mesh.gateway_ports(context.workload).ports:
        if port.number == context.hop.port:
            chains = gateway_chains(context.mesh, context.workload, port)
            return chains[index] if index < len(chains) else None
    return None


def mode_of(context: HopContext) -> PortMode:
    """Return the mTLS mode of a sidecar's port, and the PeerAuthentication that sets it."""
    return port_mode(
        context.mesh.attached_to(context.workload, context.mesh.peer_authentications),
        namespace=context.workload.ref.namespace,
        root_namespace=context.mesh.root_namespace,
        port=context.hop.port,
    )


def mode_place(found: PortMode, port: int) -> Where | None:
    """Return the field that sets a mode; `None` for Istio's default."""
    if found.policy is None:
        return None
    spec = Where(found.policy.attachment.where.manifest, ("spec",))
    return spec.key("portLevelMtls", str(port), "mode") if found.of_port else spec.key("mtls", "mode")


def _chain_places(context: HopContext) -> Iterator[Place]:
    match context.hop.direction:
        case "gateway":
            servers = servers_of(context) or servers_at(context)
            yield from dict.fromkeys(place_of(each.server.where) for each in servers)
        case "inbound":
            where = mode_place(mode_of(context), context.hop.port)
            if where:
                yield place_of(where)


def _wanted(chain: Json) -> str:
    """Return which connections a filter chain takes, in words."""
    match = chain.get("filterChainMatch") or {}
    parts = []
    if "transportProtocol" in match:
        parts.append(_PROTOCOLS.get(match["transportProtocol"], match["transportProtocol"]))
    if names := match.get("serverNames"):
        parts.append(f"server name {' or '.join(names)}")
    if protocols := match.get("applicationProtocols"):
        parts.append(f"application protocol {' or '.join(protocols)}")
    if ranges := match.get("prefixRanges"):
        shown = (f"{each['addressPrefix']}/{each['prefixLen']}" for each in ranges)
        parts.append(f"address {' or '.join(shown)}")
    if "destinationPort" in match:
        parts.append(f"port {match['destinationPort']}")
    return ", ".join(parts) or "every connection"


def _missed(chain: Json, context: HopContext) -> str:
    """Return which part of a chain's conditions the connection does not meet; empty where that is not known."""
    match = chain.get("filterChainMatch") or {}
    speaks_tls = context.client_speaks_tls
    transport = match.get("transportProtocol")
    if transport == "tls" and speaks_tls is False:
        return "; the client spoke plaintext"
    if transport == "raw_buffer" and speaks_tls:
        return "; the client spoke TLS"
    names = match.get("serverNames")
    if names and not any(_covers(name, context.line.sni.lower()) for name in names):
        return f"; the client asked for {context.line.sni or 'no server name'}"
    if match.get("applicationProtocols"):
        return "; the client offered none of these protocols"
    return ""


def _covers(pattern: str, name: str) -> bool:
    pattern = pattern.lower()
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def _shown(context: HopContext) -> str:
    line = context.line
    speaks_tls = context.client_speaks_tls
    parts = ["TLS" if speaks_tls else "plaintext" if speaks_tls is False else "a connection"]
    if speaks_tls:
        parts.append(f"server name {line.sni}" if line.sni else "no server name")
    return ", ".join(parts)
