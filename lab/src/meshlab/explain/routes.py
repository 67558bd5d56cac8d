"""The step of the route: which entry of which VirtualService took the request, or why none did."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.bench.evidence.instrument import route_mark
from meshlab.explain.connections import gateway_chain_of, servers_at, servers_of
from meshlab.explain.explanation import Step
from meshlab.explain.places import place_of, safe
from meshlab.istio.envoy.routes.route_match import is_for, route_match
from meshlab.istio.envoy.routes.settings import ProxyView
from meshlab.istio.model.delegates import merge_delegates
from meshlab.istio.model.virtual_services import MESH
from meshlab.istio.read.hosts import is_subset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.explain.context import HopContext
    from meshlab.explain.explanation import Place, State
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = ["chosen_cluster", "missed_parts", "route_step", "route_where", "virtual_host_of"]

_CONFIG = re.compile(r"/namespaces/([^/]+)/virtual-service/(.+)")
_SHOWN = 12


def route_step(context: HopContext, state: State) -> Step | None:
    """Explain the route; `None` at the inbound side, where all requests go to the application."""
    if context.hop.direction == "inbound":
        return None
    if context.manager is None:
        return _connection_route(context, state)
    host, route = _chosen(context)
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


def route_where(context: HopContext, host: Json | None, route: Json) -> Where | None:
    """Return the entry of `http` or of its `match` that a route is made from; `None` for one that Istio adds."""
    config = route.get("metadata", {}).get("filterMetadata", {}).get("istio", {}).get("config", "")
    found = _CONFIG.search(config)
    service = _virtual_service(context, found[1], found[2]) if found else None
    if service is None or host is None:
        return None
    wanted = route.get("match")
    for entry in service.http:
        for index, match in enumerate(entry.matches or (None,)):
            if match is not None and not _is_here(context, match):
                continue
            name = f"{entry.name}.{match.name}" if match and match.name else entry.name
            if route_match(match, segments=service.gateway_api) == wanted and name == route.get("name", ""):
                return entry.where.key("match").item(index) if match else entry.where
    return service.where


def virtual_host_of(context: HopContext, authority: str) -> Json | None:
    """Return the virtual host for a host header, as Envoy chooses it: exact names first, then the longest wildcard."""
    if context.manager is None:
        return None
    hosts: Sequence[Json] = context.manager.get("routeConfig", {}).get("virtualHosts", [])
    name = authority.lower()
    if not name.startswith("[") and name.count(":") == 1:
        name = name.partition(":")[0]
    best: tuple[int, Json] | None = None
    for host in hosts:
        for domain in (str(each).lower() for each in host["domains"]):
            if domain == name:
                return host
            fits = domain == "*" or (
                (domain.startswith("*") and name.endswith(domain[1:]))
                or (domain.endswith("*") and name.startswith(domain[:-1]))
            )
            if fits and (best is None or len(domain) > best[0]):
                best = len(domain), host
    return best[1] if best else None


def chosen_cluster(context: HopContext) -> str:
    """Return the cluster that the request went to, or that its route names where there is none of that name."""
    if context.line.cluster or context.manager is None:
        return context.line.cluster
    _, route = _chosen(context)
    return _cluster(route) if route else ""


def missed_parts(context: HopContext, route: Json) -> Iterator[str]:
    """Yield the conditions of a route that the request does not meet."""
    match = route.get("match", {})
    seen = context.seen
    path = (seen.value("paths") or "/").partition("?")[0]
    if "path" in match and path != match["path"]:
        yield f"path {match['path']}"
    if "prefix" in match and not path.startswith(match["prefix"]):
        yield f"path prefix {match['prefix']}"
    if "pathSeparatedPrefix" in match:
        prefix = match["pathSeparatedPrefix"]
        if not (path == prefix or path.startswith(f"{prefix}/")):
            yield f"path prefix {prefix}, of whole segments"
    if "safeRegex" in match and not _fits(match["safeRegex"]["regex"], path):
        yield f"path {match['safeRegex']['regex']}"
    for header in match.get("headers", []):
        if header["name"] == ":method" and header.get("stringMatch", {}).get("exact") not in (
            None,
            context.line.method,
        ):
            yield f"method {header['stringMatch']['exact']}"
        elif header["name"] not in (":method", ":scheme"):
            yield f"header {header['name']}"
    yield from (f"query parameter {each['name']}" for each in match.get("queryParameters", []))
    yield from (
        f"claim {'.'.join(part['key'] for part in each['path'][1:])}"
        for each in match.get("dynamicMetadata", [])
    )


def _fits(regex: str, path: str) -> bool:
    try:
        return re.fullmatch(regex, path) is not None
    except re.error:
        return False


def _chosen(context: HopContext) -> tuple[Json | None, Json | None]:
    """Return the virtual host and the route that Envoy chose."""
    hosts: Sequence[Json] = (context.manager or {}).get("routeConfig", {}).get("virtualHosts", [])
    for host_index, host in enumerate(hosts):
        for route_index, route in enumerate(host.get("routes", [])):
            if route_mark(host_index, route_index) == context.line.route_mark:
                return host, route
    return virtual_host_of(context, context.line.authority), None


def _virtual_service(context: HopContext, namespace: str, name: str) -> VirtualService | None:
    merged = merge_delegates(context.mesh.virtual_services, context.mesh.settings.virtual_service_export_to)
    return next((each for each in merged if (each.namespace, each.name) == (namespace, name)), None)


def _is_here(context: HopContext, match: object) -> bool:
    from meshlab.istio.read.virtual_service import HttpMatch

    if not isinstance(match, HttpMatch):
        return True
    view = ProxyView(context.workload.labels, context.workload.ref.namespace)
    if context.hop.direction == "outbound":
        return is_for(match, view, (MESH,), context.hop.port)
    return any(
        is_for(match, view, (str(merged.gateway),), merged.server.port) for merged in servers_of(context)
    )


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
    return f"it goes to cluster {line.cluster or _cluster(route)}{changed}"


def _cluster(route: Json) -> str:
    action = route.get("route", {})
    if "cluster" in action:
        return str(action["cluster"])
    weighted = action.get("weightedClusters", {}).get("clusters", [])
    return " or ".join(str(each.get("name")) for each in weighted) or "none"


def _no_route(context: HopContext, host: Json | None) -> Step:
    authority = context.line.authority
    details = []
    if host is None or str(host["name"]).startswith("blackhole:"):
        text = f"no route: no VirtualService of these servers has the host {safe(authority)!r}"
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
    hosts: Sequence[Json] = (context.manager or {}).get("routeConfig", {}).get("virtualHosts", [])
    names = [
        domain for host in hosts for domain in host["domains"] if not host["name"].startswith("blackhole:")
    ]
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    found = [f"hosts with routes here: {shown or 'none'}"]
    servers = servers_of(context) or servers_at(context)
    for merged in servers:
        hosts_of_server = ", ".join(each.key for each in merged.server.hosts)
        found.append(
            f"server of Gateway {merged.gateway}: port {merged.server.port}, hosts {hosts_of_server}"
        )
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
