"""VirtualService: which requests and connections of a host go where, for gateways and for sidecars.

What Istio's validation refuses (`pkg/config/validation/{validation,virtualservice}.go`) is a `ManifestError`; so is the
little that its validation lets through and Envoy then refuses, because there one mistake stops all routes of a proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import spec_of
from meshlab.istio.read.hosts import domain_problem, full_name, hosts_overlap, is_label
from meshlab.istio.read.virtual_service.cors import Cors, read_cors
from meshlab.istio.read.virtual_service.destination import (
    DESTINATION_FIELDS,
    Destination,
    HttpDestination,
    Mirror,
    read_destination,
    read_mirrors,
    read_weighted_destinations,
)
from meshlab.istio.read.virtual_service.fault import Abort, Delay, Fault, read_fault
from meshlab.istio.read.virtual_service.headers import HeaderChanges, Headers, is_authority, read_headers
from meshlab.istio.read.virtual_service.http_action import (
    DirectResponse,
    Redirect,
    Rewrite,
    read_direct_response,
    read_redirect,
    read_rewrite,
)
from meshlab.istio.read.virtual_service.http_match import (
    MATCH_FIELDS,
    HttpMatch,
    TextMatch,
    claim_path,
    read_match,
)
from meshlab.istio.read.virtual_service.l4 import (
    L4Destination,
    L4Match,
    TcpRoute,
    TlsRoute,
    read_tcp_route,
    read_tls_route,
)
from meshlab.istio.read.virtual_service.protobuf_values import duration_s, gateway_names, integer, percentage
from meshlab.istio.read.virtual_service.retries import Retries, read_retries
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.read.fields import Fields, Where
    from meshlab.manifest import Manifest

__all__ = [
    "Abort",
    "Cors",
    "Delay",
    "Delegate",
    "Destination",
    "DirectResponse",
    "Fault",
    "HeaderChanges",
    "Headers",
    "HttpDestination",
    "HttpMatch",
    "HttpRoute",
    "L4Destination",
    "L4Match",
    "Mirror",
    "Redirect",
    "Retries",
    "Rewrite",
    "TcpRoute",
    "TextMatch",
    "TlsRoute",
    "VirtualService",
    "claim_path",
    "is_authority",
    "read_virtual_service",
]

_ROUTE_FIELDS = (
    "name",
    "match",
    "route",
    "redirect",
    "directResponse",
    "delegate",
    "rewrite",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrors",
    "mirrorPercent",
    "mirror_percent",
    "mirrorPercentage",
    "corsPolicy",
    "headers",
)


@dataclass(frozen=True)
class Delegate:
    """Another VirtualService that holds the routes of a rule."""

    namespace: str
    name: str


@dataclass(frozen=True)
class HttpRoute:
    """One rule of `http`; no match takes every request.

    Attributes:
        mirror: The single mirror of the older form.
        mirror_percentage: The share of it; `None` where only the field below counts.
        mirror_percent: The share of it in the oldest form, whole percents.
        where: Where the rule stands.
    """

    name: str
    matches: tuple[HttpMatch, ...]
    destinations: tuple[HttpDestination, ...]
    redirect: Redirect | None
    direct_response: DirectResponse | None
    delegate: Delegate | None
    rewrite: Rewrite | None
    timeout_s: float | None
    retries: Retries | None
    fault: Fault | None
    mirror: Destination | None
    mirrors: tuple[Mirror, ...]
    mirror_percentage: float | None
    mirror_percent: int | None
    cors: Cors | None
    headers: Headers | None
    where: Where

    @property
    def all_mirrors(self) -> tuple[Mirror, ...]:
        """The mirrors of both forms, each with its share."""
        if self.mirror is None:
            return self.mirrors
        share = self.mirror_percent if self.mirror_percentage is None else self.mirror_percentage
        return (Mirror(self.mirror, share), *self.mirrors)


@dataclass(frozen=True)
class VirtualService:
    """A VirtualService as read; hosts and gateways are fully qualified.

    Attributes:
        hosts: Empty for a delegate, whose rules count where another VirtualService names it.
        gateways: Full names, or `mesh`; `("mesh",)` where none are written.
        export_to: Namespaces or `*`; empty where the mesh's default counts.
        gateway_api: Whether it is made of routes of the Gateway API, whose rules on paths and backends differ.
    """

    namespace: str
    name: str
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    export_to: tuple[str, ...]
    http: tuple[HttpRoute, ...]
    tls: tuple[TlsRoute, ...]
    tcp: tuple[TcpRoute, ...]
    where: Where
    gateway_api: bool = False

    @property
    def is_delegate(self) -> bool:
        """Whether it takes part through another VirtualService only."""
        return not self.hosts

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


def read_virtual_service(manifest: Manifest) -> VirtualService:
    """Read and check a VirtualService.

    Raises:
        ManifestError: An unknown field, or what Istio's validation refuses.
    """
    spec = spec_of(manifest, ("hosts", "gateways", "exportTo", "http", "tls", "tcp"))
    namespace = manifest.namespace
    hosts = tuple(spec.strings("hosts"))
    gateways = gateway_names(spec, namespace)
    at_mesh = not gateways or "mesh" in gateways
    _check_hosts(spec, hosts, at_mesh=at_mesh)
    if not hosts:
        _check_delegate(spec)
    http = tuple(
        _http_route(route, namespace, in_delegate=not hosts) for route in spec.items("http", _ROUTE_FIELDS)
    )
    if at_mesh:
        _refuse_claims(http)
    tls = tuple(
        read_tls_route(route, namespace, hosts, at_mesh="mesh" in gateways)
        for route in spec.items("tls", ("match", "route"))
    )
    tcp = tuple(read_tcp_route(route, namespace) for route in spec.items("tcp", ("match", "route")))
    if not (http or tls or tcp):
        raise spec.where.error("needs http, tls or tcp; it routes nothing.")
    return VirtualService(
        namespace=namespace,
        name=manifest.name,
        hosts=tuple(full_name(host, namespace) for host in hosts),
        gateways=gateways or ("mesh",),
        export_to=_export_to(spec, namespace),
        http=http,
        tls=tls,
        tcp=tcp,
        where=spec.where,
    )


def _check_hosts(spec: Fields, hosts: tuple[str, ...], *, at_mesh: bool) -> None:
    where = spec.where.key("hosts")
    for index, host in enumerate(hosts):
        if at_mesh and host == "*":
            raise where.item(index).error(
                "* is refused by Istio for sidecars (gateway mesh); name the hosts."
            )
        # Clusters' own server names, as AUTO_PASSTHROUGH gateways see them: outbound_.80_._.host.
        generated = not at_mesh and host.startswith("outbound_") and spec.raw("tls") is not None
        if not generated and (problem := domain_problem(host)):
            raise where.item(index).error(problem)
        for other in hosts[:index]:
            if hosts_overlap(other, host):
                raise where.item(index).error(f"{host!r} lies in {other!r} or the other way round; keep one.")


def _check_delegate(spec: Fields) -> None:
    for name in ("gateways", "tls", "tcp"):
        if spec.raw(name) is not None:
            problem = (
                f"a VirtualService without hosts is a delegate and has no {name}; add hosts, or remove it."
            )
            raise spec.where.key(name).error(problem)


def _export_to(spec: Fields, namespace: str) -> tuple[str, ...]:
    found: list[str] = []
    where = spec.where.key("exportTo")
    for index, scope in enumerate(spec.strings("exportTo")):
        resolved = namespace if scope == "." else scope
        if resolved != "*" and not is_label(resolved):
            raise where.item(index).error(f"{scope!r} is refused by Istio; write *, . or a namespace.")
        if resolved in found:
            raise where.item(index).error(f"{scope!r} stands here twice.")
        found.append(resolved)
    if "*" in found and len(found) > 1:
        raise where.error("has * beside others; * alone means every namespace.")
    return tuple(found)


def _refuse_claims(http: tuple[HttpRoute, ...]) -> None:
    for route in http:
        for index, match in enumerate(route.matches):
            for name in (*(match.headers or ()), *(match.without_headers or ())):
                if claim_path(name) is not None:
                    where = route.where.key("match").item(index)
                    raise where.error(f"{name}: routes by claims are for gateways only; name a gateway.")


def _http_route(route: Fields, namespace: str, *, in_delegate: bool) -> HttpRoute:
    matches = tuple(read_match(match, namespace) for match in route.items("match", MATCH_FIELDS))
    if route.raw("mirrorPercent") is not None and route.raw("mirror_percent") is not None:
        raise route.where.key("mirror_percent").error("mirrorPercent is here, too; keep one.")
    oldest = "mirror_percent" if route.raw("mirror_percent") is not None else "mirrorPercent"
    percent = integer(route, oldest)
    if percent is not None and percent > 100:
        raise route.where.key(oldest).error(f"expected a whole number from 0 to 100, found {percent}.")
    has_mirror = route.raw("mirror") is not None
    found = HttpRoute(
        name=route.string("name"),
        matches=matches,
        destinations=read_weighted_destinations(route, namespace),
        redirect=read_redirect(route, tuple(match.uri for match in matches)),
        direct_response=read_direct_response(route),
        delegate=_delegate(route, namespace),
        rewrite=read_rewrite(route),
        timeout_s=duration_s(route, "timeout"),
        retries=read_retries(route),
        fault=read_fault(route),
        mirror=read_destination(route.mapping("mirror", DESTINATION_FIELDS), namespace)
        if has_mirror
        else None,
        mirrors=read_mirrors(route, namespace),
        mirror_percentage=percentage(route, "mirrorPercentage"),
        mirror_percent=percent,
        cors=read_cors(route),
        headers=read_headers(route),
        where=route.where,
    )
    _check_conflicts(found, in_delegate=in_delegate)
    _check_authority(found)
    return found


def _delegate(route: Fields, namespace: str) -> Delegate | None:
    if route.raw("delegate") is None:
        return None
    delegate = route.mapping("delegate", ("name", "namespace"))
    return Delegate(delegate.string("namespace") or namespace, delegate.required("name"))


def _check_conflicts(route: HttpRoute, *, in_delegate: bool) -> None:
    """Refuse actions that exclude each other (`virtualservice.go#validateHTTPRouteConflict`)."""
    where = route.where
    if route.delegate and in_delegate:
        raise where.key("delegate").error("a delegate cannot delegate further.")
    if route.delegate:
        for name, value in (("redirect", route.redirect), ("route", route.destinations)):
            if value:
                raise where.key(name).error(
                    "stands beside delegate; the rules of the delegate say where to go."
                )
        return
    others = [("route", route.destinations), ("fault", route.fault), ("rewrite", route.rewrite)]
    if route.redirect:
        _exclude(where, "redirect", [*others, ("directResponse", route.direct_response)])
        return
    if route.direct_response:
        _exclude(where, "directResponse", others)
        return
    if not route.destinations:
        raise where.key("route").error("missing; write route, redirect, directResponse or delegate.")
    if route.mirror and route.mirrors:
        raise where.error("has mirror and mirrors; only one of them can count.")


def _exclude(where: Where, name: str, others: Sequence[tuple[str, object]]) -> None:
    for other, present in others:
        if present:
            raise where.error(f"has {name} and {other}; only one of them can count.")


def _check_authority(route: HttpRoute) -> None:
    changed = [route.rewrite.authority] if route.rewrite and route.rewrite.authority else []
    if route.headers:
        request = route.headers.request
        changed += [
            value for name, value in (*request.set.items(), *request.add.items()) if is_authority(name)
        ]
    if len(changed) > 1:
        raise route.where.error("changes the authority twice (rewrite.authority, headers.request); keep one.")
