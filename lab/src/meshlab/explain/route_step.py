"""The step of the route: which entry of which VirtualService took the request, or why none did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.explain.chosen_route import chosen_route, cluster_of, route_where, virtual_hosts
from meshlab.explain.connection_steps import gateway_chain_of, servers_at, servers_of
from meshlab.explain.explanation import Step
from meshlab.explain.manifest_places import place_of, safe
from meshlab.explain.missed_parts import missed_parts
from meshlab.istio.read.hosts import is_subset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.explain.explanation import Place, State
    from meshlab.explain.hop_context import HopContext
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = ["route_step"]

_SHOWN = 12


def route_step(context: HopContext, state: State) -> Step | None:
    """Explain the route; `None` at the inbound side, where all requests go to the application."""
    if context.hop.direction == "inbound":
        return None
    if context.manager is None:
        return _connection_route(context, state)
    host, route = chosen_route(context)
    if route is None:
        if state == "not reached":
            return Step("route", state, "no route was looked for")
        return _no_route(context, host)
    where = route_where(context, host, route)
    text = _action(context, route)
    if where is None:
        kind = "no VirtualService has a route for the request"
        name = str(route.get("name", ""))
        if name in ("allow_any", "block_all"):
            kind = "no Service, ServiceEntry or VirtualService that the proxy sees has the host"
        text = f"{kind}; {text}"
    details = (f"virtual host {host['name']}",) if host else ()
    places = (place_of(where),) if where else ()
    return Step("route", state, text, places, details, context.line.route)


def _action(context: HopContext, route: Json) -> str:
    if redirect := route.get("redirect"):
        return f"a redirection to {safe(redirect.get('hostRedirect', 'the same host'))}"
    if direct := route.get("directResponse"):
        return f"the proxy answers {direct.get('status')} itself"
    line = context.line
    if "fault_filter_abort" in line.details:
        return "the fault of the route ends the request"
    rewritten = route.get("route", {}).get("prefixRewrite") or route.get("route", {}).get("regexRewrite")
    changed = ", with another path" if rewritten else ""
    return f"it goes to cluster {line.cluster or cluster_of(route)}{changed}"


def _no_route(context: HopContext, host: Json | None) -> Step:
    authority = context.line.authority
    details = []
    if host is None or str(host["name"]).startswith("blackhole:"):
        text = f"no route: no VirtualService or HTTPRoute of these servers has the host {safe(authority)!r}"
        details = _hosts_there_are(context)
    elif "requireTls" in host:
        text = "the server redirects plaintext requests to HTTPS"
    else:
        text = (
            f"no route of the host {safe(authority)!r} matches {context.line.method} {safe(_path(context))}"
        )
        details = [
            f"{_name_of(context, host, route)} wants {', '.join(missed_parts(context, route)) or 'something else'}"
            for route in host.get("routes", [])[:_SHOWN]
        ] or [f"virtual host {host['name']} has no route"]
    return Step("route", "refused", text, _server_places(context), tuple(details), context.line.details)


def _path(context: HopContext) -> str:
    return context.seen.value("paths") or context.line.path.partition("?")[0]


def _name_of(context: HopContext, host: Json, route: Json) -> str:
    where = route_where(context, host, route)
    return str(place_of(where)) if where else f"route {route.get('name', '')}"


def _hosts_there_are(context: HopContext) -> list[str]:
    hosts = virtual_hosts(context)
    names = [
        domain for host in hosts for domain in host["domains"] if not host["name"].startswith("blackhole:")
    ]
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    found = [f"hosts with routes here: {shown or 'none'}"]
    servers = servers_of(context) or servers_at(context)
    for merged in servers:
        hosts_of_server = ", ".join(each.key for each in merged.server.hosts)
        gateway = str(merged.gateway).partition("~")[0]
        found.append(f"server of Gateway {gateway}: port {merged.server.port}, hosts {hosts_of_server}")
    return found


def _server_places(context: HopContext) -> tuple[Place, ...]:
    return tuple(dict.fromkeys(place_of(merged.server.where) for merged in servers_of(context)))


def _connection_route(context: HopContext, state: State) -> Step | None:
    cluster = context.line.cluster
    if not cluster:
        return None
    if cluster == "BlackHoleCluster":
        text = f"no Service or ServiceEntry that the proxy sees has the address {context.line.destination}"
        return Step("route", state, text, (), (), cluster)
    if cluster == "PassthroughCluster":
        text = (
            f"no Service or ServiceEntry has the address {context.line.destination}; it is passed on as it is"
        )
        return Step("route", state, text, (), (), cluster)
    places = tuple(_connection_places(context))
    return Step("route", state, f"the connection goes to cluster {cluster}", places)


def _connection_places(context: HopContext) -> Iterator[Place]:
    """Yield the entry of `tls` or `tcp` that leads to the cluster that was chosen."""
    parts = context.line.cluster.split("|")
    host = parts[3] if len(parts) == 4 else ""
    for service in _for_connections(context):
        for index, tls in enumerate(service.tls):
            names = {name for match in tls.matches for name in match.sni_hosts}
            fits = not names or any(is_subset(context.line.sni.lower(), name) for name in names)
            if fits and any(each.destination.host == host for each in tls.destinations):
                yield place_of(service.where.key("tls").item(index))
        for index, tcp in enumerate(service.tcp):
            if any(each.destination.host == host for each in tcp.destinations):
                yield place_of(service.where.key("tcp").item(index))


def _for_connections(context: HopContext) -> Iterator[VirtualService]:
    """Yield the VirtualServices that may have decided on a connection."""
    if context.hop.direction == "gateway":
        chain = gateway_chain_of(context)
        if chain and chain.route:
            yield chain.route.virtual_service
        return
    scope = context.mesh.visibility.scope_of(context.workload).egress_for(context.hop.port)
    yield from scope.for_connections if scope else ()
