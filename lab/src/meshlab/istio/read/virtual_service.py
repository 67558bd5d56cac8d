"""VirtualService: which requests of a host go where. Only routes of gateways are compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Fields, Where, spec_of
from meshlab.istio.read.hosts import full_name, host_problem

if TYPE_CHECKING:
    from meshlab.manifest import Manifest

__all__ = [
    "Destination",
    "HttpRoute",
    "Match",
    "Retries",
    "TextMatch",
    "VirtualService",
    "read_virtual_service",
]

_NOT_YET = "is not supported by the lab; remove it."
_ROUTE_FIELDS = ("name", "match", "route", "timeout", "retries")
_ROUTE_REFUSED = dict.fromkeys(
    (
        "corsPolicy",
        "delegate",
        "directResponse",
        "fault",
        "headers",
        "mirror",
        "mirrors",
        "redirect",
        "rewrite",
    ),
    _NOT_YET,
)
_MATCH_FIELDS = (
    "name",
    "uri",
    "ignoreUriCase",
    "method",
    "authority",
    "headers",
    "withoutHeaders",
    "gateways",
    "port",
)
_MATCH_REFUSED = dict.fromkeys(
    ("queryParams", "scheme", "sourceLabels", "sourceNamespace", "statPrefix"), _NOT_YET
)


@dataclass(frozen=True)
class TextMatch:
    """`kind` is `exact`, `prefix`, `regex` or, for headers, `present`."""

    kind: str
    value: str


@dataclass(frozen=True)
class Match:
    """One alternative of a route; everything in it must hold."""

    uri: TextMatch | None
    ignore_uri_case: bool
    headers: tuple[tuple[str, TextMatch], ...]
    without_headers: tuple[tuple[str, TextMatch], ...]
    gateways: tuple[str, ...]
    port: int | None


@dataclass(frozen=True)
class Destination:
    """Where a share of the requests goes; `port` is the Service's port, `None` where the Service has only one."""

    host: str
    port: int | None
    weight: int
    where: Where


@dataclass(frozen=True)
class Retries:
    """A retry policy as written; `attempts` 0 turns retries off."""

    attempts: int
    per_try_timeout_s: float | None
    retry_on: str


@dataclass(frozen=True)
class HttpRoute:
    """One rule of `http`; no match takes every request."""

    name: str
    matches: tuple[Match, ...]
    destinations: tuple[Destination, ...]
    timeout_s: float | None
    retries: Retries | None


@dataclass(frozen=True)
class VirtualService:
    """A VirtualService as read; hosts and gateways are fully qualified."""

    namespace: str
    name: str
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    export_to: tuple[str, ...]
    routes: tuple[HttpRoute, ...]
    where: Where

    def visible_to(self, namespace: str) -> bool:
        """Whether proxies of that namespace see it."""
        return not self.export_to or "*" in self.export_to or namespace in self.export_to


def read_virtual_service(manifest: Manifest) -> VirtualService:
    """Read and check a VirtualService.

    Raises:
        ManifestError: An unknown field, or routes for anything else than gateways.
    """
    refused = {"tcp": _NOT_YET, "tls": _NOT_YET}
    spec = spec_of(manifest, ("hosts", "gateways", "http", "exportTo"), refused)
    hosts = spec.strings("hosts")
    for index, host in enumerate(hosts):
        if problem := host_problem(host):
            raise spec.where.key("hosts").item(index).error(problem)
    routes = spec.items("http", _ROUTE_FIELDS, _ROUTE_REFUSED)
    if not hosts or not routes:
        raise spec.where.error("needs hosts and http; it routes nothing.")
    return VirtualService(
        namespace=manifest.namespace,
        name=manifest.name,
        hosts=tuple(full_name(host, manifest.namespace) for host in hosts),
        gateways=_gateways(spec, manifest.namespace, default=("mesh",)),
        export_to=tuple(manifest.namespace if scope == "." else scope for scope in spec.strings("exportTo")),
        routes=tuple(_route(route, manifest.namespace) for route in routes),
        where=spec.where,
    )


def _gateways(fields: Fields, namespace: str, default: tuple[str, ...]) -> tuple[str, ...]:
    names = fields.strings("gateways") or default
    if "mesh" in names:
        problem = "routes of sidecars (the gateway mesh) are not compiled; name the gateways it is for."
        raise fields.where.key("gateways").error(problem)
    return tuple(name if "/" in name else f"{namespace}/{name}" for name in names)


def _route(route: Fields, namespace: str) -> HttpRoute:
    entries = route.items("route", ("destination", "weight"), {"headers": _NOT_YET})
    if not entries:
        raise route.where.key("route").error("missing; name a destination.")
    destinations = tuple(_destination(entry, namespace, alone=len(entries) == 1) for entry in entries)
    if not any(destination.weight for destination in destinations):
        raise route.where.key("route").error("the weights add up to 0; no destination would ever be chosen.")
    return HttpRoute(
        name=route.string("name"),
        matches=tuple(
            _match(match, namespace) for match in route.items("match", _MATCH_FIELDS, _MATCH_REFUSED)
        ),
        destinations=destinations,
        timeout_s=route.duration_s("timeout"),
        retries=_retries(route) if "retries" in route else None,
    )


def _destination(entry: Fields, namespace: str, *, alone: bool) -> Destination:
    refused = {"subset": "subsets need a DestinationRule, which the lab does not read; remove it."}
    destination = entry.mapping("destination", ("host", "port"), refused)
    port = destination.mapping("port", ("number",))
    weight = entry.integer("weight")
    if weight is not None and weight < 0:
        raise entry.where.key("weight").error("cannot be negative.")
    return Destination(
        host=full_name(destination.required("host"), namespace),
        port=port.port("number") if "port" in destination else None,
        # A single destination takes everything whatever its weight says.
        weight=100 if alone else weight or 0,
        where=destination.where,
    )


def _match(match: Fields, namespace: str) -> Match:
    match.string("name")
    pseudo = [
        (f":{name}", text)
        for name in ("method", "authority")
        if (text := _text_match(match, name)) is not None
    ]
    return Match(
        uri=_text_match(match, "uri"),
        ignore_uri_case=match.boolean("ignoreUriCase"),
        headers=(*pseudo, *_header_matches(match, "headers")),
        without_headers=_header_matches(match, "withoutHeaders"),
        gateways=_gateways(match, namespace, default=()) if "gateways" in match else (),
        port=match.port("port") if "port" in match else None,
    )


def _header_matches(match: Fields, name: str) -> tuple[tuple[str, TextMatch], ...]:
    names = match.string_keys(name)
    headers = match.mapping(name, names)
    for header in names:
        if header.startswith("@"):
            raise headers.where.key(header).error("routes by claims are not supported; remove it.")
    return tuple((header, _text_match(headers, header) or TextMatch("present", "")) for header in names)


def _text_match(fields: Fields, name: str) -> TextMatch | None:
    kinds = ("exact", "prefix", "regex")
    text = fields.mapping(name, kinds)
    found = [kind for kind in kinds if kind in text]
    if len(found) > 1:
        raise text.where.error(f"has {' and '.join(found)}; only one of them can count.")
    if not found:
        return None
    value = text.required(found[0])
    # Istio reads the bare star as presence, though it is no regular expression.
    return TextMatch("present", "") if found == ["regex"] and value == "*" else TextMatch(found[0], value)


def _retries(route: Fields) -> Retries:
    refused = dict.fromkeys(("backoff", "retryIgnorePreviousHosts", "retryRemoteLocalities"), _NOT_YET)
    retries = route.mapping("retries", ("attempts", "perTryTimeout", "retryOn"), refused)
    attempts = retries.integer("attempts")
    if attempts is None or attempts < 0:
        raise retries.where.key("attempts").error("expected how often to try again; 0 turns retries off.")
    return Retries(attempts, retries.duration_s("perTryTimeout"), retries.string("retryOn"))
