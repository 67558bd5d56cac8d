"""A drawing in one column, for telephones: lines run in the margin, from one box to another."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from meshlab.html_report.drawing.ends import ends_of
from meshlab.html_report.drawing.graph import COLUMNS, HEADINGS
from meshlab.html_report.drawing.placed import Box, Drawing, Group, Heading, Line
from meshlab.html_report.drawing.sizes import CHARACTER, fitted, height_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.html_report.drawing.ends import Ends
    from meshlab.html_report.drawing.graph import Edge, Graph, Node

__all__ = ["narrow"]

WIDTH = 340.0
_GUTTER = 78.0
_HEADING = 20.0
_GROUP_HEAD = 24.0
_PADDING = 8.0
_NODE_GAP = 12.0
_GROUP_GAP = 14.0
_TIP = 8.0


def narrow(graph: Graph) -> Drawing:
    """Place a drawing in one column."""
    headings: list[Heading] = []
    groups: list[Group] = []
    boxes: list[Box] = []
    y = _PADDING
    width = WIDTH - _GUTTER - 2 * _PADDING
    kind = ""
    for (_, name), members in groupby(graph.nodes, key=_group):
        nodes = list(members)
        if nodes[0].kind != kind:
            kind = nodes[0].kind
            headings.append(Heading(HEADINGS[kind], _GUTTER + 2, y + 12))
            y += _HEADING
        top, y = y, y + _GROUP_HEAD
        for node in nodes:
            x = _GUTTER + _PADDING
            box = Box(node, x, y, width, height_of(node, width), tuple(texts_of(node, width)))
            boxes.append(box)
            y = box.bottom + _NODE_GAP
        y += _PADDING - _NODE_GAP
        head = fitted(name, width, CHARACTER)
        groups.append(Group(head, name, _GUTTER, top, width + 2 * _PADDING, y - top))
        y += _GROUP_GAP
    height = y - _GROUP_GAP + _PADDING if boxes else 0.0
    return Drawing(
        "narrow",
        WIDTH + 2,
        height,
        tuple(headings),
        tuple(groups),
        tuple(boxes),
        tuple(_lines(graph.edges, boxes)),
    )


def _group(node: Node) -> tuple[int, str]:
    return COLUMNS.index(node.kind), node.group


def _lines(edges: tuple[Edge, ...], boxes: list[Box]) -> Iterator[Line]:
    ends = ends_of(edges, {box.node.id: box for box in boxes}, lambda _edge: ("left", "left"))
    lengths = sorted({_length(own) for own in ends.values()})
    for edge in edges:
        (x, y), (end_x, end_y) = ends[edge].start, ends[edge].end
        # The longer a line, the further out it runs: so lines lie inside each other and do not cross.
        share = (lengths.index(_length(ends[edge])) + 1) / len(lengths)
        out = x - _PADDING - 14 - share * (_GUTTER - 20) * 4 / 3
        path = f"M{x:.0f} {y:.1f}C{out:.0f} {y:.1f} {out:.0f} {end_y:.1f} {end_x - _TIP:.0f} {end_y:.1f}"
        yield Line(edge, path, (end_x, end_y), 1)


def _length(ends: Ends) -> float:
    return abs(ends.end[1] - ends.start[1])
