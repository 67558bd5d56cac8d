"""Changes of the kinds of the Gateway API: listeners, routes, references and TLS to backends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import ANOTHER, gone, removed, replaced
from meshlab.mutate.operators.wider import wider_host
from meshlab.mutate.written import at, entries, mapping, several, text, texts_with_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.mutate.edits import Body, Change, Path

__all__ = ["backend_tls", "listeners", "reference_grant", "route"]


def listeners(body: Body) -> Iterator[Change]:
    """Yield the changes of a Gateway or ListenerSet."""
    yield gone(weakens=False)
    for place, listener in entries(body, "spec", "listeners"):
        if several(body, "spec", "listeners"):
            yield removed(place, weakens=False)
        yield from _hostname(place, listener)
        if text(listener, "allowedRoutes", "namespaces", "from") not in ("", "All"):
            here = (*place, "allowedRoutes", "namespaces")
            yield replaced(here, {"from": "All"}, "every namespace", weakens=True)
        if text(listener, "tls", "mode") == "Passthrough":
            continue
        for at_reference, reference in entries(listener, "tls", "certificateRefs"):
            if name := text(reference, "name"):
                here = (*place, *at_reference, "name")
                yield replaced(here, f"{ANOTHER}-{name}", "another", weakens=False)
    for name in ("frontend", "frontendValidation"):
        if at(body, "spec", "tls", name) is not None:
            yield removed(("spec", "tls", name), weakens=True)


def _hostname(place: Path, listener: Mapping[str, Any]) -> Iterator[Change]:
    if host := text(listener, "hostname"):
        yield removed((*place, "hostname"), "any host", weakens=True)
        if wide := wider_host(host):
            yield replaced((*place, "hostname"), wide, f"{host} becomes {wide}", weakens=True)


def route(body: Body) -> Iterator[Change]:
    """Yield the changes of an HTTPRoute, GRPCRoute, TLSRoute or TCPRoute."""
    yield gone()
    for place, host in texts_with_paths(body, "spec", "hostnames"):
        if several(body, "spec", "hostnames"):
            yield removed(place, f"{host} removed", weakens=False)
        if wide := wider_host(host):
            yield replaced(place, wide, f"{host} becomes {wide}", weakens=True)
    for place, parent in entries(body, "spec", "parentRefs"):
        if several(body, "spec", "parentRefs"):
            yield removed(place, weakens=False)
        if text(parent, "sectionName"):
            yield removed((*place, "sectionName"), "every listener", weakens=True)
    for place, rule in entries(body, "spec", "rules"):
        if several(body, "spec", "rules"):
            yield removed(place, weakens=True)
        yield from _rule(place, rule)


def _rule(here: Path, rule: Mapping[str, Any]) -> Iterator[Change]:
    if "matches" in rule:
        yield removed((*here, "matches"), weakens=True)
    for at_match, match in entries(rule, "matches"):
        place = (*here, *at_match)
        if several(rule, "matches"):
            yield removed(place, weakens=False)
        for name in match:
            if len(match) > 1:
                yield removed((*place, name), weakens=True)
        if text(match, "path", "type") == "Exact":
            yield replaced((*place, "path", "type"), "PathPrefix", "a prefix", weakens=True)
        for field in ("headers", "queryParams"):
            for at_entry, _ in entries(match, field):
                if several(match, field):
                    yield removed((*place, *at_entry), weakens=True)
    for at_filter, _ in entries(rule, "filters"):
        yield removed((*here, *at_filter), weakens=True)
    for at_backend, _ in entries(rule, "backendRefs"):
        if several(rule, "backendRefs"):
            yield removed((*here, *at_backend), weakens=False)


def reference_grant(body: Body) -> Iterator[Change]:
    """Yield the changes of a ReferenceGrant."""
    yield gone(weakens=False)
    for field in ("from", "to"):
        for place, entry in entries(body, "spec", field):
            if several(body, "spec", field):
                yield removed(place, weakens=False)
            if field == "to" and text(entry, "name"):
                yield removed((*place, "name"), "any name", weakens=True)


def backend_tls(body: Body) -> Iterator[Change]:
    """Yield the changes of a BackendTLSPolicy."""
    yield gone()
    if host := text(body, "spec", "validation", "hostname"):
        yield replaced(("spec", "validation", "hostname"), f"{ANOTHER}.{host}", "another", weakens=False)
    if mapping(body, "spec", "validation") and at(body, "spec", "validation", "subjectAltNames") is not None:
        yield removed(("spec", "validation", "subjectAltNames"), weakens=True)
    for place, _ in entries(body, "spec", "targetRefs"):
        if several(body, "spec", "targetRefs"):
            yield removed(place, weakens=True)
