"""The drawing of a mesh: what is in it, that one mesh is always drawn alike, and that no text lies on another."""

from __future__ import annotations

import random
import re
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from meshlab.html_report.drawing.description import sentences
from meshlab.html_report.drawing.graph import OUTSIDE, Badge, Edge, Graph, Node
from meshlab.html_report.drawing.narrow import narrow
from meshlab.html_report.drawing.of_mesh import graph_of
from meshlab.html_report.drawing.request_lines import edges_of, with_ways
from meshlab.html_report.drawing.sizes import texts_of
from meshlab.html_report.drawing.svg import as_svg
from meshlab.html_report.drawing.wide import wide
from meshlab.html_report.of_case import way_of
from meshlab.istio import load_mesh
from meshlab.kustomize import build

from tests.docs.pages import ROOT
from tests.lab.html_report.samples import HOSTILE, case, graph, hop, large_mesh, refused, shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshlab.html_report.drawing.placed import Box, Drawing

    Place = Callable[[Graph], Drawing]
    Rectangle = tuple[float, float, float, float]


def full() -> Graph:
    return with_ways(graph(), map(way_of, shop()[0]["cases"]))


def own_mesh(name: str) -> Graph:
    return graph_of(load_mesh(build(ROOT / "infra/mesh" / name)))


def hostile_graph() -> Graph:
    nodes = [
        Node("a", "gateway", HOSTILE * 3, HOSTILE * 3, (Badge("DENY 2", "deny"),) * 9, (HOSTILE * 3,) * 9),
        Node("b", "workload", "名前空間" * 20, "名前" * 40, (Badge("名前" * 3, "open"),)),
        Node("c", "host", "", ""),
    ]
    return Graph.of(nodes, [Edge("a", "b", 1), Edge("b", "c", 0, 1), Edge("c", "a", routed=True)])


GRAPHS: dict[str, Callable[[], Graph]] = {
    "a shop": full,
    "our ingress": lambda: own_mesh("overlays/example"),
    "our egress": lambda: own_mesh("egress/overlays/example"),
    "100 workloads": lambda: large_mesh(100),
    "hostile names": hostile_graph,
    "nothing": lambda: graph("---\n"),
}
PLACES: dict[str, Place] = {"wide": wide, "narrow": narrow}


@pytest.fixture(params=GRAPHS)
def drawn(request: pytest.FixtureRequest) -> Graph:
    return GRAPHS[request.param]()


def texts(box: Box) -> Iterator[Rectangle]:
    """The rectangles that the texts of a box take: a badge with its frame, another text with its characters."""
    for text in box.texts:
        top, bottom = (13.0, 5.0) if text.role not in ("name", "detail") else (11.0, 3.5)
        x, y = box.x + text.x, box.y + text.y
        yield x, y - top, x + text.width, y + bottom


def headings(drawing: Drawing) -> Iterator[Rectangle]:
    for group in drawing.groups:
        yield group.x + 11, group.y + 6, group.x + 11 + 7 * len(group.name), group.y + 20
    for heading in drawing.headings:
        yield heading.x, heading.y - 9, heading.x + 8.5 * len(heading.text), heading.y + 3


def overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def inside(one: Rectangle, other: Rectangle) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one[2] <= other[2] + 0.1 and one[3] <= other[3] + 0.1


def rectangle(box: Box) -> Rectangle:
    return box.x, box.y, box.x + box.width, box.bottom


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_no_text_lies_on_another_or_outside_of_its_box(drawn: Graph, place: Place) -> None:
    drawing = place(drawn)
    for box in drawing.boxes:
        assert [text for text in texts(box) if not inside(text, rectangle(box))] == [], box.node.id
        assert [pair for pair in combinations(texts(box), 2) if overlap(*pair)] == [], box.node.id
    assert [pair for pair in combinations(map(rectangle, drawing.boxes), 2) if overlap(*pair)] == []
    names = list(headings(drawing))
    assert [pair for pair in combinations(names, 2) if overlap(*pair)] == []
    assert [box.node.id for box in drawing.boxes for name in names if overlap(name, rectangle(box))] == []


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_everything_is_inside_of_the_drawing(drawn: Graph, place: Place) -> None:
    drawing = place(drawn)
    whole = (0.0, 0.0, drawing.width, drawing.height)
    assert [box.node.id for box in drawing.boxes if not inside(rectangle(box), whole)] == []
    for line in drawing.lines:
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", line.path)]
        # A curve lies inside of its control points, and the margin of the narrow drawing is left by them alone.
        assert min(numbers) >= (-40 if drawing.shape == "narrow" else 0)
        assert max(numbers) <= max(drawing.width, drawing.height)


def crowded() -> Graph:
    """A mesh in which many requests go past the gateway to the pods themselves."""
    nodes = [Node(f"caller {number}", "caller", "outside", f"caller {number}") for number in range(6)]
    nodes += [Node("edge/door", "gateway", "edge", "door"), Node("far/door", "gateway", "far", "door")]
    nodes += [Node(f"shop/{name}", "workload", "shop", name) for name in "abcdef"]
    return Graph.of(nodes, [Edge(one.id, other.id, 1) for one in nodes[:6] for other in nodes[8:]])


def test_a_line_that_passes_a_column_crosses_neither_its_heading_nor_a_group() -> None:
    drawing = wide(crowded())
    found = [float(y) for line in drawing.lines for y in re.findall(r" ([\d.]+)H", line.path)]
    assert len(found) == 36
    column = next(group for group in drawing.groups if group.name == "edge")
    heading = next(heading for heading in drawing.headings if heading.text == "Gateways")
    groups = [(group.y, group.y + group.height) for group in drawing.groups if group.x == column.x]
    taken = [*groups, (heading.y - 9, heading.y + 3)]
    assert [y for y in found if any(top <= y <= bottom for top, bottom in taken)] == []
    assert all(0 < y < drawing.height for y in found)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_each_node_and_each_edge_is_drawn_once(drawn: Graph, place: Place) -> None:
    drawing = place(drawn)
    assert sorted(box.node.id for box in drawing.boxes) == sorted(node.id for node in drawn.nodes)
    assert len(drawing.lines) == len(drawn.edges)
    assert {(line.edge.source, line.edge.target) for line in drawing.lines} == {
        (edge.source, edge.target) for edge in drawn.edges
    }


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_the_same_mesh_in_another_order_is_the_same_picture(drawn: Graph, place: Place) -> None:
    nodes, edges = list(drawn.nodes), list(drawn.edges)
    random.Random(7).shuffle(nodes)
    random.Random(8).shuffle(edges)
    again = Graph.of(nodes, edges)
    assert as_svg(place(again), again, {}) == as_svg(place(drawn), drawn, {})


def test_the_narrow_drawing_fits_a_telephone(drawn: Graph) -> None:
    assert narrow(drawn).width <= 372


def test_the_wide_drawing_of_our_own_mesh_fits_1280_pixels() -> None:
    assert wide(own_mesh("overlays/example")).width <= 1232


def test_the_workloads_of_a_large_mesh_stand_beside_each_other() -> None:
    heights = [wide(large_mesh(count)).height for count in (10, 40, 100)]
    assert len({box.x for box in wide(large_mesh(100)).boxes}) == 3
    assert heights[1] < 3 * heights[0]
    assert heights[2] < 4 * heights[0]


def test_gateways_workloads_hosts_policies_and_routes_are_in_it() -> None:
    found = graph()
    assert [(node.kind, node.id) for node in found.nodes] == [
        ("gateway", "edge/door"),
        ("workload", "bank/ledger"),
        ("workload", "shop/cart"),
        ("workload", "shop/orders"),
        ("host", "payments.example"),
    ]
    assert [(edge.source, edge.target, edge.tone) for edge in found.edges] == [
        ("edge/door", "shop/cart", "route"),
        ("edge/door", "shop/orders", "route"),
    ]
    nodes = {node.id: node for node in found.nodes}
    assert nodes["edge/door"].lines == ("443 HTTPS shop.example", "443 HTTPS *.partners.example")
    assert [badge.text for badge in nodes["shop/cart"].badges] == ["mTLS STRICT", "ALLOW", "JWT"]
    assert [badge.text for badge in nodes["bank/ledger"].badges] == ["mTLS STRICT", "DENY"]
    facts = dict(nodes["bank/ledger"].facts)
    assert facts["AuthorizationPolicy (DENY)"].startswith("bank/cart-only (mesh.yaml:")
    assert facts["identity"] == "spiffe://cluster.local/ns/bank/sa/default"


def test_a_request_that_passed_and_one_that_was_refused_are_other_lines() -> None:
    found = {(edge.source, edge.target): edge for edge in full().edges}
    assert found[OUTSIDE, "edge/door"].tone == "passed"
    assert found["shop/cart", "edge/door"].tone == "passed"
    assert found["shop/orders", "bank/ledger"].tone == "failed"
    assert (found["shop/orders", "bank/ledger"].let_in, found["shop/orders", "bank/ledger"].refused) == (0, 2)


def test_what_a_gateway_refuses_reaches_nothing_behind_it() -> None:
    at_gateway = case("a", got={"status": 403, "proxy": "edge/door"}, hops=[hop("edge/door", "gateway")])
    assert list(edges_of(way_of(at_gateway))) == [Edge(OUTSIDE, "edge/door", refused=1)]


def test_what_the_own_sidecar_of_a_sender_refuses_leads_nowhere() -> None:
    stopped = refused("a", got={"status": 502, "proxy": "shop/orders"}, hops=[hop("shop/orders", "outbound")])
    assert list(edges_of(way_of(stopped))) == []


def test_a_request_past_the_sidecar_is_a_way_of_its_own() -> None:
    past = case(
        "a",
        hops=[hop("bank/ledger")],
        got={"refused": True, "proxy": "bank/ledger"},
        sender={"bypass": "shop/cart", "to": "bank/ledger", "mode": "plaintext"},
    )
    assert list(edges_of(way_of(past))) == [Edge("shop/cart", "bank/ledger", refused=1, bypasses=True)]


def test_a_host_and_a_workload_that_only_a_request_names_are_drawn() -> None:
    asked = case("a", got={"status": 200, "app": "api.example"}, hops=[], sender={"workload": "team/job"})
    found = with_ways(graph(), [way_of(asked)])
    assert {node.kind for node in found.nodes if node.id in ("api.example", "team/job")} == {
        "host",
        "workload",
    }


def test_a_gateway_that_only_leads_out_stands_beside_the_hosts() -> None:
    found = own_mesh("egress/overlays/example")
    drawing = wide(found)
    boxes = {box.node.kind: box.x for box in drawing.boxes}
    assert boxes["egress"] < boxes["host"]
    assert "gateway" not in boxes


def test_the_drawing_is_also_there_in_words() -> None:
    found = list(sentences(full()))
    assert "workload bank/ledger: mTLS STRICT, DENY" in found
    assert "shop/orders to bank/ledger: 2 requests refused" in found
    assert "edge/door to shop/orders: a route leads there, and no request was sent" in found


def test_each_node_of_the_picture_has_a_name_and_the_picture_a_description() -> None:
    found = full()
    svg = as_svg(wide(found), found, {"shop/cart": 4})
    assert '<title id="wide-title">The mesh</title>' in svg
    assert "1 caller, 1 gateway, 3 workloads and 1 host outside" in svg
    assert len(re.findall(r'<g class="box [^>]+ aria-label="', svg)) == len(found.nodes)
    assert 'role="button" tabindex="0" data-entry="4"' in svg


def test_a_node_with_many_hosts_says_how_many_more_there_are() -> None:
    node = Node("a/b", "gateway", "a", "b", lines=tuple(f"443 HTTPS {number}.example" for number in range(9)))
    assert [text.text for text in texts_of(node, 200)][-1] == "and 5 more"
