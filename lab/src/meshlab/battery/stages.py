"""The proxies behind each entrance of one mesh, with the conditions of each.

A route leads to the next proxy, so a gateway in the way of another one has the conditions of both. Rewrites are not
followed: a condition behind one is asked with the words that it has, and what comes of it is Envoy's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.clauses import Atom, Clause, Requirement, Stage
from meshlab.battery.entry import entry, peers_watched, tokens_watched
from meshlab.battery.pod_stages import PodStages
from meshlab.battery.request_values import NAME, Peer
from meshlab.battery.route_clauses import (
    Proxy,
    changing,
    http_clauses,
    l4_clauses,
    places_of,
    route_host,
    server_name,
)
from meshlab.battery.token_rules import Forwarding
from meshlab.bench.authorities import MESH
from meshlab.istio.model.virtual_services import for_gateway
from meshlab.istio.read.hosts import full_name, is_subset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.istio import Mesh, Workload
    from meshlab.istio.model.registry import MeshService
    from meshlab.istio.read.gateway import Gateway, Server
    from meshlab.istio.read.request_authentication import JwtRule
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = ["HTTP", "Stages"]

HTTP = ("http", "http2", "auto")
_MOST_DEPTH = 3
_ALL = Forwarding()


class Stages:
    """The stages of one mesh.

    Args:
        mesh: The mesh.
        unread: Receives what is not asked about.
    """

    def __init__(self, mesh: Mesh, unread: dict[str, None]) -> None:
        self._mesh = mesh
        self._unread = unread
        self._pods = PodStages(mesh, unread)
        self._workloads = {workload.ref: workload for workload in mesh.workloads}

    def token_rules(self, workload: Workload) -> tuple[JwtRule, ...]:
        """Return the rules that verify tokens at a workload's proxy."""
        return self._pods.token_rules(workload)

    def gateway(self, workload: Workload, port: int, *, http: bool) -> Stage:
        """Return a gateway as clients outside meet it.

        Args:
            workload: The gateway workload.
            port: The port that they connect to.
            http: Whether they speak HTTP inside of what the gateway takes.
        """
        return self._gateway(workload, port, None, http=http, forwarded=_ALL, depth=0)

    def pod(self, workload: Workload, port: int, *, http: bool) -> Stage:
        """Return a workload's proxy as those meet it who connect to the pod."""
        if workload.is_gateway:
            own = next((own for own, pod in workload.port_targets.items() if pod == port), port)
            return self._gateway(workload, own, None, http=http, forwarded=_ALL, depth=0)
        return self._pods.pod(workload, port, None, http=http, forwarded=_ALL, swept=True)

    def client(
        self, workload: Workload, service: MeshService | None, host: str, port: int, *, http: bool
    ) -> Stage:
        """Return the sidecar of a client that asks for a host and port.

        Args:
            workload: The client.
            service: The service that has the host; `None` where a route alone has it.
            host: The host, without wildcard.
            port: The service's port.
            http: Whether the client speaks HTTP.
        """
        peer = self._peer(workload)
        routes = list(self._mesh_routes(workload, host, port, http=http))
        if not routes:
            behind = self._behind(host, port, peer, http=http, forwarded=_ALL, depth=1, swept=False)
            routes = [(Clause("no route"), stage) for stage in behind] or [(Clause("no route"), None)]
        endpoints = service.endpoints.get(port, ()) if service else ()
        own = next((each.workload for each in endpoints if each.workload), None)
        return Stage(f"sidecar of {workload.ref}", str(own) if own else host, routes=tuple(routes))

    def _peer(self, workload: Workload) -> Peer:
        if not workload.injected:
            return Peer("plaintext")
        return Peer("mtls", workload.identity(self._mesh.trust_domain), MESH, workload=workload.ref)

    def _gateway(
        self,
        workload: Workload,
        port: int,
        peer: Peer | None,
        *,
        http: bool,
        forwarded: Forwarding,
        depth: int,
        swept: bool = True,
    ) -> Stage:
        name = f"{workload.ref}:{port}"
        rules = self.token_rules(workload)
        target = self._mesh.target_port(workload, port)
        here = self._pods.here(target, peer, rules, forwarded, http=http)
        allow, deny = self._pods.policies(workload, here)

        onward = Forwarding((*forwarded.before, rules))
        servers = [
            (gateway, server)
            for gateway, server in self._mesh.servers(workload)
            if server.port in (port, target) and _speaks(server, http=http)
        ]
        routes: list[tuple[Clause, Stage | None]] = []
        watched: list[Atom] = list(tokens_watched(rules)) if http else []
        watched += peers_watched(peer, [server for _, server in servers])
        for gateway, server in servers:
            asked = list(entry(server, asks=peer is None))
            watched += [atom for requirement in asked for atom in requirement.atoms]
            watched += [server_name(host.name) for host in server.hosts if server.is_tls]
            routes += self._server_routes(
                workload,
                gateway,
                server,
                asked,
                onward,
                http=http,
                depth=depth,
                # What the gateway does not ask for is asked for behind it, so near misses come that far.
                swept=swept and allow is None,
            )
        return Stage(name, str(workload.ref), allow, deny, tuple(watched), tuple(routes), swept, rules)

    def _bound(self, workload: Workload, gateway: Gateway) -> list[VirtualService]:
        name = f"{gateway.namespace}/{gateway.name}"
        default = self._mesh.settings.virtual_service_export_to
        return for_gateway(self._mesh, workload, name, default_export_to=default)

    def _server_routes(
        self,
        workload: Workload,
        gateway: Gateway,
        server: Server,
        asked: Sequence[Requirement],
        forwarded: Forwarding,
        *,
        http: bool,
        depth: int,
        swept: bool,
    ) -> Iterator[tuple[Clause, Stage | None]]:
        name = f"{gateway.namespace}/{gateway.name}"
        proxy = Proxy(server.port, name, workload.labels, workload.ref.namespace, self._unread)
        for service in self._bound(workload, gateway):
            shared = [
                common
                for host in service.hosts
                for server_host in server.hosts
                if (common := server_host.shares(service.namespace, host))
            ]
            if not shared:
                continue
            if http:
                atoms = tuple(map(route_host, dict.fromkeys(shared)))
                before = [*asked, Requirement(NAME, atoms)]
                found = [
                    (changing(clause, service, number), places_of(service, number))
                    for clause, number in http_clauses(service, before, proxy)
                ]
            else:
                found = list(l4_clauses(service, asked, proxy))
            for clause, places in found:
                yield from self._led(
                    clause, places, service, workload, forwarded, http=http, depth=depth, swept=swept
                )

    def _led(
        self,
        clause: Clause,
        places: Sequence[tuple[str, int | None]],
        service: VirtualService,
        workload: Workload,
        forwarded: Forwarding,
        *,
        http: bool,
        depth: int,
        swept: bool = False,
    ) -> Iterator[tuple[Clause, Stage | None]]:
        """Yield a clause once for each place that its route leads to."""
        stages = [
            stage
            for host, port in places
            for stage in self._behind(
                full_name(host, service.namespace),
                port,
                self._peer(workload),
                http=http,
                forwarded=forwarded,
                depth=depth + 1,
                swept=swept,
            )
        ]
        if not stages:
            yield clause, None
        for stage in stages:
            yield clause, stage

    def _behind(
        self,
        host: str,
        port: int | None,
        peer: Peer,
        *,
        http: bool,
        forwarded: Forwarding,
        depth: int,
        swept: bool,
    ) -> list[Stage]:
        """Return the proxies behind a host, or the host itself where it is outside."""
        known = self._mesh.registry.named(host)
        for service in known:
            number = (
                port if port is not None else service.ports[0].number if len(service.ports) == 1 else None
            )
            endpoints = service.endpoints.get(number, ()) if number is not None else ()
            inside = {each.workload: each.port for each in endpoints if each.workload in self._workloads}
            found: list[Stage] = []
            for ref, target in inside.items():
                workload = self._workloads[ref] if ref else None
                if workload is None or depth > _MOST_DEPTH:
                    continue
                if workload.is_gateway and number is not None:
                    found.append(
                        self._gateway(
                            workload, number, peer, http=http, forwarded=forwarded, depth=depth, swept=swept
                        )
                    )
                else:
                    found.append(
                        self._pods.pod(workload, target, peer, http=http, forwarded=forwarded, swept=swept)
                    )
            if found:
                return found
        outside = {
            each.address
            for service in known
            for endpoints in service.endpoints.values()
            for each in endpoints
            if each.workload is None
        }
        return [Stage(host, host, swept=False, servers=tuple(sorted(outside)))]

    def _for_host(self, workload: Workload, host: str, port: int) -> list[VirtualService]:
        """Return the VirtualServices that a sidecar follows for a host."""
        scope = self._mesh.visibility.scope_of(workload).egress_for(port) if workload.injected else None
        return [
            each
            for each in (scope.virtual_services if scope else ())
            if any(is_subset(host, full_name(name, each.namespace)) for name in each.hosts)
        ]

    def _mesh_routes(
        self, workload: Workload, host: str, port: int, *, http: bool
    ) -> Iterator[tuple[Clause, Stage | None]]:
        proxy = Proxy(port, "mesh", workload.labels, workload.ref.namespace, self._unread)
        for each in self._for_host(workload, host, port):
            if http:
                found = [
                    (changing(clause, each, number), places_of(each, number))
                    for clause, number in http_clauses(each, (), proxy)
                ]
            else:
                found = list(l4_clauses(each, (), proxy))
            for clause, places in found:
                yield from self._led(clause, places, each, workload, _ALL, http=http, depth=0)


def _speaks(server: Server, *, http: bool) -> bool:
    return (server.is_plain_http or server.is_https) == http
