"""HTTPRoute: which HTTP requests of a gateway or of the mesh go where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.gateway_api.filters import HTTP_FILTERS, Filters, read_filters
from meshlab.istio.read.gateway_api.header_changes import HEADER_NAME
from meshlab.istio.read.gateway_api.references import (
    BACKEND_FIELDS,
    BackendRef,
    ParentRef,
    read_backend,
    read_parents,
)
from meshlab.istio.read.gateway_api.values import (
    checked_spec,
    duration_s,
    entries,
    hostnames,
    optional_name,
    unimplemented,
    whole_number,
)
from meshlab.istio.read.re2 import regex_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields, Where
    from meshlab.manifest import Manifest

__all__ = ["Condition", "HttpBackend", "HttpRoute", "HttpRouteMatch", "HttpRule", "Retry", "read_http_route"]

ConditionKind = Literal["exact", "prefix", "regex"]
_PATH_KINDS: dict[str, ConditionKind] = {
    "Exact": "exact",
    "PathPrefix": "prefix",
    "RegularExpression": "regex",
}
_TEXT_KINDS: dict[str, ConditionKind] = {"Exact": "exact", "RegularExpression": "regex"}
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_RULE = ("name", "matches", "filters", "backendRefs", "timeouts", "retry")
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F", "#")
_MAX_PATH = 1024
_MOST = 16
NOT_IMPLEMENTED = {"sessionPersistence": "Istio does not implement it; every request is balanced anew."}
NO_DEFAULT_GATEWAYS = {
    "useDefaultGateways": "Istio does not implement it; routes attach by parentRefs alone."
}


@dataclass(frozen=True)
class Condition:
    """A condition on a text. A `prefix` is one of path segments: `/foo` takes `/foo` and `/foo/…`, not `/foobar`."""

    kind: ConditionKind
    value: str


@dataclass(frozen=True)
class HttpRouteMatch:
    """One alternative of a rule; everything in it must hold."""

    path: Condition
    headers: Mapping[str, Condition]
    query_params: Mapping[str, Condition]
    method: str


@dataclass(frozen=True)
class HttpBackend:
    """A backend with filters of its own."""

    backend: BackendRef
    filters: Filters


@dataclass(frozen=True)
class Retry:
    """When and how often a request is repeated; `None` leaves the choice to Istio."""

    codes: tuple[int, ...]
    attempts: int | None
    backoff_s: float | None


@dataclass(frozen=True)
class HttpRule:
    """A rule.

    Attributes:
        request_timeout_s: How long a request may take altogether; `None` or 0 for no limit.
        backend_timeout_s: How long one attempt may take; `None` or 0 for no limit.
        not_implemented: Fields that Istio does not implement, each with what follows.
    """

    name: str | None
    matches: tuple[HttpRouteMatch, ...]
    filters: Filters
    backends: tuple[HttpBackend, ...]
    request_timeout_s: float | None
    backend_timeout_s: float | None
    retry: Retry | None
    not_implemented: tuple[tuple[Where, str], ...]
    where: Where


@dataclass(frozen=True)
class HttpRoute:
    """An HTTPRoute as read; without host names it is for every host."""

    namespace: str
    name: str
    parents: tuple[ParentRef, ...]
    hostnames: tuple[str, ...]
    rules: tuple[HttpRule, ...]
    not_implemented: tuple[tuple[Where, str], ...]
    where: Where


def read_http_route(manifest: Manifest) -> HttpRoute:
    """Read an HTTPRoute.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = checked_spec(manifest, ("parentRefs", "hostnames", "rules"), passed_over=NO_DEFAULT_GATEWAYS)
    namespace = manifest.namespace
    rules = tuple(
        _rule(entry, namespace)
        for entry in entries(spec, "rules", _RULE, most=_MOST, passed_over=NOT_IMPLEMENTED)
    )
    if spec.raw("rules") is None:
        # The schema's default, a rule for every request without a backend.
        rules = (_default_rule(spec.where.key("rules")),)
    check_rule_names([(rule.name, rule.where) for rule in rules])
    return HttpRoute(
        namespace=namespace,
        name=manifest.name,
        parents=read_parents(spec, namespace),
        hostnames=hostnames(spec),
        rules=rules,
        not_implemented=unimplemented(spec, NO_DEFAULT_GATEWAYS),
        where=spec.where,
    )


def check_rule_names(names: list[tuple[str | None, Where]]) -> None:
    """Refuse two rules of one name.

    Raises:
        ManifestError: There are two.
    """
    seen: set[str] = set()
    for name, where in names:
        if name is not None and name in seen:
            raise where.key("name").error(f"{name!r} stands here twice; rename one.")
        seen.add(name or "")


def read_text_conditions(match: Fields, name: str) -> Mapping[str, Condition]:
    """Read conditions on headers or query parameters, by name.

    Raises:
        ManifestError: A name that no header has, a name twice, or a regular expression that RE2 does not have.
    """
    found: dict[str, Condition] = {}
    for entry in entries(match, name, ("type", "name", "value"), most=_MOST):
        key = entry.required("name")
        if not HEADER_NAME.fullmatch(key):
            raise entry.where.key("name").error(f"{key!r} is not a name.")
        if key in found:
            raise entry.where.key("name").error(f"{key!r} stands here twice; keep one.")
        kind = _TEXT_KINDS[entry.choice("type", tuple(_TEXT_KINDS), "Exact")]
        found[key] = Condition(kind, entry.required("value"))
        check_regex(found[key], entry.where.key("value"))
    return found


def check_regex(condition: Condition, where: Where) -> None:
    """Refuse a regular expression that RE2 does not have: with it Envoy refuses all routes of the proxy.

    Raises:
        ManifestError: The condition is such an expression.
    """
    if condition.kind == "regex" and (problem := regex_problem(condition.value)):
        raise where.error(problem)


def _default_rule(where: Where) -> HttpRule:
    match = HttpRouteMatch(Condition("prefix", "/"), {}, {}, "")
    return HttpRule(None, (match,), Filters(), (), None, None, None, (), where)


def _rule(rule: Fields, namespace: str) -> HttpRule:
    written = entries(rule, "matches", ("path", "headers", "queryParams", "method"))
    matches = tuple(_match(entry) for entry in written)
    if rule.raw("matches") is None:
        matches = (HttpRouteMatch(Condition("prefix", "/"), {}, {}, ""),)
    filters = read_filters(rule, namespace, HTTP_FILTERS)
    backends = tuple(
        HttpBackend(read_backend(entry, namespace), read_filters(entry, namespace, HTTP_FILTERS))
        for entry in entries(rule, "backendRefs", (*BACKEND_FIELDS, "filters"), most=_MOST)
    )
    timeouts = rule.mapping("timeouts", ("request", "backendRequest"))
    request, backend = duration_s(timeouts, "request"), duration_s(timeouts, "backendRequest")
    if request and backend and backend > request:
        problem = "is longer than request, which the schema refuses; shorten it."
        raise timeouts.where.key("backendRequest").error(problem)
    found = HttpRule(
        name=optional_name(rule, "name"),
        matches=matches,
        filters=filters,
        backends=backends,
        request_timeout_s=request,
        backend_timeout_s=backend,
        retry=_retry(rule),
        not_implemented=unimplemented(rule, NOT_IMPLEMENTED),
        where=rule.where,
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
            problem = f"expected a status from 400 to 599, found {code!r}."
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
