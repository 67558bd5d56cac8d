"""Changes of the matches of HTTP routes: each text wider, each header and parameter removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.mutate.edits import removed, replaced
from meshlab.mutate.written import mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.mutate.edits import Body, Change, Path

__all__ = ["http_match"]

_ONE_SEGMENT = "[^/;]+"


def http_match(body: Body, place: Path, *, opens: bool) -> Iterator[Change]:
    """Yield the changes inside of one match: `uri` and `authority` wider, and each of several names removed.

    Args:
        body: The object.
        place: The match.
        opens: Whether more is let in where it takes more; a route may also be there to refuse.
    """
    yield from _uri(body, (*place, "uri"), opens=opens)
    if name := text(body, *place, "authority", "exact"):
        yield replaced((*place, "authority"), {"regex": ".*"}, f"{name} becomes any host", weakens=opens)
    for field in ("headers", "queryParams", "withoutHeaders", "sourceLabels"):
        names = mapping(body, *place, field)
        for name in names:
            if len(names) > 1:
                yield removed((*place, field, name), weakens=opens)
            if "exact" in mapping(names, name):  # an empty one, too
                yield replaced((*place, field, name), {"regex": ".*"}, "any value", weakens=opens)


def _uri(body: Body, place: Path, *, opens: bool) -> Iterator[Change]:
    if path := text(body, *place, "exact"):
        yield replaced(place, {"prefix": path}, f"{path} becomes a prefix", weakens=opens)
    if path := text(body, *place, "prefix"):
        parent = path.rstrip("/").rpartition("/")[0] + "/"
        if parent != path:
            yield replaced((*place, "prefix"), parent, f"{path} becomes {parent}", weakens=opens)
    if regex := text(body, *place, "regex"):
        if _ONE_SEGMENT in regex:
            wide = regex.replace(_ONE_SEGMENT, "[^/]+")
            yield replaced((*place, "regex"), wide, "parameters", weakens=opens)
        if regex != ".*":
            yield replaced((*place, "regex"), ".*", "all below", weakens=opens)
