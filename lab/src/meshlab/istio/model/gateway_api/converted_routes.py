"""Routes as VirtualServices.

Follows `pilot/pkg/config/kube/gateway/route_collections.go`: of an HTTP route one VirtualService for each parent and
host, those of several routes merged; of a route for connections one for each parent and host.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from meshlab.istio.model.gateway_api.backends import Backends, shares
from meshlab.istio.model.gateway_api.http_rules import grpc_rules, http_rules
from meshlab.istio.model.gateway_api.listeners import GENERATED
from meshlab.istio.model.gateway_api.merging import KeyedRoute, in_order, merged
from meshlab.istio.model.gateway_api.objects import RouteError, note
from meshlab.istio.read.gateway_api.references import Kind
from meshlab.istio.read.gateway_api.schema_values import GATEWAY_API
from meshlab.istio.read.hosts import is_subset
from meshlab.istio.read.virtual_service import (
    Destination,
    HttpMatch,
    HttpRoute,
    L4Destination,
    L4Match,
    TcpRoute,
    TlsRoute,
    VirtualService,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshlab.istio.model.gateway_api.attachment import Attached, Parents
    from meshlab.istio.model.gateway_api.objects import GatewayApi
    from meshlab.istio.read import gateway_api as source
    from meshlab.istio.read.gateway_api.l4_routes import L4Rule
    from meshlab.istio.read.gateway_api.route import Route
    from meshlab.manifest import Problem

__all__ = ["route_services"]

_HTTP, _GRPC = Kind(GATEWAY_API, "HTTPRoute"), Kind(GATEWAY_API, "GRPCRoute")
_TLS, _TCP = Kind(GATEWAY_API, "TLSRoute"), Kind(GATEWAY_API, "TCPRoute")
_NO_HOST, _NO_SUBSET, _NO_PORT = "internal.cluster.local", "zero-weight", 65535
"""A destination that does not exist, for connections without a backend."""

_Rule = TypeVar("_Rule")


def route_services(api: GatewayApi, parents: Parents, notes: list[Problem]) -> list[VirtualService]:
    """Return all routes as VirtualServices.

    Args:
        api: All objects.
        parents: What routes attach to.
        notes: Receives what is wrong with a route.
    """
    keyed: list[KeyedRoute] = []
    for http_route in api.http_routes:
        keyed += _of_requests(http_route, _HTTP, api, parents, notes, partial(http_rules, http_route))
    for grpc_route in api.grpc_routes:
        keyed += _of_requests(grpc_route, _GRPC, api, parents, notes, partial(grpc_rules, grpc_route))
    found = merged(keyed)
    for tls_route in api.tls_routes:
        found += _tls(tls_route, api, parents, notes)
    for tcp_route in api.tcp_routes:
        found += _tcp(tcp_route, api, parents, notes)
    return found


def _of_requests(
    route: source.HttpRoute | source.GrpcRoute,
    kind: Kind,
    api: GatewayApi,
    parents: Parents,
    notes: list[Problem],
    convert: Callable[[Backends], list[HttpRoute]],
) -> Iterator[KeyedRoute]:
    attached = parents.attached(route, kind, notes)
    for rule in route.rules:
        notes += [note(*each) for each in rule.not_implemented]
    yield from _keyed(route, attached, _by_place(route, kind, attached, api, notes, convert))


def _by_place(
    route: Route,
    kind: Kind,
    attached: Sequence[Attached],
    api: GatewayApi,
    notes: list[Problem],
    convert: Callable[[Backends], list[_Rule]],
) -> dict[bool, list[_Rule]]:
    """Return the rules for gateways and those for the mesh, which differ in what backends they may use."""
    found: dict[bool, list[_Rule]] = {}
    for at_mesh in sorted({each.at_mesh for each in attached}):
        backends = Backends(api, kind, route.namespace, at_mesh=at_mesh, notes=notes)
        try:
            found[at_mesh] = convert(backends)
        except RouteError as error:
            notes.append(error.note)
            found[at_mesh] = []
    return found


def _keyed(
    route: Route, attached: Sequence[Attached], rules: dict[bool, list[HttpRoute]]
) -> Iterator[KeyedRoute]:
    numbers = count()
    for parent in attached:
        own = rules[parent.at_mesh]
        key = parent.gateway
        if parent.at_mesh:
            key = route.namespace
            if parent.ref.port is not None:
                own = [_on_port(rule, parent.ref.port) for rule in own]
                key += f"/{parent.ref.port}"
        if not own:
            continue
        for host in parent.mesh_hosts if parent.at_mesh else route.hostnames or ("*",):
            if parent.serves(host):
                name = f"{route.name}~{next(numbers)}~{GENERATED}"
                service = _virtual_service(route, name, host, parent.gateway)
                yield KeyedRoute(f"{key}/{host}", replace(service, http=in_order(own)))


def _tls(
    route: source.TlsRoute, api: GatewayApi, parents: Parents, notes: list[Problem]
) -> Iterator[VirtualService]:
    attached = parents.attached(route, _TLS, notes)

    def convert(backends: Backends) -> list[TlsRoute]:
        match = L4Match(sni_hosts=route.hostnames or ("*",))
        # Without a match a rule takes nothing.
        return [
            TlsRoute((match,) if _has_share(rule) else (), _l4_destinations(rule, backends))
            for rule in route.rules
        ]

    rules = _by_place(route, _TLS, attached, api, notes, convert)
    numbers = count()
    for parent in attached:
        own = rules[parent.at_mesh]
        hosts = parent.mesh_hosts if parent.at_mesh else route.hostnames or ("*",)
        if parent.at_mesh:
            own = [_on_mesh(rule, parent) for rule in own]
        elif parent.hostname:
            hosts = _common(hosts, parent.hostname)
            own = [limited for rule in own if (limited := _within(rule, parent.hostname)) is not None]
        for host in hosts:
            name = f"{route.name}~tls~{next(numbers)}~{GENERATED}"
            service = _virtual_service(route, name, host, parent.gateway)
            fitting = [_fitting(rule, host) for rule in own] if parent.at_mesh else own
            yield replace(service, tls=tuple(fitting))


def _tcp(
    route: source.TcpRoute, api: GatewayApi, parents: Parents, notes: list[Problem]
) -> Iterator[VirtualService]:
    attached = parents.attached(route, _TCP, notes)

    def convert(backends: Backends) -> list[TcpRoute]:
        return [TcpRoute((), _l4_destinations(rule, backends)) for rule in route.rules]

    rules = _by_place(route, _TCP, attached, api, notes, convert)
    numbers = count()
    for parent in attached:
        own = rules[parent.at_mesh]
        if parent.at_mesh and parent.ref.port is not None:
            own = [replace(rule, matches=(L4Match(port=parent.ref.port),)) for rule in own]
        for host in parent.mesh_hosts if parent.at_mesh else ("*",):
            name = f"{route.name}~tcp~{next(numbers)}~{GENERATED}"
            yield replace(_virtual_service(route, name, host, parent.gateway), tcp=tuple(own))


def _virtual_service(route: Route, name: str, host: str, gateway: str) -> VirtualService:
    return VirtualService(
        namespace=route.namespace,
        name=name,
        hosts=(host,),
        gateways=(gateway,),
        export_to=(),
        http=(),
        tls=(),
        tcp=(),
        where=route.where,
        gateway_api=True,
    )


def _on_port(rule: HttpRoute, port: int) -> HttpRoute:
    matches = rule.matches or (HttpMatch(),)
    return replace(rule, matches=tuple(replace(match, port=port) for match in matches))


def _has_share(rule: L4Rule) -> bool:
    return any(backend.weight for backend in rule.backends)


def _l4_destinations(rule: L4Rule, backends: Backends) -> tuple[L4Destination, ...]:
    found = tuple(
        L4Destination(backends.destination(backend), weight) for backend, weight in shares(rule.backends)
    )
    nowhere = L4Destination(Destination(_NO_HOST, _NO_PORT, _NO_SUBSET, rule.where), 0)
    return found or (nowhere,)


def _on_mesh(rule: TlsRoute, parent: Attached) -> TlsRoute:
    """Return a rule for a service of the mesh: without names of its own it has those of the service."""
    matches = rule.matches
    if len(matches) == 1 and matches[0].sni_hosts == ("*",):
        matches = (replace(matches[0], sni_hosts=parent.mesh_hosts),)
    if parent.ref.port is not None:
        matches = tuple(replace(match, port=parent.ref.port) for match in matches)
    return replace(rule, matches=matches)


def _fitting(rule: TlsRoute, host: str) -> TlsRoute:
    """Return a rule with those of its names that fit a host of a ServiceEntry; a single name is not looked at."""
    if len(rule.matches) != 1 or len(rule.matches[0].sni_hosts) < 2:
        return rule
    (match,) = rule.matches
    names = tuple(name for name in match.sni_hosts if is_subset(name, host) or is_subset(host, name))
    return replace(rule, matches=(replace(match, sni_hosts=names),))


def _within(rule: TlsRoute, hostname: str) -> TlsRoute | None:
    """Return a rule with the names that lie within a listener's host, `None` where there are none."""
    matches = tuple(replace(match, sni_hosts=_common(match.sni_hosts, hostname)) for match in rule.matches)
    return (
        replace(rule, matches=matches) if not matches or any(match.sni_hosts for match in matches) else None
    )


def _common(names: Sequence[str], hostname: str) -> tuple[str, ...]:
    """Return the hosts that names have in common with a host: of two the narrower (`names.go#Intersection`)."""
    found: dict[str, None] = {}
    for name in names:
        if is_subset(name, hostname):
            found[name] = None
        elif is_subset(hostname, name):
            found[hostname] = None
    return tuple(found)
