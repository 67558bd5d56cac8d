"""The order of rules, and the rules of several routes on one host.

Follows `pilot/pkg/config/kube/gateway/conversion.go#sortHTTPRoutes` and `route_collections.go#mergeHTTPRoutes`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.istio.read.virtual_service import HttpRoute, TextMatch, VirtualService

__all__ = ["KeyedRoute", "in_order", "merged"]

_RANKS = {"exact": 3, "prefix": 2, "regex": 1}


@dataclass(frozen=True)
class KeyedRoute:
    """The rules of a route for one host of one parent; what has the same key is merged."""

    key: str
    virtual_service: VirtualService


def in_order(rules: Iterable[HttpRoute]) -> tuple[HttpRoute, ...]:
    """Return rules in the order in which they are tried.

    Exact paths come before prefixes and those before regular expressions, long ones before short ones; then rules
    with a method, with more headers, with more query parameters. What is equal keeps its order. A rule without any
    match comes last.
    """
    return tuple(sorted(rules, key=_precedence))


def merged(routes: Iterable[KeyedRoute]) -> list[VirtualService]:
    """Return one VirtualService for each key. Of rules that are equal those of the oldest route come first."""
    by_key: dict[str, list[VirtualService]] = {}
    for route in routes:
        by_key.setdefault(route.key, []).append(route.virtual_service)
    found = []
    for key, services in by_key.items():
        services.sort(key=lambda each: (each.where.manifest.created, each.namespace, each.name))
        rules = in_order(rule for service in services for rule in service.http)
        found.append(replace(services[0], name=key.replace("/", "~"), http=rules))
    return found


def _precedence(rule: HttpRoute) -> tuple[int, ...]:
    if not rule.matches:
        return (1,)
    match = rule.matches[0]
    return (
        0,
        -_rank(match.uri),
        -len(match.uri.value.encode()) if match.uri else 0,
        0 if match.method else 1,
        -len(match.headers or {}),
        -len(match.query_params or {}),
    )


def _rank(uri: TextMatch | None) -> int:
    return _RANKS[uri.kind] if uri else -1
