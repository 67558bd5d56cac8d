"""Ways into meshes: each entrance with the proxies behind it and the values that are tried there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.battery import words
from meshlab.battery.absorption import absorbed_at_pod, absorbed_outside
from meshlab.battery.alike import ClientClasses
from meshlab.battery.clauses import Stage, Way
from meshlab.battery.entrances import UNSENDABLE, Entrance
from meshlab.battery.peers import certificates, identities_of, mesh_peers
from meshlab.battery.stages import HTTP, Stages, pod_mode
from meshlab.battery.tokens import tokens
from meshlab.battery.values import ADDRESS, CHANGED, METHOD, NAME, PATH, PEER, TOKEN, Name, Peer, Text
from meshlab.istio.model.credentials import client_ca_resource
from meshlab.istio.read.hosts import full_name, is_subset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.battery.clauses import Atom
    from meshlab.battery.values import Value
    from meshlab.istio import Mesh, Workload
    from meshlab.istio.model.registry import MeshService
    from meshlab.istio.read.gateway import Server
    from meshlab.istio.read.names import WorkloadRef
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["Ways"]

_UNKNOWN_ADDRESS = "203.0.113.9"
"""An address of the ranges for documentation (RFC 5737)."""


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
                opened = (
                    {port.number for port in mesh.gateway_ports(workload).ports}
                    if workload.is_gateway
                    else set()
                )
                for _, server in mesh.servers(workload) if workload.is_gateway else ():
                    if mesh.target_port(workload, server.port) not in opened or _in_mesh(server):
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
            atoms = _atoms(found)
            usual = _usual(atoms)
            identities = [
                each
                for atom in atoms.get(PEER, ())
                for each in identities_of(atom, self._meshes[0].trust_domain)
            ]
            peers = _outside_peers([server for _, _, server in servers], identities, self._stranger)
            values = self._values(entrance, atoms, found, usual, peers)
            asks = [server for _, _, server in servers]
            yield entrance, Way(entrance.key, found, values, absorbed_outside(rules, asks, atoms))

    def _pods(self) -> Iterator[tuple[Entrance, Way]]:
        seen: dict[Entrance, list[tuple[int, Workload]]] = {}
        for number, mesh in enumerate(self._meshes):
            for workload in mesh.workloads:
                for port, http, host in _pod_ports(mesh, workload):
                    entrance = Entrance("pod", workload.ref, port, "http" if http else "tcp", host)
                    known = next((each for each in seen if each.key == entrance.key), entrance)
                    seen.setdefault(known, []).append((number, workload))
        for entrance, places in seen.items():
            stages = tuple(
                self._stages[number].pod(workload, entrance.port, http=entrance.speaks == "http")
                for number, workload in places
            )
            atoms = _atoms(stages)
            mesh = self._meshes[places[0][0]]
            strict = all(
                workload.is_gateway or pod_mode(self._meshes[number], workload, entrance.port) == "STRICT"
                for number, workload in places
            )
            peers: tuple[Peer, ...] = (Peer("plaintext"),)
            if places[0][1].injected:
                domain = mesh.trust_domain
                peers = mesh_peers(self._known, atoms.get(PEER, ()), domain, self._stranger, strict=strict)
            values = self._values(entrance, atoms, stages, _usual(atoms) or entrance.host, peers)
            rules = [self._stages[number].token_rules(workload) for number, workload in places]
            yield entrance, Way(entrance.key, stages, values, absorbed_at_pod(rules, strict=strict))

    def _from_clients(self) -> Iterator[tuple[Entrance, Way]]:
        classes = ClientClasses(self._meshes, self._clients)
        by_ref = {client.ref: client for client in self._clients}
        for (host, port, protocol), services in self._hosts().items():
            found = classes.of(self._servers(host, port, services))
            own = {each.workload for _, service in services for each in service.endpoints.get(port, ())}
            # What a policy makes of a server's own identity is asked past the sidecar. Its routes are not.
            seen = {classes.sight(each) for alike in found for each in alike if own != {each.ref}}
            for alike in found:
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
            yield from _to_strangers(alike)

    def _hosts(self) -> dict[tuple[str, int, str], list[tuple[int, MeshService]]]:
        """Return what clients may ask for: host, port and protocol, with the services of each mesh that have it."""
        found: dict[tuple[str, int, str], list[tuple[int, MeshService]]] = {}
        for number, mesh in enumerate(self._meshes):
            for service in mesh.registry.services:
                for port in service.ports if service.resolution != "alias" else ():
                    if port.protocol != "udp":
                        host = service.hostname.replace("*", "any", 1)
                        found.setdefault((host, port.number, port.protocol), []).append((number, service))
        return found

    def _servers(
        self, host: str, port: int, services: Sequence[tuple[int, MeshService]]
    ) -> set[WorkloadRef] | None:
        """Return the workloads behind a host; `None` where a route of a sidecar may lead elsewhere."""
        for mesh in self._meshes:
            for each in mesh.virtual_services:
                if any(is_subset(host, full_name(name, each.namespace)) for name in each.hosts):
                    return None
        endpoints = (each for _, service in services for each in service.endpoints.get(port, ()))
        return {each.workload for each in endpoints if each.workload is not None}

    def _client_way(
        self, client: Workload, entrance: Entrance, services: Sequence[tuple[int, MeshService]]
    ) -> Way:
        stages: dict[int, Stage] = {}
        for number, service in services:
            if number not in stages:
                http = entrance.speaks == "http"
                stages[number] = self._stages[number].client(
                    client, service, entrance.host, entrance.port, http=http
                )
        found = tuple(stages.values())
        atoms = _atoms(found)
        values = self._values(entrance, atoms, found, entrance.host, (Peer("open"),))
        return Way(entrance.key, found, values)

    def _first(
        self, entrance: Entrance, dimension: str, found: Sequence[Atom], stages: Sequence[Stage]
    ) -> Sequence[Atom]:
        """Return conditions; of very many, those that only one of the meshes has come first, and the cut is named."""
        if len(found) <= words.MOST_NAMED:
            return found
        self._unread[f"{len(found) - words.MOST_NAMED} more values of the {dimension} at {entrance.ref}"] = (
            None
        )
        shared = set.intersection(*(set(_atoms([stage]).get(dimension, ())) for stage in stages))
        return sorted(found, key=lambda atom: atom in shared)

    def _values(
        self,
        entrance: Entrance,
        atoms: Mapping[str, Sequence[Atom]],
        stages: Sequence[Stage],
        usual: str,
        peers: tuple[Peer, ...],
    ) -> dict[str, tuple[Value, ...]]:
        every = [each for first in stages for each in first.walk()]
        others = entrance.kind != "client"
        values: dict[str, tuple[Value, ...]] = {PEER: peers}
        atoms = {
            dimension: self._first(entrance, dimension, found, stages) for dimension, found in atoms.items()
        }
        named = atoms.get(NAME, ())
        if entrance.speaks == "tcp":
            if entrance.tls or named:
                values[NAME] = words.names(usual, named, entrance.port, sni=entrance.tls, others=others)
        else:
            rules: list[JwtRule] = []
            for stage in every:
                rules += [rule for rule in stage.token_rules if rule not in rules]
            values[TOKEN] = tokens((clause.token for stage in every for clause in stage.clauses), rules)
            # A client with mTLS of the mesh names a server, too; a sidecar does not look at it, a gateway does.
            sni = entrance.tls or (entrance.kind == "pod" and any(stage.routes for stage in every))
            values[NAME] = words.names(usual, named, entrance.port, sni=sni, others=others)
            if entrance.kind == "client" and not any(
                atom.dimension == NAME
                for stage in every
                if stage.swept
                for clause in stage.clauses
                for atom in clause.atoms
            ):
                # What a Host of another name does is asked past the sidecar.
                values[NAME] = (Name(usual),)
            values[METHOD] = words.methods(atoms.get(METHOD, ()))
            values[PATH] = words.paths(atoms.get(PATH, ()), _spelt(every, entrance))
            for dimension, found in atoms.items():
                kind, colon, name = dimension.partition(":")
                if not colon:
                    continue
                if kind == "header" and name in UNSENDABLE:
                    self._unread[f"the header {name}, which belongs to the connection"] = None
                    continue
                values[dimension] = words.texts(found, "websocket" if name == "upgrade" else "x")
            changed = dict.fromkeys(
                name
                for stage in every
                for clause, _ in stage.routes
                for name in clause.headers
                if name not in (*UNSENDABLE, "authorization", "upgrade")
            )
            if changed:
                values[CHANGED] = (Text(""), Text(",".join(sorted(changed))))
        if atoms.get(ADDRESS) and entrance.kind == "gateway":
            values[ADDRESS] = words.addresses(atoms[ADDRESS])
        elif atoms.get(ADDRESS):
            self._unread[f"addresses of clients of {entrance.ref}"] = None
        return values


def _to_strangers(alike: Sequence[Workload]) -> Iterator[tuple[Entrance, Way]]:
    """Yield the ways to servers that no manifest names, which only the mesh's settings and a Sidecar decide about."""
    ref, *more = (client.ref for client in alike)
    others = tuple(map(str, more))
    http = Entrance("client", ref, 80, "http", words.STRANGER, alike=others)
    tls = Entrance("client", ref, 443, "tcp", words.STRANGER, tls=True, alike=others)
    tcp = Entrance("client", ref, 5432, "tcp", _UNKNOWN_ADDRESS, alike=others)
    for entrance in (http, tls, tcp):
        yield entrance, Way(entrance.key, (Stage(entrance.host, entrance.host),), {PEER: (Peer("open"),)})


def _identities(meshes: Sequence[Mesh]) -> dict[str, WorkloadRef]:
    found: dict[str, WorkloadRef] = {}
    for mesh in meshes:
        for workload in mesh.workloads:
            if workload.injected:
                found.setdefault(workload.identity(mesh.trust_domain), workload.ref)
    return found


def _atoms(stages: Sequence[Stage]) -> dict[str, list[Atom]]:
    found: dict[str, dict[Atom, None]] = {}
    for stage in (each for first in stages for each in first.walk()):
        for clause in stage.clauses:
            for atom in clause.atoms:
                found.setdefault(atom.dimension, {})[atom] = None
        for atom in stage.watched:
            found.setdefault(atom.dimension, {})[atom] = None
    return {dimension: list(atoms) for dimension, atoms in found.items()}


def _usual(atoms: Mapping[str, Sequence[Atom]]) -> str:
    """Return the first host that a condition names; empty for none."""
    for atom in atoms.get(NAME, ()):
        for member in atom.pattern.members("any") if atom.pattern is not None else ():
            if words.is_host(member) and ":" not in member:
                return member
    return ""


def _spelt(stages: Sequence[Stage], entrance: Entrance) -> list[Atom]:
    """Return the conditions on paths whose texts are sent in unusual spellings: of policies, else of routes."""
    if entrance.kind == "client":
        return []
    first = [clause for stage in stages if stage.swept for clause in (*(stage.allow or ()), *stage.deny)]
    routes = [clause for stage in stages if stage.swept for clause, _ in stage.routes]
    for clauses in (first, routes):
        found = {
            atom: None
            for clause in clauses
            for requirement in clause.requirements
            if requirement.dimension == PATH
            for atom in requirement.atoms
        }
        if found:
            return list(found)
    return []


def _in_mesh(server: Server) -> bool:
    return server.tls is not None and server.tls.mode == "ISTIO_MUTUAL"


def _pod_ports(mesh: Mesh, workload: Workload) -> Iterator[tuple[int, bool, str]]:
    """Yield the ports of a pod that clients in the mesh may connect to, whether they speak HTTP, and a usual host."""
    if workload.is_gateway:
        opened = {port.number for port in mesh.gateway_ports(workload).ports}
        found = {}
        for _, server in mesh.servers(workload):
            target = mesh.target_port(workload, server.port)
            if _in_mesh(server) and target in opened:
                found[target] = server.is_https or server.is_plain_http
        for target, http in found.items():
            yield target, http, "any.example"
        return
    for port in workload.ports:
        yield (
            port.number,
            port.protocol in HTTP,
            port.service or f"{workload.ref.name}.{workload.ref.namespace}",
        )


def _outside_peers(servers: Sequence[Server], identities: Sequence[str], stranger: str) -> tuple[Peer, ...]:
    authorities: list[str] = []
    names: list[str] = []
    for server in servers:
        tls = server.tls
        if tls is not None and server.is_tls and tls.asks_for_certificate:
            authority = client_ca_resource(tls)
            if authority is not None and authority.credential:
                authorities.append(authority.credential)
                names += tls.subject_alt_names
    return certificates(authorities, names, identities, stranger) if authorities else (Peer("open"),)
