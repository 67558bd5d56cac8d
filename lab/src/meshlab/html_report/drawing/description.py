"""A drawing in words, for those who do not see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.html_report.drawing.graph import Edge, Graph, Node

__all__ = ["KINDS", "edge_words", "node_words", "sentences", "summary"]

KINDS = {
    "caller": "caller",
    "gateway": "gateway",
    "workload": "workload",
    "egress": "egress gateway",
    "host": "host outside",
}


def summary(graph: Graph) -> str:
    """Return what the drawing shows, in one sentence."""
    counts = [_count(sum(node.kind == kind for node in graph.nodes), word) for kind, word in KINDS.items()]
    shown = [text for text in counts if text]
    ways = _count(len(graph.edges), "way")
    return f"The mesh has {_listed(shown)}, with {ways or 'no ways'} between them."


def node_words(node: Node) -> str:
    """Return a node and its policies."""
    more = [*node.lines, *(badge.text for badge in node.badges)]
    return f"{KINDS[node.kind]} {_name(node)}" + (f": {', '.join(more)}" if more else "")


def edge_words(edge: Edge, graph: Graph) -> str:
    """Return a way and what is known of it."""
    source, target = graph.node(edge.source), graph.node(edge.target)
    ends = f"{_name(source) if source else edge.source} to {_name(target) if target else edge.target}"
    facts = []
    if edge.let_in:
        facts.append(f"{_count(edge.let_in, 'request')} passed")
    if edge.refused:
        facts.append(f"{_count(edge.refused, 'request')} refused")
    if edge.routed:
        facts.append("a route leads there" if facts else "a route leads there, and no request was sent")
    if edge.bypasses:
        facts.append("past the sidecar of the sender")
    return f"{ends}: {', '.join(facts)}"


def sentences(graph: Graph) -> Iterator[str]:
    """Yield everything that the drawing shows, one sentence for each node and each way."""
    yield from map(node_words, graph.nodes)
    yield from (edge_words(edge, graph) for edge in graph.edges)


def _name(node: Node) -> str:
    return node.name if node.kind in ("caller", "host") else node.id


def _count(number: int, word: str) -> str:
    if not number:
        return ""
    plural = {"host outside": "hosts outside"}.get(word, f"{word}s")
    return f"{number} {word if number == 1 else plural}"


def _listed(texts: list[str]) -> str:
    if not texts:
        return "nothing in it"
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
