"""Changes of a Sidecar: what its workloads see, and what they reach beyond that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.mutate.edits import gone, removed, replaced
from meshlab.mutate.operators.policy_attachment import labels
from meshlab.mutate.written import at, entries, several, text, texts_with_paths, values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.mutate.edits import Body, Change, Path

__all__ = ["sidecar"]

_EVERY_HOST = "*/*"


def sidecar(body: Body) -> Iterator[Change]:
    """Yield the changes of a Sidecar."""
    yield gone()
    yield from labels(
        body, ("spec", "workloadSelector"), ("labels",), narrower_weakens=True, wider_weakens=False
    )
    if at(body, "spec", "outboundTrafficPolicy") is not None:
        place: Path = ("spec", "outboundTrafficPolicy")
        yield removed(place, weakens=True)
        if text(body, *place, "mode") != "ALLOW_ANY":
            yield replaced((*place, "mode"), "ALLOW_ANY", "ALLOW_ANY", weakens=True)
    if at(body, "spec", "egress") is not None:
        yield removed(("spec", "egress"), weakens=True)
    for place, _ in entries(body, "spec", "egress"):
        if several(body, "spec", "egress"):
            yield removed(place, weakens=False)
        yield from _hosts(body, (*place, "hosts"))
    for place, _ in entries(body, "spec", "ingress"):
        if several(body, "spec", "ingress"):
            yield removed(place, weakens=False)


def _hosts(body: Body, here: Path) -> Iterator[Change]:
    if list(values(body, *here)) != [_EVERY_HOST]:
        yield replaced(here, [_EVERY_HOST], "every host", weakens=True)
    for place, host in texts_with_paths(body, *here):
        if several(body, *here):
            yield removed(place, f"{host} removed", weakens=False)
        namespace, slash, name = host.partition("/")
        if not slash:
            continue
        if name != "*":
            yield replaced(place, f"{namespace}/*", f"{host} becomes {namespace}/*", weakens=True)
        if namespace != "*":
            yield replaced(place, f"*/{name}", f"{host} becomes */{name}", weakens=True)
