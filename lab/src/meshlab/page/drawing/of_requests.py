"""The ways that requests took, from the JSON document of a run."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from meshlab.page.drawing.graph import OUTSIDE, Edge, Graph, Node
from meshlab.page.drawing.of_mesh import host_node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["edges_of", "sender_of", "way_of", "with_requests"]

CALLERS = "outside the mesh"
"""The group of senders that are no workloads."""

_CALLERS = {
    OUTSIDE: "clients",
    "no identity": "no identity",
}
_FOREIGN = "another mesh"


def with_requests(graph: Graph, cases: Iterable[Mapping[str, Any]]) -> Graph:
    """Return a drawing with the ways of these requests, and with nodes for what only they name."""
    found = list(cases)
    names = dict.fromkeys(name for case in found for name in way_of(case))
    return graph.with_edges(map(_node, names), (edge for case in found for edge in edges_of(case)))


def sender_of(case: Mapping[str, Any]) -> str:
    """Return the node that sends a request."""
    sender = case.get("from") or {}
    if "outside" in sender:
        return OUTSIDE
    if "mesh" in sender:
        return _FOREIGN
    if "bypass" in sender:
        return "no identity" if sender["bypass"] == "none" else str(sender["bypass"])
    return str(sender.get("workload", ""))


def way_of(case: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the nodes on the way of a request, from its sender to what answered it."""
    got = case.get("got") or {}
    nodes = [sender_of(case), *(str(hop["proxy"]) for hop in case.get("hops", ())), str(got.get("app") or "")]
    nodes += [str(got.get("proxy") or "")]
    return tuple(dict.fromkeys(node for node in nodes if node))


def edges_of(case: Mapping[str, Any]) -> Iterator[Edge]:
    """Yield the steps of a request. Only the last one of a request that a proxy refused counts as refused."""
    way = way_of(case)
    got = case.get("got") or {}
    stopped = str(got.get("proxy") or "")
    if not got or not (stopped or got.get("app")):
        return
    past_sidecar = "bypass" in (case.get("from") or {})
    for number, (source, target) in enumerate(pairwise(way)):
        if source == stopped:
            # What a proxy broke off went no further, whatever it had reached; a sender's own proxy lets nothing out.
            return
        refused = target == stopped
        yield Edge(
            source,
            target,
            let_in=int(not refused),
            refused=int(refused),
            bypasses=past_sidecar and number == 0 and source not in _CALLERS,
        )


def _node(name: str) -> Node:
    if name in _CALLERS or name == _FOREIGN:
        return Node(name, "caller", CALLERS, _CALLERS.get(name, name))
    namespace, slash, workload = name.partition("/")
    if not slash:
        return host_node(name)
    return Node(name, "workload", namespace, workload, facts=(("declared", "in a case file"),))
