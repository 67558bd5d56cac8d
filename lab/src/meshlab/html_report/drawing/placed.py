"""A placed drawing: boxes, groups and lines with their coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.html_report.drawing.graph import Edge, Node
    from meshlab.html_report.drawing.sizes import Placed

__all__ = ["Box", "Drawing", "Group", "Heading", "Line"]


@dataclass(frozen=True)
class Box:
    """A node. The texts are placed from its left upper corner."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    texts: tuple[Placed, ...]

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The height of its middle."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Group:
    """What is drawn around the nodes of a namespace.

    Attributes:
        name: The namespace, as short as the group is wide.
        title: The whole name.
    """

    name: str
    title: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Heading:
    """What stands above the nodes of one kind.

    Attributes:
        text: The text.
        x: Where it begins.
        y: Its baseline.
    """

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Line:
    """An edge.

    Attributes:
        edge: The edge.
        path: The path, as the attribute `d` of SVG has it.
        end: Where it ends.
        points: 1 where its end points to the right, -1 to the left.
    """

    edge: Edge
    path: str
    end: tuple[float, float]
    points: Literal[1, -1]


@dataclass(frozen=True)
class Drawing:
    """A placed drawing.

    Attributes:
        shape: `wide` or `narrow`.
        width: In pixels at its natural size.
        height: In pixels at its natural size.
    """

    shape: Literal["wide", "narrow"]
    width: float
    height: float
    headings: tuple[Heading, ...]
    groups: tuple[Group, ...]
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
