"""Servers of several Gateways on one port of a gateway workload.

Follows `pilot/pkg/model/gateway.go#mergeGateways`: plaintext HTTP shares one port, TLS is distinguished by the
name that the client asks for, and what conflicts with an earlier server is left out. Istio says so in its log alone.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshlab.istio.read.gateway import Gateway, Server

__all__ = [
    "DroppedServer",
    "GatewayPods",
    "GatewayPort",
    "MergedPorts",
    "MergedServer",
    "merge_servers",
    "ordered_gateways",
]


@dataclass(frozen=True)
class GatewayPods:
    """The pods of a gateway workload, as far as its ports depend on them.

    Attributes:
        named_ports: Names that its containers give to ports.
        targets: The ports of its Services to the ports of its pods.
    """

    namespace: str
    labels: Mapping[str, str]
    named_ports: Mapping[str, int]
    targets: Mapping[int, int]

    def behind(self, gateway: Gateway, number: int) -> tuple[int, ...]:
        """Return the pods' ports behind a port that a Gateway declares (`gateway.go#resolvePorts`).

        A Gateway with labels takes the number itself where no Service has it. A listener of the Gateway API takes the
        Services that the Gateway names alone, so that nothing is opened for a port that they do not have.
        """
        if gateway.services is None:
            return (self.targets.get(number, number),)
        found = {
            port.target if isinstance(port.target, int) else self.named_ports.get(port.target)
            for service in gateway.services
            if service.selects(self.namespace, self.labels)
            for port in service.ports
            if port.number == number
        }
        return tuple(sorted(target for target in found if target is not None))


@dataclass(frozen=True)
class MergedServer:
    """A server that counts.

    Attributes:
        gateway: Its Gateway.
        server: The server.
        route_name: What Istio calls the routes behind it; empty for a server that does not speak HTTP.
        sni_hosts: The names that clients ask for to reach it; empty for a server without TLS.
    """

    gateway: Gateway
    server: Server
    route_name: str
    sni_hosts: tuple[str, ...]


@dataclass(frozen=True)
class DroppedServer:
    """A server that Istio leaves out, and why."""

    gateway: Gateway
    server: Server
    reason: str


@dataclass(frozen=True)
class GatewayPort:
    """One listener of a gateway: plaintext servers share a group, as do TLS servers of one protocol.

    Attributes:
        number: The pod's port.
        groups: Servers that are compiled together, in order. The first of a group is the one that opened it.
    """

    number: int
    groups: tuple[tuple[MergedServer, ...], ...]

    @property
    def servers(self) -> Iterator[MergedServer]:
        """All servers of the port."""
        for group in self.groups:
            yield from group

    @property
    def protocol(self) -> str:
        """How the port is spoken to: `http`, `https`, `tls` or `tcp`, by its first server."""
        first = self.groups[0][0].server
        if first.is_plain_http:
            return "http"
        return "https" if first.is_https else "tls" if first.is_tls else "tcp"


@dataclass(frozen=True)
class MergedPorts:
    """Result of the Gateways of a workload."""

    ports: tuple[GatewayPort, ...]
    dropped: tuple[DroppedServer, ...]


def ordered_gateways(gateways: Iterable[Gateway], namespace: str, labels: Mapping[str, str]) -> list[Gateway]:
    """Return the Gateways that select a workload, the oldest first, then by name.

    Where Istio made the pods for a Gateway of the Gateway API, Istio's own Gateways of other namespaces do not count:
    they would get at its certificates (`push_context.go#filterStrictGatewayMerging`).
    """
    chosen = [gateway for gateway in gateways if gateway.selects(namespace, labels)]
    managed = {gateway.namespace for gateway in chosen if gateway.account}
    if managed:
        chosen = [
            gateway for gateway in chosen if gateway.services is not None or gateway.namespace in managed
        ]
    return sorted(chosen, key=lambda gateway: (gateway.created, gateway.name, gateway.namespace))


def merge_servers(gateways: Iterable[Gateway], pods: GatewayPods) -> MergedPorts:
    """Merge the servers of Gateways.

    Args:
        gateways: What selects the workload, in order.
        pods: The pods of the workload.
    """
    merging = _Merging()
    for gateway in gateways:
        for server in gateway.servers:
            for number in pods.behind(gateway, server.port):
                reason = merging.add(gateway, server, number)
                if reason:
                    merging.dropped.append(DroppedServer(gateway, server, reason))
    return MergedPorts(tuple(merging.ports()), tuple(merging.dropped))


@dataclass
class _Merging:
    dropped: list[DroppedServer] = field(default_factory=list)
    _groups: dict[int, dict[tuple[str, str], list[MergedServer]]] = field(default_factory=dict)
    _plaintext: dict[int, tuple[str, str]] = field(default_factory=dict)
    _names: dict[tuple[int, str], str] = field(default_factory=dict)

    def ports(self) -> Iterator[GatewayPort]:
        for number, groups in sorted(self._groups.items()):
            yield GatewayPort(number, tuple(tuple(group) for group in groups.values()))

    def add(self, gateway: Gateway, server: Server, number: int) -> str | None:
        """Add a server. Return why it is left out, or `None`."""
        if server.tls is not None and (taken := self._take_names(server, number)):
            return f"another server of port {number} has {taken}; Istio drops this one."
        merged = MergedServer(gateway, server, _route_name(gateway, server, number), _sni_hosts(server))
        groups = self._groups.setdefault(number, {})
        key = (server.protocol.upper(), server.bind)
        current = self._plaintext.get(number)
        if current is None:
            # TLS does not look for plaintext that comes after it. A plaintext server beside TLS takes what has no TLS.
            if not server.is_tls:
                self._plaintext[number] = key
            groups.setdefault(key, []).append(merged)
            return None
        if current[1] != server.bind:
            if key not in groups and not server.is_tls:
                self._plaintext[number] = key
            groups.setdefault(key, []).append(merged)
            return None
        first = groups[current][0].server
        if not (server.is_plain_http and first.is_plain_http):
            owner = groups[current][0].gateway
            return f"port {number} speaks {first.protocol.upper()} for Gateway {owner}; Istio drops this one."
        groups[current].append(merged)
        return None

    def _take_names(self, server: Server, number: int) -> str:
        keys = [host.key for host in server.hosts]
        taken = [key for key in keys if self._names.get((number, key)) == server.bind]
        if not taken:
            self._names.update(((number, key), server.bind) for key in keys)
        return ", ".join(taken)


def _route_name(gateway: Gateway, server: Server, number: int) -> str:
    bind = f".{server.bind}" if server.bind else ""
    if server.is_plain_http:
        return f"http.{number}{bind}"
    if server.is_https:
        return f"https.{server.port}.{server.port_name}.{gateway.name}.{gateway.namespace}{bind}"
    return ""


def _sni_hosts(server: Server) -> tuple[str, ...]:
    if server.tls is None:
        return ()
    return tuple(sorted({host.name for host in server.hosts}))
