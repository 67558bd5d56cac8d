"""GRPCRoute: which calls of gRPC methods go where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meshlab.istio.read.gateway_api.filters import GRPC_FILTERS, Filters, read_filters
from meshlab.istio.read.gateway_api.http_route import (
    NO_DEFAULT_GATEWAYS,
    NOT_IMPLEMENTED,
    Condition,
    HttpBackend,
    check_regex,
    check_rule_names,
    read_text_conditions,
)
from meshlab.istio.read.gateway_api.references import BACKEND_FIELDS, ParentRef, read_backend, read_parents
from meshlab.istio.read.gateway_api.values import (
    checked_spec,
    entries,
    hostnames,
    optional_name,
    unimplemented,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields, Where
    from meshlab.manifest import Manifest

__all__ = ["GrpcMethod", "GrpcRoute", "GrpcRouteMatch", "GrpcRule", "read_grpc_route"]

_RULE = ("name", "matches", "filters", "backendRefs")
_SERVICE = re.compile(r"\.?[a-zA-Z_][a-zA-Z_0-9]*(?:\.[a-zA-Z_][a-zA-Z_0-9]*)*")
_METHOD = re.compile("[A-Za-z_][A-Za-z_0-9]*")
_MOST = 16


@dataclass(frozen=True)
class GrpcMethod:
    """A condition on the service and the method of a call; an empty one takes every service or method."""

    kind: Literal["exact", "regex"]
    service: str
    method: str


@dataclass(frozen=True)
class GrpcRouteMatch:
    """One alternative of a rule; everything in it must hold."""

    method: GrpcMethod | None
    headers: Mapping[str, Condition]


@dataclass(frozen=True)
class GrpcRule:
    """A rule; without a match it takes every call."""

    name: str | None
    matches: tuple[GrpcRouteMatch, ...]
    filters: Filters
    backends: tuple[HttpBackend, ...]
    not_implemented: tuple[tuple[Where, str], ...]
    where: Where


@dataclass(frozen=True)
class GrpcRoute:
    """A GRPCRoute as read; without host names it is for every host."""

    namespace: str
    name: str
    parents: tuple[ParentRef, ...]
    hostnames: tuple[str, ...]
    rules: tuple[GrpcRule, ...]
    not_implemented: tuple[tuple[Where, str], ...]
    where: Where


def read_grpc_route(manifest: Manifest) -> GrpcRoute:
    """Read a GRPCRoute.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = checked_spec(manifest, ("parentRefs", "hostnames", "rules"), passed_over=NO_DEFAULT_GATEWAYS)
    namespace = manifest.namespace
    rules = tuple(
        _rule(entry, namespace)
        for entry in entries(spec, "rules", _RULE, most=_MOST, passed_over=NOT_IMPLEMENTED)
    )
    check_rule_names([(rule.name, rule.where) for rule in rules])
    return GrpcRoute(
        namespace=namespace,
        name=manifest.name,
        parents=read_parents(spec, namespace),
        hostnames=hostnames(spec),
        rules=rules,
        not_implemented=unimplemented(spec, NO_DEFAULT_GATEWAYS),
        where=spec.where,
    )


def _rule(rule: Fields, namespace: str) -> GrpcRule:
    return GrpcRule(
        name=optional_name(rule, "name"),
        matches=tuple(
            GrpcRouteMatch(_method(entry), read_text_conditions(entry, "headers"))
            for entry in entries(rule, "matches", ("method", "headers"))
        ),
        filters=read_filters(rule, namespace, GRPC_FILTERS),
        backends=tuple(
            HttpBackend(read_backend(entry, namespace), read_filters(entry, namespace, GRPC_FILTERS))
            for entry in entries(rule, "backendRefs", (*BACKEND_FIELDS, "filters"), most=_MOST)
        ),
        not_implemented=unimplemented(rule, NOT_IMPLEMENTED),
        where=rule.where,
    )


def _method(match: Fields) -> GrpcMethod | None:
    if match.raw("method") is None:
        return None
    method = match.mapping("method", ("type", "service", "method"))
    is_regex = method.choice("type", ("Exact", "RegularExpression"), "Exact") == "RegularExpression"
    service, name = method.string("service"), method.string("method")
    if not service and not name:
        raise method.where.error("needs a service, a method, or both.")
    for text, field, pattern in ((service, "service", _SERVICE), (name, "method", _METHOD)):
        where = method.where.key(field)
        if text and is_regex:
            check_regex(Condition("regex", text), where)
        elif text and not pattern.fullmatch(text):
            raise where.error(f"{text!r} is not the name of a {field} of gRPC.")
    return GrpcMethod("regex" if is_regex else "exact", service, name)
