"""GRPCRoute: which calls of gRPC methods go where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from meshlab.istio.read.gateway_api.filters import GRPC_FILTERS
from meshlab.istio.read.gateway_api.request_rule import (
    Condition,
    RequestRule,
    check_regex,
    read_rule_fields,
    read_text_conditions,
    rule_entries,
)
from meshlab.istio.read.gateway_api.route import Route, check_rule_names, read_route_fields, route_spec
from meshlab.istio.read.gateway_api.schema_values import entries
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields
    from meshlab.manifest import Manifest

__all__ = ["GrpcMethod", "GrpcRoute", "GrpcRouteMatch", "GrpcRule", "read_grpc_route"]

_RULE = ("name", "matches", "filters", "backendRefs")
_SERVICE = re.compile(r"\.?[a-zA-Z_][a-zA-Z_0-9]*(?:\.[a-zA-Z_][a-zA-Z_0-9]*)*")
_METHOD = re.compile("[A-Za-z_][A-Za-z_0-9]*")


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
class GrpcRule(RequestRule):
    """A rule of a GRPCRoute; without a match it takes every call."""

    matches: tuple[GrpcRouteMatch, ...]


@dataclass(frozen=True)
class GrpcRoute(Route):
    """A GRPCRoute as read."""

    rules: tuple[GrpcRule, ...]


def read_grpc_route(manifest: Manifest) -> GrpcRoute:
    """Read a GRPCRoute.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = route_spec(manifest)
    rules = tuple(_rule(entry, manifest.namespace) for entry in rule_entries(spec, _RULE))
    check_rule_names((rule.name, rule.where) for rule in rules)
    return GrpcRoute(**read_route_fields(manifest, spec), rules=rules)


def _rule(rule: Fields, namespace: str) -> GrpcRule:
    matches = tuple(
        GrpcRouteMatch(_method(entry), read_text_conditions(entry, "headers"))
        for entry in entries(rule, "matches", ("method", "headers"))
    )
    return GrpcRule(**read_rule_fields(rule, namespace, GRPC_FILTERS), matches=matches)


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
