"""HTTPRoute: which HTTP requests of a gateway or of the mesh go where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from meshlab.istio.read.gateway_api.filters import HTTP_FILTERS, Filters
from meshlab.istio.read.gateway_api.request_rule import (
    Condition,
    ConditionKind,
    RequestRule,
    check_regex,
    read_rule_fields,
    read_text_conditions,
    rule_entries,
)
from meshlab.istio.read.gateway_api.route import Route, check_rule_names, read_route_fields, route_spec
from meshlab.istio.read.gateway_api.schema_values import duration_s, entries, whole_number
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import shown_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields, Where
    from meshlab.manifest import Manifest

__all__ = ["HttpRoute", "HttpRouteMatch", "HttpRule", "Retry", "read_http_route"]

_PATH_KINDS: dict[str, ConditionKind] = {
    "Exact": "exact",
    "PathPrefix": "prefix",
    "RegularExpression": "regex",
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_RULE = ("name", "matches", "filters", "backendRefs", "timeouts", "retry")
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F", "#")
_MAX_PATH = 1024


@dataclass(frozen=True)
class HttpRouteMatch:
    """One alternative of a rule; everything in it must hold."""

    path: Condition
    headers: Mapping[str, Condition]
    query_params: Mapping[str, Condition]
    method: str


@dataclass(frozen=True)
class Retry:
    """When and how often a request is repeated; `None` leaves the choice to Istio."""

    codes: tuple[int, ...]
    attempts: int | None
    backoff_s: float | None


@dataclass(frozen=True)
class HttpRule(RequestRule):
    """A rule of an HTTPRoute.

    Attributes:
        request_timeout_s: How long a request may take altogether; `None` or 0 for no limit.
        backend_timeout_s: How long one attempt may take; `None` or 0 for no limit.
    """

    matches: tuple[HttpRouteMatch, ...]
    request_timeout_s: float | None = None
    backend_timeout_s: float | None = None
    retry: Retry | None = None


@dataclass(frozen=True)
class HttpRoute(Route):
    """An HTTPRoute as read."""

    rules: tuple[HttpRule, ...]


def read_http_route(manifest: Manifest) -> HttpRoute:
    """Read an HTTPRoute.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = route_spec(manifest)
    rules = tuple(_rule(entry, manifest.namespace) for entry in rule_entries(spec, _RULE))
    if spec.raw("rules") is None:
        # The schema's default, a rule for every request without a backend.
        rules = (_default_rule(spec.where.key("rules")),)
    check_rule_names((rule.name, rule.where) for rule in rules)
    return HttpRoute(**read_route_fields(manifest, spec), rules=rules)


def _default_rule(where: Where) -> HttpRule:
    match = HttpRouteMatch(Condition("prefix", "/"), {}, {}, "")
    return HttpRule(None, Filters(), (), (), where, matches=(match,))


def _rule(rule: Fields, namespace: str) -> HttpRule:
    written = entries(rule, "matches", ("path", "headers", "queryParams", "method"))
    matches = tuple(_match(entry) for entry in written)
    if rule.raw("matches") is None:
        matches = (HttpRouteMatch(Condition("prefix", "/"), {}, {}, ""),)
    shared = read_rule_fields(rule, namespace, HTTP_FILTERS)
    timeouts = rule.mapping("timeouts", ("request", "backendRequest"))
    request, backend = duration_s(timeouts, "request"), duration_s(timeouts, "backendRequest")
    if request and backend and backend > request:
        problem = "is longer than request, which the schema refuses; shorten it."
        raise timeouts.where.key("backendRequest").error(problem)
    found = HttpRule(
        **shared,
        matches=matches,
        request_timeout_s=request,
        backend_timeout_s=backend,
        retry=_retry(rule),
    )
    _check_paths(found)
    return found


def _match(match: Fields) -> HttpRouteMatch:
    path = match.mapping("path", ("type", "value"))
    condition = Condition(
        _PATH_KINDS[path.choice("type", tuple(_PATH_KINDS), "PathPrefix")], path.string("value", "/")
    )
    if problem := _path_problem(condition):
        raise path.where.key("value").error(problem)
    check_regex(condition, path.where.key("value"))
    method = match.choice("method", _METHODS, "GET") if match.raw("method") is not None else ""
    return HttpRouteMatch(
        path=condition,
        headers=read_text_conditions(match, "headers"),
        query_params=read_text_conditions(match, "queryParams"),
        method=method,
    )


def _path_problem(path: Condition) -> str | None:
    if path.kind == "regex":
        return None
    value = path.value
    if not value.startswith("/") or len(value) > _MAX_PATH or not _PATH.fullmatch(value):
        return f"{value!r} is not a path; it begins with / and has no blanks, ? or #."
    for part in _NOT_IN_PATHS:
        if part in value:
            return f"{value!r} has {part}, which the schema refuses."
    return f"{value!r} ends with a dot segment." if value.endswith(("/..", "/.")) else None


def _retry(rule: Fields) -> Retry | None:
    if rule.raw("retry") is None:
        return None
    retry = rule.mapping("retry", ("codes", "attempts", "backoff"))
    codes = retry.raw("codes") or []
    if not isinstance(codes, list):
        raise retry.where.key("codes").error("expected a list of statuses.")
    for index, code in enumerate(codes):
        if not isinstance(code, int) or isinstance(code, bool) or not 400 <= code <= 599:
            problem = f"expected a status from 400 to 599, found {shown_value(code)}."
            raise retry.where.key("codes").item(index).error(problem)
    return Retry(
        tuple(cast("list[int]", codes)),
        whole_number(retry, "attempts", 1, 2**31 - 1),
        duration_s(retry, "backoff"),
    )


def _check_paths(rule: HttpRule) -> None:
    """Refuse what does not fit together (the schema's rules on redirections and rewrites)."""
    every = [rule.filters, *(backend.filters for backend in rule.backends)]
    if rule.filters.redirect and rule.backends:
        raise rule.where.key("backendRefs").error(
            "stands beside RequestRedirect; only one of them can count."
        )
    for filters in every:
        modifiers = [each.path for each in (filters.redirect, filters.rewrite) if each is not None]
        if not any(modifier is not None and modifier.kind == "prefix" for modifier in modifiers):
            continue
        if len(rule.matches) != 1 or rule.matches[0].path.kind != "prefix":
            problem = "needs exactly one match, by PathPrefix: replacePrefixMatch replaces what it takes."
            raise rule.where.key("matches").error(problem)
