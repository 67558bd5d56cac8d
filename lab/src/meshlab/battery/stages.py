"""The proxies behind each entrance of one mesh, with the conditions of each.

A route leads to the next proxy, so a gateway in the way of another one has the conditions of both. Rewrites are not
followed: a condition behind one is asked with the words that it has, and what comes of it is Envoy's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.arrival import Arrival
from meshlab.battery.clauses import Atom, Clause, Stage
from meshlab.battery.entry import entry, peers_watched, tokens_watched
from meshlab.battery.onward_routes import gateway_routes, hosts_of_routes, sidecar_routes
from meshlab.battery.pod_stages import PodStages
from meshlab.battery.request_values import Peer
from meshlab.battery.route_clauses import Place, server_name
from meshlab.battery.token_rules import Forwarding
from meshlab.bench.authorities import MESH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshlab.battery.onward_routes import OnwardRoute
    from meshlab.istio import Mesh, Workload
    from meshlab.istio.model.registry import MeshService, ServiceEndpoint
    from meshlab.istio.read.gateway import Server
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["HTTP", "Stages"]

HTTP = ("http", "http2", "auto")
_MOST_DEPTH = 3


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
        return self._gateway(workload, port, Arrival(http))

    def pod(self, workload: Workload, port: int, *, http: bool) -> Stage:
        """Return a workload's proxy as those meet it who connect to the pod."""
        if workload.is_gateway:
            own = next((own for own, pod in workload.port_targets.items() if pod == port), port)
            return self._gateway(workload, own, Arrival(http))
        return self._pods.pod(workload, port, Arrival(http))

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
        next_one = Arrival(http, self._peer(workload), swept=False, depth=1)
        found = sidecar_routes(self._mesh, workload, host, port, self._unread, http=http)
        routes = list(self._followed(workload, found, next_one))
        if not routes:
            behind = self._behind(workload, Place(host, port), next_one)
            routes = [(Clause("no route"), stage) for stage in behind] or [(Clause("no route"), None)]
        endpoints = service.endpoints.get(port, ()) if service else ()
        own = next((each.workload for each in endpoints if each.workload), None)
        return Stage(f"sidecar of {workload.ref}", str(own) if own else host, routes=tuple(routes))

    def _peer(self, workload: Workload) -> Peer:
        if not workload.injected:
            return Peer("plaintext")
        return Peer("mtls", workload.identity(self._mesh.trust_domain), MESH, workload=workload.ref)

    def _gateway(self, workload: Workload, port: int, arrival: Arrival) -> Stage:
        name = f"{workload.ref}:{port}"
        rules = self.token_rules(workload)
        target = self._mesh.target_port(workload, port)
        allow, deny = self._pods.policies(workload, self._pods.proxy(target, rules, arrival))

        onward = Arrival(
            arrival.http,
            self._peer(workload),
            Forwarding((*arrival.forwarded.before, rules)),
            # What the gateway does not ask for is asked for behind it, so near misses come that far.
            swept=arrival.swept and allow is None,
            depth=arrival.depth + 1,
        )
        servers = [
            (gateway, server)
            for gateway, server in self._mesh.servers(workload)
            if server.port in (port, target) and _speaks(server, http=arrival.http)
        ]
        hosts = {
            id(server): hosts_of_routes(self._mesh, workload, (gateway, server))
            for gateway, server in servers
        }
        # All servers for plaintext HTTP of one port have one table of routes; TLS parts those of others before.
        plain = {host for _, server in servers if server.is_plain_http for host in hosts[id(server)]}
        routes: list[tuple[Clause, Stage | None]] = []
        watched: list[Atom] = list(tokens_watched(rules)) if arrival.http else []
        watched += peers_watched(arrival.peer, [server for _, server in servers])
        for gateway, server in servers:
            asked = list(entry(server, asks=arrival.peer is None))
            watched += [atom for requirement in asked for atom in requirement.atoms]
            watched += [server_name(host.name) for host in server.hosts if server.is_tls]
            found = gateway_routes(
                self._mesh,
                workload,
                (gateway, server),
                asked,
                self._unread,
                http=arrival.http,
                hosts=plain if server.is_plain_http else hosts[id(server)],
            )
            routes += self._followed(workload, found, onward)
        owner = str(workload.ref)
        return Stage(name, owner, allow, deny, tuple(watched), tuple(routes), arrival.swept, rules)

    def _followed(
        self, workload: Workload, routes: Iterable[OnwardRoute], arrival: Arrival
    ) -> Iterator[tuple[Clause, Stage | None]]:
        """Yield the clause of each route once for each place that the route leads to."""
        for clause, places in routes:
            stages = [stage for place in places for stage in self._behind(workload, place, arrival)]
            if not stages:
                yield clause, None
            for stage in stages:
                yield clause, stage

    def _behind(self, client: Workload, place: Place, arrival: Arrival) -> list[Stage]:
        """Return the proxies behind a place that a client's proxy knows, or the host itself where it is outside."""
        host, port, subset = place
        known = self._mesh.registry.named(host)
        for service in known:
            number = (
                port if port is not None else service.ports[0].number if len(service.ports) == 1 else None
            )
            endpoints = self._of_subset(
                client, service, subset, service.endpoints.get(number, ()) if number is not None else ()
            )
            inside = {each.workload: each.port for each in endpoints if each.workload in self._workloads}
            found: list[Stage] = []
            for ref, target in inside.items():
                workload = self._workloads[ref] if ref else None
                if workload is None or arrival.depth > _MOST_DEPTH:
                    continue
                if workload.is_gateway and number is not None:
                    found.append(self._gateway(workload, number, arrival))
                else:
                    found.append(self._pods.pod(workload, target, arrival))
            if found:
                return found
        outside = {
            each.address
            for service in known
            for endpoints in service.endpoints.values()
            for each in self._of_subset(client, service, subset, endpoints)
            if each.workload is None
        }
        return [Stage(host, host, swept=False, servers=tuple(sorted(outside)))]

    def _of_subset(
        self, client: Workload, service: MeshService, name: str, endpoints: Sequence[ServiceEndpoint]
    ) -> Sequence[ServiceEndpoint]:
        """Return the endpoints of a subset; all where it has none: what becomes of a request then is asked, too."""
        rule = self._mesh.visibility.scope_of(client).rule_for(service, client.labels) if name else None
        subset = rule.subset(name) if rule else None
        if subset is None:
            return endpoints
        chosen = [each for each in endpoints if subset.labels.items() <= each.labels.items()]
        return chosen or endpoints


def _speaks(server: Server, *, http: bool) -> bool:
    return (server.is_plain_http or server.is_https) == http
