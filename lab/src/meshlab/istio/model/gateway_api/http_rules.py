"""Rules of HTTPRoutes and GRPCRoutes as rules of a VirtualService.

Follows `pilot/pkg/config/kube/gateway/conversion.go#convertHTTPRoute` and `#convertGRPCRoute`. Every match becomes a
rule of its own, so that the rules of several routes can be put in order by their matches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.istio.model.gateway_api.backends import shares
from meshlab.istio.model.gateway_api.filter_actions import (
    cors_policy,
    header_changes,
    redirection,
    rewriting,
)
from meshlab.istio.model.gateway_api.objects import RouteError
from meshlab.istio.read.virtual_service import (
    DirectResponse,
    HttpDestination,
    HttpMatch,
    HttpRoute,
    Mirror,
    Retries,
    TextMatch,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.istio.model.gateway_api.backends import Backends
    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.gateway_api import http_route as source
    from meshlab.istio.read.gateway_api.filters import Filters
    from meshlab.istio.read.gateway_api.grpc_route import GrpcMethod, GrpcRoute, GrpcRule
    from meshlab.istio.read.gateway_api.request_rule import Condition, RequestBackend

__all__ = ["grpc_rules", "http_rules"]

_RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled")
_DEFAULT_ATTEMPTS = 2
_NO_BACKEND_STATUS = 500


def http_rules(route: source.HttpRoute, backends: Backends) -> list[HttpRoute]:
    """Return the rules of an HTTPRoute, one for each match.

    Raises:
        RouteError: Istio refuses the whole route.
    """
    return [
        converted
        for index, rule in enumerate(route.rules)
        for converted in _http_rule(route, rule, index, backends)
    ]


def grpc_rules(route: GrpcRoute, backends: Backends) -> list[HttpRoute]:
    """Return the rules of a GRPCRoute, one for each match.

    Raises:
        RouteError: Istio refuses the whole route.
    """
    return [
        converted
        for index, rule in enumerate(route.rules)
        for converted in _grpc_rule(route, rule, index, backends)
    ]


def _http_rule(
    route: source.HttpRoute, rule: source.HttpRule, index: int, backends: Backends
) -> Iterator[HttpRoute]:
    _refuse_unsupported(rule.filters)
    filters = rule.filters
    mirrors = [
        Mirror(destination, mirror.percentage)
        for mirror in filters.mirrors
        if (destination := backends.usable(mirror.backend)) is not None
    ]
    retries, timeout_s = _limits(rule)
    base = replace(
        _empty_rule(rule.name or f"{route.namespace}.{route.name}.{index}", rule.where),
        redirect=redirection(filters.redirect) if filters.redirect else None,
        rewrite=rewriting(filters.rewrite) if filters.rewrite else None,
        mirrors=tuple(mirrors),
        cors=cors_policy(filters.cors) if filters.cors else None,
        headers=header_changes(filters),
        retries=retries,
        timeout_s=timeout_s,
    )
    base = _with_destinations(base, rule.backends, backends)
    for match in rule.matches:
        yield replace(base, matches=(_http_match(match),))
    if not rule.matches:
        yield base


def _grpc_rule(route: GrpcRoute, rule: GrpcRule, index: int, backends: Backends) -> Iterator[HttpRoute]:
    _refuse_unsupported(rule.filters)
    mirrors = []
    for mirror in rule.filters.mirrors:
        destination = backends.usable(mirror.backend)
        if destination is None:
            raise RouteError(mirror.backend.where, "cannot be used, so Istio refuses the route.")
        mirrors.append(Mirror(destination, mirror.percentage))
    base = replace(
        _empty_rule(rule.name or f"{route.namespace}.{route.name}.{index}", rule.where),
        mirrors=tuple(mirrors),
        headers=header_changes(rule.filters),
    )
    base = _with_destinations(base, rule.backends, backends)
    for match in rule.matches:
        condition = HttpMatch(
            uri=_grpc_path(match.method) if match.method else None, headers=_conditions(match.headers)
        )
        yield replace(base, matches=(condition,))
    if not rule.matches:
        yield base


def _empty_rule(name: str, where: Where) -> HttpRoute:
    return HttpRoute(
        name=name,
        matches=(),
        destinations=(),
        redirect=None,
        direct_response=None,
        delegate=None,
        rewrite=None,
        timeout_s=None,
        retries=None,
        fault=None,
        mirror=None,
        mirrors=(),
        mirror_percentage=None,
        mirror_percent=None,
        cors=None,
        headers=None,
        where=where,
    )


def _refuse_unsupported(filters: Filters) -> None:
    for name, where in filters.unsupported:
        raise RouteError(where, f"Istio has no filters of type {name}, and refuses the route.")


def _with_destinations(rule: HttpRoute, written: Sequence[RequestBackend], backends: Backends) -> HttpRoute:
    if rule.redirect is not None:
        return rule
    filters = {id(entry.backend): entry.filters for entry in written}
    found = []
    for backend, weight in shares([entry.backend for entry in written]):
        own = filters[id(backend)]
        destination = backends.destination(backend)
        for name, where in own.types:
            if name not in ("RequestHeaderModifier", "ResponseHeaderModifier"):
                problem = f"Istio has no filters of type {name} for a backend, and refuses the route."
                raise RouteError(where, problem)
        found.append(HttpDestination(destination, weight, header_changes(own)))
    if not found:
        return replace(rule, direct_response=DirectResponse(_NO_BACKEND_STATUS, None))
    return replace(rule, destinations=tuple(found))


def _limits(rule: source.HttpRule) -> tuple[Retries | None, float | None]:
    """Return retries and timeout. Without retries the timeout of one attempt is that of the request."""
    timeout_s = rule.request_timeout_s or None
    backend_timeout_s = rule.backend_timeout_s or None
    if rule.retry is None:
        return None, backend_timeout_s or timeout_s
    attempts = _DEFAULT_ATTEMPTS if rule.retry.attempts is None else rule.retry.attempts
    retries = Retries(
        attempts=attempts,
        per_try_timeout_s=backend_timeout_s,
        retry_on=",".join((*_RETRY_ON, *map(str, rule.retry.codes))) if attempts else "",
        backoff_s=rule.retry.backoff_s,
    )
    return retries, timeout_s


def _http_match(match: source.HttpRouteMatch) -> HttpMatch:
    path = match.path
    value = path.value
    if path.kind == "prefix" and value != "/":
        value = value.removesuffix("/")
    return HttpMatch(
        uri=TextMatch(path.kind, value),
        headers=_conditions(match.headers),
        query_params=_conditions(match.query_params),
        method=TextMatch("exact", match.method) if match.method else None,
    )


def _conditions(conditions: Mapping[str, Condition]) -> Mapping[str, TextMatch] | None:
    return {name: TextMatch(each.kind, each.value) for name, each in conditions.items()} or None


def _grpc_path(method: GrpcMethod) -> TextMatch:
    """Return the condition on the path of a call, which is `/SERVICE/METHOD`."""
    if not method.service:
        return TextMatch("regex", f"/[^/]+/{method.method}")
    if method.kind == "regex":
        return TextMatch("regex", f"/{method.service}/{method.method or '.+'}")
    if not method.method:
        return TextMatch("prefix", f"/{method.service}/")
    return TextMatch("exact", f"/{method.service}/{method.method}")
