"""Changes of a ServiceEntry: every host, address, port and endpoint, and who sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.mutate.edits import Change, Edit, gone, removed, replaced
from meshlab.mutate.operators.export_to import export_to
from meshlab.mutate.operators.wider import wider_host
from meshlab.mutate.written import at, entries, several, text, texts_with_paths, values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.mutate.edits import Body

__all__ = ["service_entry"]

_ANY_PORT = "a server of the bench answers alike at every port and address of its host"
_FURTHER_PORTS = ((80, "http", "HTTP"), (443, "tls", "TLS"))


def service_entry(body: Body) -> Iterator[Change]:
    """Yield the changes of a ServiceEntry."""
    yield gone()
    yield from export_to(body)
    wildcard = any(host.startswith("*") for _, host in texts_with_paths(body, "spec", "hosts"))
    for place, host in texts_with_paths(body, "spec", "hosts"):
        if several(body, "spec", "hosts"):
            yield removed(place, f"{host} removed", weakens=False)
        if (wide := wider_host(host)) and at(body, "spec", "endpoints"):
            yield replaced(place, wide, f"{host} becomes {wide}", weakens=True)
    for name in ("addresses", "endpoints"):
        if values(body, "spec", name) and not wildcard:
            yield removed(("spec", name), weakens=False)
        if several(body, "spec", name):
            for index in range(len(values(body, "spec", name))):
                yield removed(("spec", name, index), weakens=False)
    if values(body, "spec", "subjectAltNames"):
        yield removed(("spec", "subjectAltNames"), weakens=True)
    yield from _kind(body)
    yield from _ports(body)


def _kind(body: Body) -> Iterator[Change]:
    if text(body, "spec", "location") == "MESH_EXTERNAL":
        yield replaced(("spec", "location"), "MESH_INTERNAL", "inside", weakens=False)
    if text(body, "spec", "resolution") not in ("", "NONE"):
        place = ("spec", "resolution")
        edits = [Edit(place, "NONE")]
        edits += [Edit(("spec", "endpoints"))] if at(body, "spec", "endpoints") is not None else []
        yield Change(place, "NONE", tuple(edits), weakens=True, unseen=_ANY_PORT)


def _ports(body: Body) -> Iterator[Change]:
    ports = list(values(body, "spec", "ports"))
    numbers = {at(port, "number") for port in ports if isinstance(at(port, "number"), int)}
    for number, name, protocol in _FURTHER_PORTS:
        if ports and number not in numbers:
            more = [*ports, {"number": number, "name": f"{name}-{number}", "protocol": protocol}]
            yield replaced(("spec", "ports"), more, f"{number} added", weakens=True)
    for place, port in entries(body, "spec", "ports"):
        if several(body, "spec", "ports"):
            yield removed(place, weakens=False)
        if text(port, "protocol") not in ("TCP", ""):
            # Bytes have no host, method or path that a rule could ask for.
            yield replaced((*place, "protocol"), "TCP", "TCP", weakens=True, about=place)
