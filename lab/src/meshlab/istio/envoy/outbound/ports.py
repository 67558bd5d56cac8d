"""Which services share an outbound listener of a sidecar, and who is left out where they cannot.

HTTP services share `0.0.0.0_PORT`, because the host header selects the service. Others have a listener on their own
address, or take a whole port where they have none. Source:
`pilot/pkg/networking/core/listener.go#buildSidecarOutboundListeners`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from meshlab.istio.envoy.outbound.chains import connection_chains, http_chain
from meshlab.istio.envoy.outbound.listener import outbound_listener
from meshlab.istio.model.addresses import NO_ADDRESS
from meshlab.istio.model.registry import MeshPort

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.outbound.chains import Chain
    from meshlab.istio.envoy.outbound.sidecar_context import OutboundContext
    from meshlab.istio.model.registry import MeshService
    from meshlab.istio.model.visibility import EgressScope

__all__ = ["outbound_listeners"]

_Kind = Literal["http", "tcp", "auto"]


def outbound_listeners(context: OutboundContext) -> list[Json]:
    """Return the listeners of a sidecar for the services that it knows, without `virtualOutbound`."""
    ports = _Ports(context)
    for scope in context.scope.egress:
        if scope.listener.port is None:
            ports.lock()
            _add_all(ports, context, scope)
        else:
            own = MeshPort(scope.listener.port.number, "", scope.listener.port.protocol)
            for service in scope.services:
                ports.add(scope, service, own, scope.listener.bind)
    return ports.listeners()


def _add_all(ports: _Ports, context: OutboundContext, scope: EgressScope) -> None:
    for service in scope.services:
        for port in service.ports:
            without_address = (
                not scope.listener.bind
                and service.resolution == "original"
                and service.own_address is None
                and port.protocol in ("tcp", "tls", "auto")
            )
            if not without_address:
                ports.add(scope, service, port, scope.listener.bind)
                continue
            endpoints = service.endpoints.get(port.number, ())
            if not service.is_kubernetes and not endpoints and not service.has_selector:
                ports.add(scope, service, port, "")
            for endpoint in endpoints:
                is_address = endpoint.address[-1:].isdigit()
                if is_address and endpoint.workload != context.workload.ref:
                    ports.add(scope, service, port, endpoint.address)


@dataclass
class _Entry:
    bind: str
    port: int
    kind: _Kind
    chains: list[Chain] = field(default_factory=list)
    locked: bool = False


class _Ports:
    def __init__(self, context: OutboundContext) -> None:
        self._context = context
        self._entries: dict[tuple[str, int], _Entry] = {}

    def listeners(self) -> list[Json]:
        return [
            outbound_listener(self._context, entry.bind, entry.port, entry.chains)
            for _, entry in sorted(self._entries.items())
        ]

    def lock(self) -> None:
        """Keep what there is: the listener without a port adds nothing to ports that others have."""
        for entry in self._entries.values():
            entry.locked = True

    def add(self, scope: EgressScope, service: MeshService, port: MeshPort, bind: str) -> None:
        """Add a service to the listener of a port, or leave it out where another one has the port."""
        kind = _kind(port)
        if service.resolution == "alias" or kind is None:
            return
        ranges: tuple[str, ...] = ()
        if not bind:
            bind = NO_ADDRESS if kind == "http" else service.address
            if "/" in bind:
                bind, ranges = NO_ADDRESS, (bind,)
        entry = self._entries.get((bind, port.number))
        if entry and entry.locked:
            return
        if kind == "http":
            self._add_http(entry, service, port, bind)
            return
        chains = connection_chains(self._context, scope.for_connections, service, port, bind, ranges)
        if kind == "auto" and (entry is None or entry.kind != "auto"):
            chains.append(self._http(service, port, bind, http_only=True, alone=bind != NO_ADDRESS))
        if entry is None or (kind == "auto" and entry.kind == "http"):
            self._entries[bind, port.number] = _Entry(bind, port.number, kind, chains)
            return
        _merge(entry, chains)
        if entry.kind != kind:
            entry.kind = "auto"

    def _add_http(self, entry: _Entry | None, service: MeshService, port: MeshPort, bind: str) -> None:
        on_all = bind == NO_ADDRESS
        if entry is None:
            chain = self._http(service, port, bind, http_only=on_all, alone=False)
            kind: _Kind = "auto" if on_all else "http"
            self._entries[bind, port.number] = _Entry(bind, port.number, kind, [chain])
        elif entry.kind == "tcp":
            _merge(entry, [self._http(service, port, bind, http_only=on_all, alone=False)])
            entry.kind = "auto"
        # Otherwise the listener has HTTP already, and its routes know the service.

    def _http(
        self, service: MeshService, port: MeshPort, bind: str, *, http_only: bool, alone: bool
    ) -> Chain:
        chain = http_chain(self._context, f"{bind}_{port.number}", service, port.number, alone=alone)
        return replace(chain, http_only=http_only)


def _kind(port: MeshPort) -> _Kind | None:
    match port.protocol:
        case "http" | "http2":
            return "http"
        case "tcp" | "tls":
            return "tcp"
        case "auto":
            return "auto"
    return None


def _merge(entry: _Entry, chains: list[Chain]) -> None:
    """Add chains to a listener; one that asks for the same connections as another is left out."""
    for chain in chains:
        if not any(known.conflicts_with(chain) for known in entry.chains):
            entry.chains.append(chain)
