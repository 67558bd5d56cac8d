"""Matches of VirtualServices as clauses, for one port of one proxy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from meshlab.battery.clauses import Atom, Clause, Requirement, TokenDemand, comparison
from meshlab.battery.compared_texts import asked_scheme, asked_server_name, host_with_port, host_without_port
from meshlab.battery.patterns import Pattern, wildcard
from meshlab.battery.policy_atoms import text_atom
from meshlab.battery.request_values import METHOD, NAME, PATH, TOKEN, Token, header, query
from meshlab.istio.model.virtual_services import MESH
from meshlab.istio.read.virtual_service import claim_path
from meshlab.istio.read.virtual_service.headers import is_authority
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshlab.battery.patterns import Kind
    from meshlab.battery.request_values import Value
    from meshlab.istio.read.virtual_service import HttpMatch, TextMatch, VirtualService
    from meshlab.istio.read.virtual_service.l4 import L4Match, TcpRoute, TlsRoute

__all__ = [
    "Place",
    "Proxy",
    "changing",
    "http_clauses",
    "l4_clauses",
    "places_of",
    "route_host",
    "server_name",
]

_PSEUDO = {":method": METHOD, ":path": PATH}
_SENT_EMPTY = ("header", "query")
"""Beginnings of the names of dimensions whose values may be empty."""
_KINDS: Mapping[str, Kind] = {"exact": "exact", "prefix": "prefix", "regex": "regex", "present": "present"}


class Place(NamedTuple):
    """Where a route leads.

    Attributes:
        host: The host.
        port: Its port; `None` for the only one of the service.
        subset: The subset of a DestinationRule; empty for all servers.
    """

    host: str
    port: int | None
    subset: str = ""


@dataclass(frozen=True)
class Proxy:
    """The proxy whose routes are read.

    Attributes:
        port: The port that the client connected to.
        gateway: The Gateway's full name, or `mesh`.
        labels: The labels of its workload.
        namespace: The namespace of its workload.
        unread: Receives what is not asked about.
    """

    port: int
    gateway: str
    labels: Mapping[str, str]
    namespace: str
    unread: dict[str, None]

    def is_for(self, match: HttpMatch | L4Match) -> bool:
        """Return whether a match counts here at all (`istio.envoy.routes.route_match.is_for`)."""
        if match.port not in (None, self.port):
            return False
        if match.gateways:
            return self.gateway in match.gateways
        labels = match.source_labels or {}
        return labels.items() <= self.labels.items() and match.source_namespace in ("", self.namespace)


def http_clauses(
    service: VirtualService, hosts: Iterable[Requirement], proxy: Proxy
) -> Iterator[tuple[Clause, int]]:
    """Yield the clauses of the HTTP rules of a VirtualService, each with the number of its rule.

    Args:
        service: The VirtualService.
        hosts: What must hold before its rules are looked at.
        proxy: The proxy.
    """
    before = tuple(hosts)
    for number, route in enumerate(service.http):
        name = f"route {service.namespace}/{service.name}, rule {number}"
        if not route.matches:
            yield Clause(name, before), number
        for match in route.matches:
            if proxy.is_for(match):
                found = _requirements(match, name, proxy, segments=service.gateway_api)
                yield Clause(name, (*before, *found), _demand(match)), number


def route_host(host: str) -> Atom:
    """Return the atom of a route's host, which takes a Host with any port."""
    return comparison(NAME, f"route host {host}", host_without_port, wildcard(host, ignore_case=True), host)


def server_name(host: str) -> Atom:
    """Return the atom of a server name, as a Gateway's server or a route for TLS asks for it."""
    return comparison(NAME, f"server name {host}", asked_server_name, wildcard(host, ignore_case=True), host)


def _requirements(match: HttpMatch, name: str, proxy: Proxy, *, segments: bool) -> Iterator[Requirement]:
    if match.uri is not None and match.uri.kind != "present":
        pattern = Pattern(
            _KINDS[match.uri.kind],
            match.uri.value,
            ignore_case=match.ignore_uri_case,
            segments=segments and match.uri.kind == "prefix" and match.uri.value != "/",
        )
        yield from _readable(Requirement(PATH, (text_atom(PATH, pattern),)), name, proxy)
    if match.method is not None:
        yield from _readable(Requirement(METHOD, (text_atom(METHOD, _pattern(match.method)),)), name, proxy)
    if match.authority is not None:
        yield from _readable(Requirement(NAME, (_authority(_pattern(match.authority)),)), name, proxy)
    wanted_headers = {**(match.headers or {}), **({":scheme": match.scheme} if match.scheme else {})}
    for headers, wanted in ((wanted_headers, True), (match.without_headers or {}, False)):
        for header_name, text in headers.items():
            atom = _header_atom(header_name, text, proxy, missing_is_empty=not wanted)
            if atom is None:
                proxy.unread[f"the header {header_name} of {name}"] = None
                continue
            found = (
                Requirement(atom.dimension, (atom,)) if wanted else Requirement(atom.dimension, (), (atom,))
            )
            yield from _readable(found, name, proxy)
    for parameter, text in (match.query_params or {}).items():
        dimension = query(parameter)
        # The expression `.*` asks that the parameter is there, as a missing pattern does.
        is_any = (text.kind, text.value) == ("regex", ".*")
        asked = Pattern("present") if is_any else _pattern(text)
        yield from _readable(Requirement(dimension, (text_atom(dimension, asked),)), name, proxy)


def _readable(requirement: Requirement, name: str, proxy: Proxy) -> Iterator[Requirement]:
    for atom in requirement.atoms:
        if atom.pattern is not None and not (atom.pattern.readable() and atom.pattern.members()):
            proxy.unread[f"the expression {atom.pattern.value!r} of {name}"] = None
            return
        named, _, _ = requirement.dimension.partition(":")
        if named not in _SENT_EMPTY and atom in requirement.any_of and atom.pattern == Pattern("exact", ""):
            proxy.unread[f"an empty {requirement.dimension} of {name}"] = None
    yield requirement


def _header_atom(name: str, text: TextMatch, proxy: Proxy, *, missing_is_empty: bool) -> Atom | None:
    path = claim_path(name)
    if path is not None:
        return _claim_atom(path, _pattern(text))
    if name == ":authority":
        return _authority(_pattern(text))
    if name in _PSEUDO:
        return text_atom(_PSEUDO[name], _pattern(text))
    if name == ":scheme" and proxy.gateway == MESH:
        # A gateway knows the scheme by its listener. A sidecar believes this header, which a client may send.
        dimension, pattern = header("x-forwarded-proto"), _pattern(text)
        named = f"scheme {pattern.kind} {pattern.value}"
        return comparison(dimension, named, asked_scheme, pattern, pattern.value)
    if name.startswith(":"):
        return None
    return text_atom(header(name), _pattern(text), missing_is_empty=missing_is_empty)


def _authority(pattern: Pattern) -> Atom:
    name = f"authority {pattern.kind} {pattern.value}"
    return comparison(NAME, name, host_with_port, pattern, pattern.value)


def _claim_atom(path: tuple[str, ...], pattern: Pattern) -> Atom:
    def holds(token: Value) -> bool:
        found = token.claim(path) if isinstance(token, Token) and token.issuer and not token.flaw else None
        texts = (found,) if isinstance(found, str) else found or ()
        return any(pattern.meets(text) for text in texts)

    return Atom(TOKEN, f"route claim {path} {pattern.kind} {pattern.value}", holds, pattern, pattern.value)


def _demand(match: HttpMatch) -> TokenDemand:
    claims, refused = (
        tuple(
            (path, values)
            for name, text in (asked or {}).items()
            if (path := claim_path(name)) is not None and (values := _claim_values(text))
        )
        for asked in (match.headers, match.without_headers)
    )
    return TokenDemand(claims=claims, refused=refused)


def _claim_values(text: TextMatch) -> tuple[str, ...]:
    """Return values of a claim as a policy would name them, near misses of all but exact texts included."""
    if text.kind in ("exact", "prefix"):
        return (f"{text.value}*" if text.kind == "prefix" else text.value,)
    pattern = _pattern(text)
    # A star at an end would stand for any text.
    found = dict.fromkeys((*pattern.members(), *pattern.near_misses()))
    return tuple(each for each in found if each and "*" not in each)


def _pattern(text: TextMatch) -> Pattern:
    return Pattern(_KINDS[text.kind], text.value)


def changing(clause: Clause, service: VirtualService, number: int) -> Clause:
    """Return a clause with the headers that its rule changes."""
    return replace(clause, headers=_headers_changed(service, number))


def _headers_changed(service: VirtualService, number: int) -> tuple[str, ...]:
    """Return the headers that a rule changes on their way to the application."""
    route = service.http[number]
    changes = [route.headers, *(each.headers for each in route.destinations)]
    found = {
        name.lower(): None
        for request in (each.request for each in changes if each is not None)
        for name in (*request.remove, *request.set, *request.add)
        if not is_authority(name)
    }
    return tuple(found)


def places_of(service: VirtualService, number: int) -> list[Place]:
    """Return where an HTTP rule leads; nowhere where it answers itself."""
    route = service.http[number]
    if route.redirect is not None or route.direct_response is not None:
        return []
    return [
        Place(each.destination.host, each.destination.port, each.destination.subset)
        for each in route.destinations
        # A reference of the Gateway API that does not hold leads nowhere.
        if each.destination.host and (each.weight or len(route.destinations) == 1)
    ]


def l4_clauses(
    service: VirtualService, before: Sequence[Requirement], proxy: Proxy
) -> Iterator[tuple[Clause, list[Place]]]:
    """Yield the clauses of the rules for TLS and TCP of a VirtualService, each with where it leads."""
    rules: dict[str, Sequence[TlsRoute | TcpRoute]] = {"tls": service.tls, "tcp": service.tcp}
    for kind, routes in rules.items():
        for number, route in enumerate(routes):
            places = [
                Place(each.destination.host, each.destination.port, each.destination.subset)
                for each in route.destinations
            ]
            name = f"{kind} route {service.namespace}/{service.name}, rule {number}"
            if not route.matches:
                yield Clause(name, tuple(before)), places
            for match in route.matches:
                if not proxy.is_for(match):
                    continue
                atoms = tuple(map(server_name, match.sni_hosts))
                named = (Requirement(NAME, atoms),) if atoms else ()
                yield Clause(name, (*before, *named)), places
