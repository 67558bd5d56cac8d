"""Changes of a VirtualService: its hosts, gateways and `exportTo`, every route, match and action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import gone, removed, replaced
from meshlab.mutate.operators.export_to import export_to
from meshlab.mutate.operators.matches import http_match
from meshlab.mutate.operators.wider import wider_host
from meshlab.mutate.written import entries, mapping, several, text, texts_with_paths, values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.mutate.edits import Body, Change, Path

__all__ = ["virtual_service"]

_MESH = "mesh"
_GUARDS = ("fault", "redirect", "directResponse")
"""What answers in place of an application."""
_ACTIONS = ("rewrite", "delegate", "mirror", "mirrors", "corsPolicy", "timeout", "retries")
_UNSEEN = {
    "timeout": "applications of the bench answer at once",
    "retries": "servers of the bench are reached at once",
    "mirror": "the bench compares no copies of requests",
    "mirrors": "the bench compares no copies of requests",
}


def virtual_service(body: Body) -> Iterator[Change]:
    """Yield the changes of a VirtualService."""
    yield gone()
    yield from export_to(body)
    yield from _hosts(body)
    yield from _gateways(body)
    for protocol in ("http", "tls", "tcp"):
        for place, route in entries(body, "spec", protocol):
            # A route that answers by itself refuses; the next one takes what it leaves.
            refuses = not any(name in route for name in ("route", "delegate"))
            if several(body, "spec", protocol):
                yield removed(place, weakens=refuses)
            yield from _route(body, place, route, opens=not refuses)


def _hosts(body: Body) -> Iterator[Change]:
    for place, host in texts_with_paths(body, "spec", "hosts"):
        if several(body, "spec", "hosts"):
            yield removed(place, f"{host} removed", weakens=False)
        if wide := wider_host(host):
            yield replaced(place, wide, f"{host} becomes {wide}", weakens=True)


def _gateways(body: Body) -> Iterator[Change]:
    names = list(values(body, "spec", "gateways"))
    for place, name in texts_with_paths(body, "spec", "gateways"):
        if several(body, "spec", "gateways"):
            yield removed(place, f"{name} removed", weakens=False)
    if names and _MESH not in names:
        yield replaced(("spec", "gateways"), [*names, _MESH], "mesh added", weakens=True)


def _route(body: Body, here: Path, route: Mapping[str, Any], *, opens: bool) -> Iterator[Change]:
    for name in (*_GUARDS, *_ACTIONS):
        if name in route and (name not in _GUARDS or "route" in route):
            yield removed((*here, name), weakens=name in _GUARDS, unseen=_UNSEEN.get(name, ""))
    for place, target in entries(body, *here, "route"):
        if several(body, *here, "route"):
            yield removed(place, weakens=False)
        if text(target, "destination", "subset"):
            yield removed((*place, "destination", "subset"), weakens=True)
    if "match" in route and here[1] != "tls":
        yield removed((*here, "match"), weakens=opens)
    for place, match in entries(body, *here, "match"):
        if several(body, *here, "match"):
            yield removed(place, weakens=not opens)
        yield from _match(body, place, match, opens=opens)
    for direction in ("request", "response"):
        yield from _headers(body, (*here, "headers", direction))


def _match(body: Body, place: Path, match: Mapping[str, Any], *, opens: bool) -> Iterator[Change]:
    for name in match:
        if len(match) > 1 and name not in ("sniHosts", "name", "statPrefix"):
            yield removed((*place, name), weakens=opens)
    for at_host, host in texts_with_paths(body, *place, "sniHosts"):
        if several(body, *place, "sniHosts"):
            yield removed(at_host, f"{host} removed", weakens=False)
    yield from http_match(body, place, opens=opens)


def _headers(body: Body, here: Path) -> Iterator[Change]:
    for place, header in texts_with_paths(body, *here, "remove"):
        yield removed(place, f"{header} kept", weakens=True)
    for way in ("set", "add"):
        for header in mapping(body, *here, way):
            yield removed((*here, way, header), weakens=False)
