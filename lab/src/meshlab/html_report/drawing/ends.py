"""Where lines touch boxes: spread over a side, in the order of what they lead to, so that few of them cross."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshlab.html_report.drawing.graph import Edge
    from meshlab.html_report.drawing.placed import Box

__all__ = ["Ends", "Side", "ends_of"]

Side = Literal["left", "right"]

_INSET = 9.0


@dataclass(frozen=True)
class Ends:
    """Where a line begins and ends."""

    start: tuple[float, float]
    end: tuple[float, float]


def ends_of(
    edges: Sequence[Edge], boxes: Mapping[str, Box], sides: Callable[[Edge], tuple[Side, Side]]
) -> dict[Edge, Ends]:
    """Return where each line touches its boxes.

    Args:
        edges: The edges.
        boxes: The boxes by the ids of their nodes.
        sides: The sides on which an edge leaves its source and reaches its target.
    """
    touching: dict[tuple[str, Side], list[tuple[float, int, bool]]] = defaultdict(list)
    for number, edge in enumerate(edges):
        leaves, reaches = sides(edge)
        touching[edge.source, leaves].append((boxes[edge.target].middle, number, True))
        touching[edge.target, reaches].append((boxes[edge.source].middle, number, False))
    points: dict[tuple[int, bool], tuple[float, float]] = {}
    for (name, side), found in touching.items():
        box = boxes[name]
        x = box.x if side == "left" else box.x + box.width
        step = (box.height - 2 * _INSET) / len(found)
        for order, (_, number, starts) in enumerate(sorted(found)):
            points[number, starts] = (x, box.y + _INSET + step * (order + 0.5))
    return {edge: Ends(points[number, True], points[number, False]) for number, edge in enumerate(edges)}
