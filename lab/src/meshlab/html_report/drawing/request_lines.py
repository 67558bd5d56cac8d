"""The ways that requests take through a mesh, as lines of its drawing."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from meshlab.html_report.drawing.graph import OUTSIDE, Edge, Graph, Node
from meshlab.html_report.drawing.of_mesh import host_node
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ANOTHER_MESH", "NO_IDENTITY", "Way", "edges_of", "with_ways"]

NO_IDENTITY = "no identity"
"""The id of the node that stands for clients without an identity, which connect to pods themselves."""
ANOTHER_MESH = "another mesh"
"""The id of the node that stands for workloads of other meshes."""

_CALLERS = {OUTSIDE: "clients", NO_IDENTITY: NO_IDENTITY, ANOTHER_MESH: ANOTHER_MESH}
_GROUP = "outside the mesh"


@dataclass(frozen=True)
class Way:
    """The way of one request.

    Attributes:
        nodes: The ids of the nodes that it met, in order: its sender, each proxy, and the host that answered.
        ended: Whether it is known how it ended.
        stopped: The id of the node whose proxy refused it; empty where an application answered.
        bypasses: Whether it began past the sidecar of its sender.
    """

    nodes: tuple[str, ...]
    ended: bool = True
    stopped: str = ""
    bypasses: bool = False


def with_ways(graph: Graph, ways: Iterable[Way]) -> Graph:
    """Return a drawing with the ways of requests, and with nodes for what only they name."""
    found = list(ways)
    names = dict.fromkeys(name for way in found for name in way.nodes)
    return graph.with_edges(map(_node, names), (edge for way in found for edge in edges_of(way)))


def edges_of(way: Way) -> Iterator[Edge]:
    """Yield the steps of a request. Only the one to the proxy that refused it counts as refused."""
    if not way.ended:
        return
    for number, (source, target) in enumerate(pairwise(way.nodes)):
        if source == way.stopped:
            # What a proxy broke off went no further, whatever it had reached; a sender's own proxy lets nothing out.
            return
        refused = target == way.stopped
        yield Edge(
            source,
            target,
            let_in=int(not refused),
            refused=int(refused),
            bypasses=way.bypasses and number == 0 and source not in _CALLERS,
        )


def _node(name: str) -> Node:
    if name in _CALLERS:
        return Node(name, "caller", _GROUP, _CALLERS[name])
    namespace, slash, workload = name.partition("/")
    if not slash:
        return host_node(name)
    return Node(name, "workload", namespace, workload, facts=(("declared", "in a case file"),))
