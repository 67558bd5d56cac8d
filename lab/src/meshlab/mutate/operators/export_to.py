"""Changes of `exportTo`: the namespaces that see an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.mutate.edits import removed, replaced
from meshlab.mutate.written import at, several, text, texts_with_paths, values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.mutate.edits import Body, Change

__all__ = ["export_to", "exported_service"]

_PLACE = ("spec", "exportTo")
_ANNOTATION = ("metadata", "annotations", "networking.istio.io/exportTo")
_EVERYWHERE = "*"


def export_to(body: Body, *, weakens: bool = True) -> Iterator[Change]:
    """Yield the changes of an object's `exportTo`.

    Args:
        body: The object.
        weakens: Whether more is let in where more namespaces see it.
    """
    if at(body, *_PLACE) is None:
        return
    if list(values(body, *_PLACE)) != [_EVERYWHERE]:
        yield replaced(_PLACE, [_EVERYWHERE], "every namespace", weakens=weakens)
    for place, namespace in texts_with_paths(body, *_PLACE):
        if several(body, *_PLACE):
            yield removed(place, f"{namespace} removed", weakens=False)


def exported_service(body: Body) -> Iterator[Change]:
    """Yield the changes of a Service, whose `exportTo` is an annotation."""
    if text(body, *_ANNOTATION) not in ("", _EVERYWHERE):
        yield replaced(_ANNOTATION, _EVERYWHERE, "every namespace", weakens=True)
