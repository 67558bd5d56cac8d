"""A placed drawing as SVG. Its colours are those of `data/html_report/report.css`; it has no styles of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.html_report.drawing.description import edge_words, node_words, summary
from meshlab.html_report.markup import Markup, element

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.html_report.drawing.graph import Graph
    from meshlab.html_report.drawing.placed import Box, Drawing, Group, Heading, Line
    from meshlab.html_report.drawing.sizes import Placed

__all__ = ["as_svg"]

_BADGE_ABOVE, _BADGE_HEIGHT, _BADGE_INSET = 12.5, 17.0, 6.0
_TIP = 8.0
_ORDER = ("route", "failed", "passed")


def as_svg(drawing: Drawing, graph: Graph, entries: Mapping[str, int]) -> Markup:
    """Return a drawing as an `<svg>` element.

    Args:
        drawing: The placed drawing.
        graph: What it shows.
        entries: The ids of nodes to the indices of their entries.
    """
    title, description = f"{drawing.shape}-title", f"{drawing.shape}-description"
    lines = sorted(drawing.lines, key=lambda line: _ORDER.index(line.edge.tone))
    return element(
        "svg",
        {
            "class": f"mesh {drawing.shape}",
            "viewBox": f"0 0 {drawing.width:.0f} {drawing.height:.0f}",
            "width": f"{drawing.width:.0f}",
            "height": f"{drawing.height:.0f}",
            "role": "group",
            "aria-labelledby": f"{title} {description}",
        },
        element("title", {"id": title}, "The mesh"),
        element("desc", {"id": description}, summary(graph)),
        *(_heading(heading) for heading in drawing.headings),
        *map(_group, drawing.groups),
        *(_line(line, graph) for line in lines),
        *(_box(box, entries.get(box.node.id)) for box in drawing.boxes),
    )


def _heading(heading: Heading) -> Markup:
    return element("text", {"class": "heading", "x": heading.x, "y": heading.y}, heading.text)


def _group(group: Group) -> Markup:
    place = {"x": group.x, "y": group.y, "width": group.width, "height": group.height, "rx": 10}
    return element(
        "g",
        {"class": "group"},
        element("title", {}, group.title),
        element("rect", place),
        element("text", {"x": group.x + 11, "y": group.y + 16}, group.name),
    )


def _line(line: Line, graph: Graph) -> Markup:
    edge = line.edge
    x, y = line.end
    back = x - _TIP * line.points
    tip = (
        element("path", {"class": "bar", "d": f"M{back:.0f} {y - 6:.1f}V{y + 6:.1f}"})
        if edge.tone == "failed"
        else element("path", {"class": "tip", "d": f"M{x:.0f} {y:.1f}L{back:.0f} {y - 4:.1f}V{y + 4:.1f}Z"})
    )
    return element(
        "g",
        {
            "class": f"line {edge.tone}{' past' if edge.bypasses else ''}",
            "data-from": edge.source,
            "data-to": edge.target,
        },
        element("title", {}, edge_words(edge, graph)),
        element("path", {"class": "way", "d": line.path}),
        tip,
    )


def _box(box: Box, entry: int | None) -> Markup:
    words = node_words(box.node)
    opens: dict[str, str | float | bool | None] = {}
    if entry is not None:
        opens = {"role": "button", "tabindex": 0, "data-entry": entry}
    return element(
        "g",
        {
            "class": f"box {box.node.kind}",
            "transform": f"translate({box.x:.1f} {box.y:.1f})",
            "data-node": box.node.id,
            "aria-label": words,
            **opens,
        },
        element("title", {}, words),
        element("rect", {"class": "frame", "width": box.width, "height": box.height, "rx": 7}),
        *(part for text in box.texts for part in _text(text)),
    )


def _text(placed: Placed) -> tuple[Markup, ...]:
    if placed.role in ("name", "detail"):
        return (element("text", {"class": placed.role, "x": placed.x, "y": placed.y}, placed.text),)
    frame: dict[str, str | float | bool | None] = {
        "class": f"badge {placed.role}",
        "x": placed.x,
        "y": placed.y - _BADGE_ABOVE,
        "width": placed.width,
        "height": _BADGE_HEIGHT,
        "rx": 4,
    }
    place: dict[str, str | float | bool | None] = {
        "class": f"badge {placed.role}",
        "x": placed.x + _BADGE_INSET,
        "y": placed.y,
    }
    return element("rect", frame), element("text", place, placed.text)
