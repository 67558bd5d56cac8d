"""Ways into meshes: each entrance with the proxies behind it and the values that are tried there."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from meshlab.battery import request_texts
from meshlab.battery.absorption import absorbed_at_pod, absorbed_outside
from meshlab.battery.asked_hosts import asked_hosts, is_open, servers_behind
from meshlab.battery.clauses import Stage, Way
from meshlab.battery.client_classes import ClientClasses
from meshlab.battery.connecting_peers import identities_of, mesh_peers, outside_peers
from meshlab.battery.entrances import Entrance
from meshlab.battery.pod_ports import is_for_the_mesh, open_ports, pod_ports
from meshlab.battery.pod_stages import pod_mode
from meshlab.battery.request_values import PEER, Peer
from meshlab.battery.stages import HTTP, Stages
from meshlab.battery.tried_values import atoms_of, usual_host, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.istio import Mesh, Workload
    from meshlab.istio.model.registry import MeshService
    from meshlab.istio.read.gateway import Server
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Ways"]

_UNKNOWN_ADDRESS = "203.0.113.9"
"""An address of the ranges for documentation (RFC 5737)."""
_UNKNOWN_PORT = 5432
_MOST_STRANGER_PORTS = 8


class Ways:
    """The ways into one or more meshes.

    Args:
        meshes: The meshes.
        stranger: A certificate authority that no mesh knows.
        unread: Receives what is not asked about.
    """

    def __init__(self, meshes: Sequence[Mesh], stranger: str, unread: dict[str, None]) -> None:
        self._meshes = meshes
        self._stages = [Stages(mesh, unread) for mesh in meshes]
        self._stranger = stranger
        self._unread = unread
        self._known = _identities(meshes)
        found = {workload.ref: workload for mesh in reversed(meshes) for workload in mesh.workloads}
        self._clients = [found[ref] for ref in sorted(found) if not found[ref].is_gateway]

    def all(self) -> Iterator[tuple[Entrance, Way]]:
        """Yield every entrance with its way."""
        yield from self._gateways()
        yield from self._pods()
        yield from self._from_clients()

    def _gateways(self) -> Iterator[tuple[Entrance, Way]]:
        seen: dict[Entrance, list[tuple[int, Workload, Server]]] = {}
        for number, mesh in enumerate(self._meshes):
            for workload in mesh.workloads:
                opened = open_ports(mesh, workload) if workload.is_gateway else set()
                for _, server in mesh.servers(workload) if workload.is_gateway else ():
                    if mesh.target_port(workload, server.port) not in opened or is_for_the_mesh(server):
                        continue
                    speaks: Literal["http", "tcp"] = (
                        "http" if server.is_plain_http or server.is_https else "tcp"
                    )
                    tls = server.is_tls
                    entrance = Entrance("gateway", workload.ref, server.port, speaks, "any.example", tls=tls)
                    seen.setdefault(entrance, []).append((number, workload, server))
        for entrance, servers in seen.items():
            stages: dict[int, Stage] = {}
            for number, workload, _ in servers:
                if number not in stages:
                    http = entrance.speaks == "http"
                    stages[number] = self._stages[number].gateway(workload, entrance.port, http=http)
            found = tuple(stages.values())
            rules = [self._stages[number].token_rules(workload) for number, workload, _ in servers]
            atoms = atoms_of(found)
            usual = usual_host(atoms)
            identities = [
                each
                for atom in atoms.get(PEER, ())
                for each in identities_of(atom, self._meshes[0].trust_domain)
            ]
            peers = outside_peers([server for _, _, server in servers], identities, self._stranger)
            values = values_of(entrance, atoms, found, usual, peers, self._unread)
            asks = [server for _, _, server in servers]
            yield entrance, Way(entrance.key, found, values, absorbed_outside(rules, asks, atoms))

    def _pods(self) -> Iterator[tuple[Entrance, Way]]:
        seen: dict[Entrance, list[tuple[int, Workload]]] = {}
        for number, mesh in enumerate(self._meshes):
            for workload in mesh.workloads:
                for port, http, host in pod_ports(mesh, workload):
                    entrance = Entrance("pod", workload.ref, port, "http" if http else "tcp", host)
                    known = next((each for each in seen if each.key == entrance.key), entrance)
                    seen.setdefault(known, []).append((number, workload))
        for entrance, places in seen.items():
            stages = tuple(
                self._stages[number].pod(workload, entrance.port, http=entrance.speaks == "http")
                for number, workload in places
            )
            atoms = atoms_of(stages)
            mesh = self._meshes[places[0][0]]
            strict = all(
                workload.is_gateway or pod_mode(self._meshes[number], workload, entrance.port) == "STRICT"
                for number, workload in places
            )
            peers: tuple[Peer, ...] = (Peer("plaintext"),)
            if places[0][1].injected:
                domain = mesh.trust_domain
                peers = mesh_peers(self._known, atoms.get(PEER, ()), domain, self._stranger, strict=strict)
            values = values_of(
                entrance, atoms, stages, usual_host(atoms) or entrance.host, peers, self._unread
            )
            rules = [self._stages[number].token_rules(workload) for number, workload in places]
            yield entrance, Way(entrance.key, stages, values, absorbed_at_pod(rules, strict=strict))

    def _from_clients(self) -> Iterator[tuple[Entrance, Way]]:
        classes = ClientClasses(self._meshes, self._clients)
        by_ref = {client.ref: client for client in self._clients}
        for (host, port, protocol), services in asked_hosts(self._meshes).items():
            found = classes.of(servers_behind(self._meshes, host, port, services))
            own = {
                each.workload
                for _, service in services
                if service
                for each in service.endpoints.get(port, ())
            }
            # What a policy makes of a server's own identity is asked past the sidecar. Its routes are not.
            seen = {classes.sight(each) for alike in found for each in alike if own != {each.ref}}
            everyone = is_open(self._meshes, port, services)
            for group in found:
                alike = group if everyone else [each for each in group if each.injected]
                others = [each.ref for each in alike if own != {each.ref}]
                asking = others or [each.ref for each in alike if classes.sight(each) not in seen]
                if not asking:
                    continue
                client, *more = asking
                entrance = Entrance(
                    "client",
                    client,
                    port,
                    "http" if protocol in HTTP else "tcp",
                    host,
                    tls=protocol in ("tls", "https"),
                    alike=tuple(map(str, more)),
                )
                yield entrance, self._client_way(by_ref[client], entrance, services)
        for alike in classes.of(()):
            yield from self._to_strangers(alike)

    def _to_strangers(self, alike: Sequence[Workload]) -> Iterator[tuple[Entrance, Way]]:
        """Yield the ways to servers that no manifest names.

        The mesh's settings and a Sidecar decide about them, and services for TCP: one without an address of its own
        takes every connection to its port.
        """
        ref, *more = (client.ref for client in alike)
        others = tuple(map(str, more))
        entrances = [
            Entrance("client", ref, 80, "http", request_texts.STRANGER, alike=others),
            Entrance("client", ref, 443, "tcp", request_texts.STRANGER, tls=True, alike=others),
            *(
                Entrance("client", ref, port, "tcp", _UNKNOWN_ADDRESS, alike=others)
                for port in self._stranger_ports
            ),
        ]
        for entrance in entrances:
            yield entrance, Way(entrance.key, (Stage(entrance.host, entrance.host),), {PEER: (Peer("open"),)})

    @cached_property
    def _stranger_ports(self) -> list[int]:
        """The ports at which servers for TCP are asked that no manifest names."""
        named = {
            port.number
            for mesh in self._meshes
            for service in mesh.registry.services
            for port in service.ports
            if port.protocol == "tcp"
        }
        if len(named) > _MOST_STRANGER_PORTS:
            self._unread["servers for TCP that no manifest names, at each port of a service"] = None
        return [_UNKNOWN_PORT, *sorted(named - {_UNKNOWN_PORT})[:_MOST_STRANGER_PORTS]]

    def _client_way(
        self, client: Workload, entrance: Entrance, services: Sequence[tuple[int, MeshService | None]]
    ) -> Way:
        stages: dict[int, Stage] = {}
        for number, service in services:
            if number not in stages:
                http = entrance.speaks == "http"
                stages[number] = self._stages[number].client(
                    client, service, entrance.host, entrance.port, http=http
                )
        found = tuple(stages.values())
        atoms = atoms_of(found)
        values = values_of(entrance, atoms, found, entrance.host, (Peer("open"),), self._unread)
        return Way(entrance.key, found, values)


def _identities(meshes: Sequence[Mesh]) -> dict[str, WorkloadRef]:
    found: dict[str, WorkloadRef] = {}
    for mesh in meshes:
        for workload in mesh.workloads:
            if workload.injected:
                found.setdefault(workload.identity(mesh.trust_domain), workload.ref)
    return found
