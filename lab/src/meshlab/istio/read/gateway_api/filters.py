"""Filters of routes: changes of headers, redirections, rewrites, mirrors, CORS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.istio.read.gateway_api.header_changes import HeaderModifier, read_header_modifier
from meshlab.istio.read.gateway_api.references import MAX_PORT, BackendRef, read_backend
from meshlab.istio.read.gateway_api.schema_values import entries, hostname_problem, texts, whole_number
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.read.fields import Fields, Where

__all__ = [
    "CorsFilter",
    "Filters",
    "MirrorFilter",
    "PathModifier",
    "RedirectFilter",
    "RewriteFilter",
    "read_filters",
]

HTTP_FILTERS = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "CORS": "cors",
    "ExtensionRef": "extensionRef",
    "ExternalAuth": "externalAuth",
}
"""Types of filters of an HTTPRoute, each with the field of its settings."""

GRPC_FILTERS = {
    name: HTTP_FILTERS[name]
    for name in ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef")
}
"""Types of filters of a GRPCRoute, each with the field of its settings."""

_MOST = 16
_REPEATABLE = ("RequestMirror", "ExtensionRef", "ExternalAuth")
_REDIRECT_CODES = (301, 302, 303, 307, 308)
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*")
_INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class PathModifier:
    """A new path: of the whole path, or of the prefix that the match takes."""

    kind: Literal["full", "prefix"]
    value: str


@dataclass(frozen=True)
class RedirectFilter:
    """A redirection; an empty text or `None` leaves that part of the URL as it is."""

    scheme: str
    hostname: str
    port: int | None
    path: PathModifier | None
    code: int


@dataclass(frozen=True)
class RewriteFilter:
    """A new host or path."""

    hostname: str
    path: PathModifier | None


@dataclass(frozen=True)
class MirrorFilter:
    """A service that gets copies of a share of the requests; `percentage` is `None` for all of them."""

    backend: BackendRef
    percentage: float | None


@dataclass(frozen=True)
class CorsFilter:
    """A policy for requests of other origins."""

    allow_origins: tuple[str, ...]
    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    allow_credentials: bool
    max_age_s: int


@dataclass(frozen=True)
class Filters:
    """The filters of a rule or a backend.

    Attributes:
        unsupported: Types that Istio does not have, each with its place.
    """

    request_headers: HeaderModifier | None = None
    response_headers: HeaderModifier | None = None
    redirect: RedirectFilter | None = None
    rewrite: RewriteFilter | None = None
    mirrors: tuple[MirrorFilter, ...] = ()
    cors: CorsFilter | None = None
    unsupported: tuple[tuple[str, Where], ...] = ()
    types: tuple[tuple[str, Where], ...] = ()


def read_filters(rule: Fields, namespace: str, types: dict[str, str]) -> Filters:
    """Read `filters`.

    Args:
        rule: The rule or backend.
        namespace: The namespace of the route.
        types: The types of filters that the kind of route has, each with the field of its settings.

    Raises:
        ManifestError: Something that the schema refuses, such as a type without its settings.
    """
    found = entries(rule, "filters", ("type", *types.values()), most=_MOST)
    names = [entry.choice("type", tuple(types), "") for entry in found]
    by_type: dict[str, list[Fields]] = {}
    for name, entry in zip(names, found, strict=True):
        _check_type(name, entry, types)
        by_type.setdefault(name, []).append(entry)
        if len(by_type[name]) > 1 and name not in _REPEATABLE:
            raise entry.where.key("type").error(f"{name} stands here twice; keep one.")
    if "RequestRedirect" in by_type and "URLRewrite" in by_type:
        problem = "stands beside RequestRedirect; only one of them can count."
        raise by_type["URLRewrite"][0].where.key("type").error(problem)

    def one(name: str) -> Fields | None:
        return by_type[name][0] if name in by_type else None

    request, response = one("RequestHeaderModifier"), one("ResponseHeaderModifier")
    redirect, rewrite, cors = one("RequestRedirect"), one("URLRewrite"), one("CORS")
    return Filters(
        request_headers=read_header_modifier(request, "requestHeaderModifier") if request else None,
        response_headers=read_header_modifier(response, "responseHeaderModifier") if response else None,
        redirect=_redirect(redirect) if redirect else None,
        rewrite=_rewrite(rewrite) if rewrite else None,
        mirrors=tuple(_mirror(entry, namespace) for entry in by_type.get("RequestMirror", ())),
        cors=_cors(cors) if cors else None,
        unsupported=tuple(
            (name, entry.where)
            for name in ("ExtensionRef", "ExternalAuth")
            for entry in by_type.get(name, ())
        ),
        types=tuple((name, entry.where) for name, entry in zip(names, found, strict=True)),
    )


def _check_type(name: str, entry: Fields, types: dict[str, str]) -> None:
    own = types[name]
    for field in types.values():
        if field != own and entry.raw(field) is not None:
            raise entry.where.key(field).error(f"has no place in a filter of type {name}; remove it.")
    if entry.raw(own) is None:
        raise entry.where.key(own).error(f"missing; a filter of type {name} needs it.")


def _redirect(filter_: Fields) -> RedirectFilter:
    known = ("scheme", "hostname", "path", "port", "statusCode")
    redirect = filter_.mapping("requestRedirect", known)
    scheme = (
        redirect.choice("scheme", ("http", "https"), "http") if redirect.raw("scheme") is not None else ""
    )
    code = whole_number(redirect, "statusCode", 300, 399, 302) or 302
    if code not in _REDIRECT_CODES:
        choice = ", ".join(map(str, _REDIRECT_CODES))
        raise redirect.where.key("statusCode").error(f"{code} is not one of {choice}.")
    return RedirectFilter(
        scheme=scheme,
        hostname=_precise_host(redirect),
        port=whole_number(redirect, "port", 1, MAX_PORT),
        path=_path(redirect),
        code=code,
    )


def _rewrite(filter_: Fields) -> RewriteFilter:
    rewrite = filter_.mapping("urlRewrite", ("hostname", "path"))
    return RewriteFilter(_precise_host(rewrite), _path(rewrite))


def _precise_host(fields: Fields) -> str:
    host = fields.string("hostname")
    if host and (problem := hostname_problem(host, wildcard=False)):
        raise fields.where.key("hostname").error(problem)
    return host


def _path(fields: Fields) -> PathModifier | None:
    if fields.raw("path") is None:
        return None
    path = fields.mapping("path", ("type", "replaceFullPath", "replacePrefixMatch"))
    own = {"ReplaceFullPath": "replaceFullPath", "ReplacePrefixMatch": "replacePrefixMatch"}
    kind = path.choice("type", tuple(own), "")
    for name, field in own.items():
        if (path.raw(field) is not None) != (name == kind):
            problem = "missing" if name == kind else "has no place"
            raise path.where.key(field).error(f"{problem} beside type {kind}; correct one of them.")
    return PathModifier("full" if kind == "ReplaceFullPath" else "prefix", path.string(own[kind]))


def _mirror(filter_: Fields, namespace: str) -> MirrorFilter:
    mirror = filter_.mapping("requestMirror", ("backendRef", "percent", "fraction"))
    if mirror.raw("backendRef") is None:
        raise mirror.where.key("backendRef").error("missing; name a service.")
    if mirror.raw("percent") is not None and mirror.raw("fraction") is not None:
        raise mirror.where.key("fraction").error("stands beside percent; keep one.")
    percent = whole_number(mirror, "percent", 0, 100)
    percentage = None if percent is None else float(percent)
    if mirror.raw("fraction") is not None:
        fraction = mirror.mapping("fraction", ("numerator", "denominator"))
        numerator = whole_number(fraction, "numerator", 0, _INT32_MAX)
        denominator = whole_number(fraction, "denominator", 1, _INT32_MAX, 100) or 100
        if numerator is None or numerator > denominator:
            raise fraction.where.key("numerator").error(f"must be there, and at most {denominator}.")
        percentage = 100.0 * numerator / denominator
    backend = mirror.mapping("backendRef", ("group", "kind", "name", "namespace", "port"))
    return MirrorFilter(read_backend(backend, namespace), percentage)


def _cors(filter_: Fields) -> CorsFilter:
    known = ("allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders", "allowCredentials", "maxAge")
    cors = filter_.mapping("cors", known)
    methods = texts(cors, "allowMethods")
    for index, method in enumerate(methods):
        if method not in _METHODS:
            problem = f"{method!r} is none of {', '.join(_METHODS)}."
            raise cors.where.key("allowMethods").item(index).error(problem)
    origins, headers = texts(cors, "allowOrigins"), texts(cors, "allowHeaders")
    lists: tuple[tuple[str, Sequence[str]], ...] = (
        ("allowOrigins", origins),
        ("allowMethods", methods),
        ("allowHeaders", headers),
    )
    for name, values in lists:
        if "*" in values and len(values) > 1:
            raise cors.where.key(name).error("has * beside others; the schema takes * alone.")
    return CorsFilter(
        allow_origins=origins,
        allow_methods=methods,
        allow_headers=headers,
        expose_headers=texts(cors, "exposeHeaders"),
        allow_credentials=cors.boolean("allowCredentials")
        if cors.raw("allowCredentials") is not None
        else False,
        max_age_s=whole_number(cors, "maxAge", 1, _INT32_MAX, 5) or 5,
    )
