"""Nodes and edges of a drawing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["COLUMNS", "HEADINGS", "OUTSIDE", "Badge", "Edge", "Graph", "Kind", "Node", "merged"]

Kind = Literal["caller", "gateway", "workload", "egress", "host"]
COLUMNS: tuple[Kind, ...] = ("caller", "gateway", "workload", "egress", "host")
"""The kinds of nodes from left to right."""

HEADINGS: dict[Kind, str] = {
    "caller": "Callers",
    "gateway": "Gateways",
    "workload": "Workloads",
    "egress": "Egress gateways",
    "host": "Hosts outside",
}
"""What stands above the nodes of a kind."""

OUTSIDE = "outside"
"""The id of the node that stands for clients outside of the mesh."""


@dataclass(frozen=True)
class Badge:
    """A short text on a node, such as `DENY 2`.

    Attributes:
        text: The text.
        tone: `allow`, `deny`, `token`, `mtls`, `open` (no mTLS is asked for) or `plain`.
    """

    text: str
    tone: str


@dataclass(frozen=True)
class Node:
    """One thing in the drawing.

    Attributes:
        id: Unique, such as `shop/cart`.
        kind: What it is.
        group: Its namespace; what it is drawn with.
        name: Its name in the group.
        badges: Its policies in short.
        lines: More lines below its name, such as the hosts of a gateway.
        facts: Everything that is known of it: labels and values.
    """

    id: str
    kind: Kind
    group: str
    name: str
    badges: tuple[Badge, ...] = ()
    lines: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Edge:
    """A way from one node to another.

    Attributes:
        source: The id of a node.
        target: The id of a node.
        let_in: How many requests passed.
        refused: How many requests were refused by the target.
        routed: Whether a route of the manifests leads there.
        bypasses: Whether the requests go past the sidecar of their sender.
    """

    source: str
    target: str
    let_in: int = 0
    refused: int = 0
    routed: bool = False
    bypasses: bool = False

    @property
    def tone(self) -> Literal["passed", "failed", "route"]:
        """What is known of the way: requests passed, all were refused, or none was sent."""
        if self.let_in:
            return "passed"
        return "failed" if self.refused else "route"


@dataclass(frozen=True)
class Graph:
    """A drawing before it is placed. Nodes and edges are sorted, so that one mesh is always drawn alike.

    Attributes:
        nodes: The nodes, by kind, group and name.
        edges: The edges between them.
    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()

    @classmethod
    def of(cls, nodes: Iterable[Node], edges: Iterable[Edge]) -> Graph:
        """Return the graph of these nodes and edges; edges to what is no node, or to itself, are left out."""
        found = {node.id: node for node in nodes}
        known = (edge for edge in edges if edge.source in found and edge.target in found)
        return cls(
            tuple(sorted(found.values(), key=lambda node: (COLUMNS.index(node.kind), node.group, node.name))),
            tuple(merged(edge for edge in known if edge.source != edge.target)),
        )

    def with_edges(self, nodes: Iterable[Node], edges: Iterable[Edge]) -> Graph:
        """Return the graph with more nodes, where it has none of that id, and more edges."""
        ids = {node.id for node in self.nodes}
        new = [node for node in nodes if node.id not in ids]
        return Graph.of((*self.nodes, *new), (*self.edges, *edges))

    def node(self, name: str) -> Node | None:
        """Return the node of an id."""
        return next((node for node in self.nodes if node.id == name), None)


def merged(edges: Iterable[Edge]) -> Iterator[Edge]:
    """Yield one edge for each pair of nodes and kind of way, sorted."""
    found: dict[tuple[str, str, bool], Edge] = {}
    for edge in edges:
        key = (edge.source, edge.target, edge.bypasses)
        old = found.get(key, Edge(edge.source, edge.target, bypasses=edge.bypasses))
        found[key] = replace(
            old,
            let_in=old.let_in + edge.let_in,
            refused=old.refused + edge.refused,
            routed=old.routed or edge.routed,
        )
    return (found[key] for key in sorted(found))
