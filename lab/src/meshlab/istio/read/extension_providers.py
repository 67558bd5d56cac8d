"""Extension providers of a MeshConfig: what policies with action CUSTOM and access logs refer to by name."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from meshlab.istio.read.fields import Fields
from meshlab.istio.read.status_codes import STATUS_CODES
from meshlab.istio.read.virtual_service.protobuf_values import integer
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Where

__all__ = ["BUILT_IN_PROVIDERS", "ExtensionProvider", "ExternalAuthorizer", "read_extension_provider"]

_AUTHORIZERS: Mapping[str, Literal["http", "grpc"]] = {
    "envoyExtAuthzHttp": "http",
    "envoyExtAuthzGrpc": "grpc",
}
_OTHER_KINDS = (
    "datadog",
    "envoyFileAccessLog",
    "envoyHttpAls",
    "envoyOtelAls",
    "envoyTcpAls",
    "lightstep",
    "opencensus",
    "opentelemetry",
    "prometheus",
    "sds",
    "skywalking",
    "stackdriver",
    "zipkin",
)
_COMMON = ("service", "port", "timeout", "failOpen", "statusOnError", "includeRequestBodyInCheck")
_HTTP_ONLY = (
    "pathPrefix",
    "includeHeadersInCheck",
    "includeRequestHeadersInCheck",
    "includeAdditionalHeadersInCheck",
    "headersToUpstreamOnAllow",
    "headersToDownstreamOnDeny",
    "headersToDownstreamOnAllow",
)
_REFUSED = {"clearRouteCache": "istiod does not act on it yet; remove it."}
_HOST = re.compile(r"(?:[a-zA-Z0-9_](?:[-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?\.?)+")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class ExternalAuthorizer:
    """A server that decides requests of CUSTOM policies.

    Attributes:
        protocol: Whether it is asked over HTTP or gRPC.
        service: Its host, with `NAMESPACE/` in front where it was written so.
        port: The port of that service.
        timeout_s: How long a proxy waits for its decision, in seconds; `None` for Istio's 600.
        problem: Why Istio cannot use it and denies what it would decide; an empty string where it can.
    """

    protocol: Literal["http", "grpc"]
    service: str
    port: int
    timeout_s: float | None = None
    fail_open: bool = False
    status_on_error: str = ""
    body: RequestBody | None = None
    path_prefix: str = ""
    headers_in_check: tuple[str, ...] = ()
    added_headers: Mapping[str, str] = field(default_factory=dict)
    headers_to_upstream_on_allow: tuple[str, ...] = ()
    headers_to_downstream_on_deny: tuple[str, ...] = ()
    headers_to_downstream_on_allow: tuple[str, ...] = ()
    problem: str = ""

    @property
    def host(self) -> str:
        """The host of its service, without a namespace."""
        return self.service.rpartition("/")[2]


@dataclass(frozen=True)
class RequestBody:
    """How much of a request's body an authorizer gets."""

    max_bytes: int
    allow_partial: bool
    pack_as_bytes: bool


@dataclass(frozen=True)
class ExtensionProvider:
    """A provider by name; `authorizer` is `None` for the kinds that decide nothing."""

    name: str
    kind: str
    authorizer: ExternalAuthorizer | None = None


BUILT_IN_PROVIDERS: Mapping[str, ExtensionProvider] = {
    "prometheus": ExtensionProvider("prometheus", "prometheus"),
    "stackdriver": ExtensionProvider("stackdriver", "stackdriver"),
    "envoy": ExtensionProvider("envoy", "envoyFileAccessLog"),
}
"""The providers that every mesh has (`pkg/config/mesh/mesh.go#DefaultMeshConfig`)."""


def read_extension_provider(value: object, where: Where) -> ExtensionProvider:
    """Read one entry of `extensionProviders`.

    istiod logs an authorizer that it cannot use, and denies the requests that the authorizer would decide. So a bad
    value is kept as the authorizer's `problem`; only what is no provider at all is refused.

    Raises:
        ManifestError: An unknown field, a value of another type, or not exactly one kind.
    """
    entry = Fields(value, where, ("name", *_AUTHORIZERS, *_OTHER_KINDS))
    name = entry.required("name")
    kinds = [kind for kind in (*_AUTHORIZERS, *_OTHER_KINDS) if kind in entry]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none"
        raise where.error(f"expected one kind of provider, found {found}.")
    (kind,) = kinds
    if kind not in _AUTHORIZERS:
        return ExtensionProvider(name, kind)
    return ExtensionProvider(name, kind, _authorizer(name, entry, kind))


def _authorizer(name: str, entry: Fields, kind: str) -> ExternalAuthorizer:
    protocol = _AUTHORIZERS[kind]
    known = (*_COMMON, *_HTTP_ONLY) if protocol == "http" else _COMMON
    written = entry.mapping(kind, known, _REFUSED)
    body = written.mapping(
        "includeRequestBodyInCheck", ("maxRequestBytes", "allowPartialMessage", "packAsBytes")
    )
    if "includeRequestBodyInCheck" in written and not integer(body, "maxRequestBytes"):
        raise body.where.key("maxRequestBytes").error("missing; Envoy refuses a limit of 0 bytes.")
    # Istio prefers the new name, and takes the old one where the new one is absent.
    in_check = _headers(written, "includeRequestHeadersInCheck") or _headers(written, "includeHeadersInCheck")
    lists = {key: _headers(written, key) for key in _HTTP_ONLY if key.startswith("headersTo")}
    service, port = written.string("service"), integer(written, "port") or 0
    status, prefix = written.string("statusOnError"), written.string("pathPrefix")
    problems = [
        _name_problem(name),
        _service_problem(service),
        "" if 0 < port < 65536 else f"port {port} is not from 1 to 65535",
        _status_problem(status),
        f"pathPrefix {prefix!r} does not begin with /" if prefix and not _is_path(prefix) else "",
        "a header list holds a bare *"
        if "*" in (*in_check, *(item for v in lists.values() for item in v))
        else "",
    ]
    return ExternalAuthorizer(
        protocol=protocol,
        service=service,
        port=port,
        timeout_s=written.duration_s("timeout"),
        fail_open=written.boolean("failOpen"),
        status_on_error=status,
        body=RequestBody(
            integer(body, "maxRequestBytes") or 0,
            body.boolean("allowPartialMessage"),
            body.boolean("packAsBytes"),
        )
        if "includeRequestBodyInCheck" in written
        else None,
        path_prefix=prefix,
        headers_in_check=in_check,
        added_headers=written.string_map("includeAdditionalHeadersInCheck") if protocol == "http" else {},
        headers_to_upstream_on_allow=lists.get("headersToUpstreamOnAllow", ()),
        headers_to_downstream_on_deny=lists.get("headersToDownstreamOnDeny", ()),
        headers_to_downstream_on_allow=lists.get("headersToDownstreamOnAllow", ()),
        problem="; ".join(problem for problem in problems if problem),
    )


def _headers(written: Fields, name: str) -> tuple[str, ...]:
    return () if written.raw(name) in (None, []) else written.strings(name)


def _name_problem(name: str) -> str:
    return "" if _NAME.fullmatch(name) else f"the name {name!r} is not a DNS label in lower case"


def _service_problem(service: str) -> str:
    namespace, slash, host = service.rpartition("/")
    if service.count("/") > 1 or (slash and not namespace) or not _HOST.fullmatch(host):
        return f"service {service!r} is neither HOST nor NAMESPACE/HOST"
    return ""


def _status_problem(status: str) -> str:
    if not status or (status.isascii() and status.isdigit() and int(status) in STATUS_CODES):
        return ""
    return f"statusOnError {status!r} is not a status that Envoy knows"


def _is_path(prefix: str) -> bool:
    try:
        urlsplit(prefix)
    except ValueError:
        return False
    return prefix.startswith("/")
