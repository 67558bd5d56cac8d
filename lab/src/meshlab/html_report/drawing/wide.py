"""A drawing in columns, for screens: callers, gateways, workloads by namespace, egress gateways, hosts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from meshlab.html_report.drawing.ends import Side, ends_of
from meshlab.html_report.drawing.graph import COLUMNS, HEADINGS
from meshlab.html_report.drawing.placed import Box, Drawing, Group, Heading, Line
from meshlab.html_report.drawing.sizes import CHARACTER, fitted, height_of, texts_of, wanted_width
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.html_report.drawing.ends import Ends
    from meshlab.html_report.drawing.graph import Edge, Graph, Node

__all__ = ["wide"]

MARGIN = 16.0
_HEADING = 20.0
GROUP_HEAD = 24.0
GROUP_PADDING = 10.0
_NODE_GAP = 12.0
_GROUP_GAP = 26.0
_COLUMN_GAP = 80.0
_CENTRED_BELOW = 900.0
"""Columns of a higher drawing begin at its top: what is centred would be far from where a reader begins."""
_ACROSS = ((14, 1), (40, 2))
"""Numbers of nodes up to which so many of them stand beside each other."""
_MOST_ACROSS = 3
_TIP = 8.0
"""The length of the tip of an arrow, which is drawn between the line and the box."""
_LANE = 4.0


@dataclass(frozen=True)
class _Column:
    """A column.

    Attributes:
        x: Its left edge.
        width: Its width.
        heading: What stands above it.
        groups: Its groups.
        boxes: Its nodes.
        height: Its height.
    """

    x: float
    width: float
    heading: Heading
    groups: tuple[Group, ...]
    boxes: tuple[Box, ...]
    height: float

    def lowered(self, by: float) -> _Column:
        """Return the column further below."""
        groups = tuple(replace(group, y=group.y + by) for group in self.groups)
        boxes = tuple(replace(box, y=box.y + by) for box in self.boxes)
        heading = replace(self.heading, y=self.heading.y + by)
        return replace(self, heading=heading, groups=groups, boxes=boxes)

    def lanes(self) -> list[tuple[float, float]]:
        """Return the heights at which a line can pass the column, and to which side of it further lines can.

        A line crosses neither a group nor the heading. So lines above it lie above each other, and those below the last
        group lie below each other.
        """
        first, *others = self.groups
        between = [(group.y - _GROUP_GAP / 2, 0.0) for group in others]
        last = self.groups[-1]
        return [(first.y - _HEADING - 3, -1.0), *between, (last.y + last.height + 6, 1.0)]


def wide(graph: Graph) -> Drawing:
    """Place a drawing in columns."""
    columns: list[_Column] = []
    x = MARGIN
    for _, nodes in groupby(graph.nodes, key=lambda node: COLUMNS.index(node.kind)):
        column = _column(list(nodes), x)
        columns.append(column)
        x += column.width + _COLUMN_GAP
    height = max((column.height for column in columns), default=0.0)
    if height < _CENTRED_BELOW:
        columns = [column.lowered((height - column.height) / 2) for column in columns]
    return Drawing(
        "wide",
        x - _COLUMN_GAP + MARGIN + (_bulge(graph, columns) if columns else 0),
        height + 2 * MARGIN,
        tuple(column.heading for column in columns),
        tuple(group for column in columns for group in column.groups),
        tuple(box for column in columns for box in column.boxes),
        tuple(_lines(graph.edges, columns)),
    )


def _column(nodes: Sequence[Node], x: float) -> _Column:
    width = wanted_width(nodes)
    across = _across_of(len(nodes))
    outer = across * (width + _NODE_GAP) - _NODE_GAP + 2 * GROUP_PADDING
    groups: list[Group] = []
    boxes: list[Box] = []
    y = MARGIN + _HEADING
    heading = Heading(HEADINGS[nodes[0].kind], x + 2, y - 8)
    for name, members in groupby(nodes, key=lambda node: node.group):
        top, y = y, y + GROUP_HEAD
        found = list(members)
        for row in (found[place : place + across] for place in range(0, len(found), across)):
            for number, node in enumerate(row):
                left = x + GROUP_PADDING + number * (width + _NODE_GAP)
                boxes.append(Box(node, left, y, width, height_of(node, width), tuple(texts_of(node, width))))
            y = max(box.bottom for box in boxes[-len(row) :]) + _NODE_GAP
        y += GROUP_PADDING - _NODE_GAP
        head = fitted(name, outer - 2 * GROUP_PADDING, CHARACTER)
        groups.append(Group(head, name, x, top, outer, y - top))
        y += _GROUP_GAP
    return _Column(x, outer, heading, tuple(groups), tuple(boxes), y - _GROUP_GAP - MARGIN)


def _across_of(nodes: int) -> int:
    """Return how many nodes of a column stand beside each other; else that of a large mesh would be too high."""
    return next((across for most, across in _ACROSS if nodes <= most), _MOST_ACROSS)


def _bulge(graph: Graph, columns: Sequence[_Column]) -> float:
    """Return the room that lines inside the last column need on its right."""
    last = {box.node.id for box in columns[-1].boxes}
    return 56.0 if any(edge.source in last and edge.target in last for edge in graph.edges) else 0.0


def _lines(edges: Sequence[Edge], columns: Sequence[_Column]) -> Iterator[Line]:
    place = {box.node.id: (number, box) for number, column in enumerate(columns) for box in column.boxes}

    def sides(edge: Edge) -> tuple[Side, Side]:
        source, target = place[edge.source][0], place[edge.target][0]
        if source == target:
            return "right", "right"
        return ("right", "left") if source < target else ("left", "right")

    ends = ends_of(edges, {name: box for name, (_, box) in place.items()}, sides)
    taken: dict[tuple[int, float], int] = defaultdict(int)
    for edge in edges:
        source, target = place[edge.source][0], place[edge.target][0]
        own = ends[edge]
        if source == target:
            yield _beside(edge, own)
            continue
        between = columns[source + 1 : target] or columns[target + 1 : source][::-1]
        through = [_lane(column, own, taken, number) for number, column in enumerate(between, start=source)]
        yield _across(edge, own, between, through, 1 if source < target else -1)


def _lane(column: _Column, ends: Ends, taken: dict[tuple[int, float], int], number: int) -> float:
    """Return the height at which a line passes a column, beside the lines that pass there already."""
    wanted = (ends.start[1] + ends.end[1]) / 2
    lane, side = min(column.lanes(), key=lambda found: (abs(found[0] - wanted), found[0]))
    order = taken[number, lane]
    taken[number, lane] += 1
    if side:
        return lane + side * (order % 3) * _LANE
    return lane + ((order + 1) // 2 % 3) * _LANE * (-1 if order % 2 else 1)


def _across(
    edge: Edge, ends: Ends, between: Sequence[_Column], through: Sequence[float], points: Literal[1, -1]
) -> Line:
    (x, y), (end_x, end_y) = ends.start, ends.end
    parts = [f"M{x:.0f} {y:.1f}"]
    for column, lane in zip(between, through, strict=True):
        near, far = column.x, column.x + column.width
        if points < 0:
            near, far = far, near
        parts.append(_curve(x, y, near, lane))
        parts.append(f"H{far:.0f}")
        x, y = far, lane
    parts.append(_curve(x, y, end_x - _TIP * points, end_y))
    return Line(edge, "".join(parts), ends.end, points)


def _beside(edge: Edge, ends: Ends) -> Line:
    """Return a line between two boxes of one column: it leaves and arrives on their right."""
    (x, y), (end_x, end_y) = ends.start, ends.end
    out = max(x, end_x) + min(64.0, 28.0 + abs(end_y - y) / 10)
    path = f"M{x:.0f} {y:.1f}C{out:.0f} {y:.1f} {out:.0f} {end_y:.1f} {end_x + _TIP:.0f} {end_y:.1f}"
    return Line(edge, path, ends.end, -1)


def _curve(x: float, y: float, end_x: float, end_y: float) -> str:
    half = (x + end_x) / 2
    return f"C{half:.0f} {y:.1f} {half:.0f} {end_y:.1f} {end_x:.0f} {end_y:.1f}"
