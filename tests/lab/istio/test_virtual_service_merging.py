"""Several VirtualServices: who sees them, whose routes come first on a gateway, and what delegates add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio.model.delegates import merge_delegates
from meshlab.istio.model.route_notes import route_notes
from meshlab.istio.model.virtual_services import for_gateway, for_sidecar, visible_to

from tests.lab.istio.virtual_services import (
    DOOR,
    TO_CART,
    at_gateway,
    routed_service,
    server,
    virtual_service,
)

if TYPE_CHECKING:
    from meshlab.istio.read.virtual_service import VirtualService

    from tests.lab.istio.conftest import SmallMesh


def on_door(paths: str, *, name: str, more: str = "", **rest: Any) -> VirtualService:  # noqa: ANN401 - handed on
    """A VirtualService with a rule for each exact path, `/` for one that takes every request."""
    rules = ", ".join(
        f"{{name: {name}, {TO_CART}}}"
        if path == "/"
        else f"{{name: {name}, match: [{{uri: {{{path if ':' in path else f'exact: {path}'}}}}}], {TO_CART}}}"
        for path in paths.split()
    )
    return virtual_service(f"[{rules}]", name=name, more=f"gateways: [{DOOR}]{more}", **rest)


def order(virtual_host: dict[str, Any]) -> list[str]:
    return [f"{route['name']} {route['match'].get('path', '*')}" for route in virtual_host["routes"]]


def test_routes_of_one_host_are_joined_by_name_and_catch_alls_come_last() -> None:
    hosts = at_gateway(on_door("/b1 /", name="b"), on_door("/a1 / /a2", name="a"))

    # /a2 stands after the catch-all of its own VirtualService, so it never counts.
    assert order(hosts["cart.example"]) == ["a /a1", "b /b1", "a *", "b *"]


@pytest.mark.parametrize("path", ["regex:.*", "prefix:/"])
def test_every_form_of_a_catch_all_goes_last(path: str) -> None:
    kind, _, value = path.partition(":")
    wide = virtual_service(
        f"[{{name: a, match: [{{uri: {{{kind}: '{value}'}}, ignoreUriCase: true}}], {TO_CART}}}]",
        name="a",
        more=f"gateways: [{DOOR}]",
    )

    assert order(at_gateway(wide, on_door("/b1", name="b"))["cart.example"]) == ["b /b1", "a *"]


def test_what_is_only_for_the_gateways_namespace_comes_first() -> None:
    public = on_door("/p", name="a")
    shared = on_door("/s", name="b", namespace="other", more=", exportTo: [shop, other]")
    private = on_door("/q", name="c", more=", exportTo: [.]")

    hosts = at_gateway(public, shared, private)
    assert order(hosts["cart.example"]) == ["c /q", "b /s", "a /p"]


@pytest.mark.parametrize(
    ("scopes", "seen"),
    [("['*']", True), ("[.]", True), ("[shop]", True), ("[other]", False), ("[other, shop]", True)],
)
def test_a_gateway_sees_what_is_exported_to_its_namespace(scopes: str, seen: bool) -> None:
    assert ("cart.example" in at_gateway(on_door("/", name="a", more=f", exportTo: {scopes}"))) is seen


@pytest.mark.parametrize(
    ("default", "own", "other"), [(("*",), 1, 1), ((".",), 1, 0), (("other",), 0, 1), (("~",), 0, 0)]
)
def test_without_exportTo_the_default_of_the_mesh_counts(  # noqa: N802 - Istio's field
    default: tuple[str, ...], own: int, other: int
) -> None:
    merged = merge_delegates([virtual_service(f"[{{{TO_CART}}}]")], default)

    assert len(visible_to(merged, "shop", "mesh", default)) == own
    assert len(visible_to(merged, "other", "mesh", default)) == other


@pytest.mark.parametrize(
    ("offered", "bound", "served"),
    [
        ("cart.example", "cart.example", ["cart.example"]),
        ("*.example", "cart.example", ["cart.example"]),
        ("cart.example", "'*.example'", ["cart.example"]),
        ("*.example", "'*.a.example'", ["*.a.example"]),
        ("*", "cart.example", ["cart.example"]),
        ("*", "'*'", ["*"]),
        ("example", "'*.example'", []),
        ("other/cart.example", "cart.example", []),
        ("shop/cart.example", "cart.example", ["cart.example"]),
        ("Cart.Example", "Cart.Example", ["cart.example"]),
        ("cart.example", "Cart.Example", []),
    ],
)
def test_a_gateway_serves_the_narrower_of_two_hosts(offered: str, bound: str, served: list[str]) -> None:
    hosts = at_gateway(on_door("/", name="a", hosts=f"[{bound}]"), servers=[server(offered)])

    assert [host for host in hosts if hosts[host]["routes"]] == served


def test_no_virtual_host_at_all_is_one_that_answers_404() -> None:
    assert at_gateway() == {"*": {"name": "blackhole:80", "domains": ["*"], "routes": []}}


def test_wide_and_narrow_hosts_stay_apart() -> None:
    wide = on_door("/", name="wide", hosts="['*.example']")
    narrow = on_door("/", name="narrow", hosts="[cart.example]")

    hosts = at_gateway(wide, narrow)
    assert {host: order(found) for host, found in hosts.items()} == {
        "*.example": ["wide *"],
        "cart.example": ["narrow *"],
    }


def test_the_rules_of_one_service_count_for_each_gateway_by_the_port_of_its_first_server() -> None:
    service = virtual_service(
        f"[{{name: first, match: [{{port: 80}}], {TO_CART}}}, {{name: second, match: [{{port: 8080}}], {TO_CART}}}]",
        more="gateways: [door, other]",
    )
    servers = [server(port=80), server(port=8080), server(port=8080, gateway="shop/other")]

    assert order(at_gateway(service, servers=servers)["cart.example"]) == ["first *", "second *"]
    assert order(at_gateway(service, servers=servers[:2])["cart.example"]) == ["first *"]
    assert order(at_gateway(service, servers=servers[1:2])["cart.example"]) == ["second *"]


def test_a_server_may_redirect_all_of_its_hosts_to_https() -> None:
    service = on_door("/", name="a")
    redirecting = server(
        "cart.example", "empty.example", "shop/scoped.example", has_tls=True, https_redirect=True
    )

    hosts = at_gateway(service, servers=[redirecting])
    assert {host: (found["requireTls"], len(found["routes"])) for host, found in hosts.items()} == {
        "cart.example": ("ALL", 1),
        "empty.example": ("ALL", 0),
    }
    # A second server for the host does not take the redirection back.
    mixed = at_gateway(service, servers=[redirecting, server("cart.example", gateway=DOOR)])
    assert mixed["cart.example"]["requireTls"] == "ALL"
    assert "requireTls" not in at_gateway(service)["cart.example"]


def delegating(root: str, inner: str, **more: str) -> list[dict[str, Any]]:
    """The routes of a VirtualService whose only rule delegates."""
    found = at_gateway(
        virtual_service(f"[{{{root}delegate: {{name: inner}}}}]", name="root", more=f"gateways: [{DOOR}]"),
        virtual_service(inner, name="inner", hosts="", **more),
        services=[routed_service("cart")],
    )
    routes: list[dict[str, Any]] = found.get("cart.example", {}).get("routes", [])
    return routes


def test_a_rule_that_delegates_has_the_rules_of_the_delegate() -> None:
    (found,) = delegating(
        "name: outer, match: [{name: x, uri: {prefix: /shop}, headers: {x-a: {exact: b}}}], timeout: 3s, ",
        f"[{{name: inner, match: [{{name: y, uri: {{exact: /shop/cart}}, method: {{exact: GET}}}}], {TO_CART}}}]",
    )

    assert found["name"] == "outer-inner.x-y"
    assert found["match"]["path"] == "/shop/cart"
    assert [header["name"] for header in found["match"]["headers"]] == ["x-a", ":method"]
    assert found["route"]["timeout"] == "3s"


def test_what_the_delegate_says_itself_wins() -> None:
    (found,) = delegating(
        "timeout: 3s, retries: {attempts: 7}, ", f"[{{timeout: 1s, retries: {{attempts: 1}}, {TO_CART}}}]"
    )

    assert found["route"]["timeout"] == "1s"
    assert found["route"]["retryPolicy"]["numRetries"] == 1


@pytest.mark.parametrize(
    ("outer", "inner", "fits"),
    [
        ("uri: {prefix: /a}", "uri: {prefix: /a/b}", True),
        ("uri: {prefix: /a/b}", "uri: {prefix: /a}", False),
        ("uri: {prefix: /a}", "uri: {exact: /ab}", True),
        ("uri: {exact: /a}", "uri: {exact: /a}", True),
        ("uri: {exact: /a}", "uri: {exact: /b}", False),
        ("uri: {exact: /a}", "uri: {prefix: /a}", False),
        ("uri: {regex: a}", "uri: {regex: a}", False),
        ("uri: {prefix: /a}", "uri: {regex: /a.*}", False),
        ("uri: {regex: /a.*}", "method: {exact: GET}", True),
        ("headers: {x-a: {exact: b}}", "headers: {x-a: {exact: c}}", False),
        ("headers: {x-a: {exact: b}}", "headers: {x-c: {exact: d}}", True),
        ("headers: {x-a: {}}", "headers: {x-a: {}}", False),
        ("queryParams: {q: {exact: a}}", "queryParams: {q: {exact: b}}", False),
        ("withoutHeaders: {x-a: {exact: b}}", "withoutHeaders: {x-a: {exact: b}}", True),
        ("uri: {prefix: /a}, ignoreUriCase: true", "uri: {prefix: /a/b}", False),
        ("port: 80", "port: 80", True),
        ("port: 80", "port: 81", False),
        ("sourceNamespace: shop", "sourceNamespace: shop", True),
        ("sourceNamespace: shop", "method: {exact: GET}", False),
        ("sourceLabels: {app: door}", "sourceLabels: {version: v1}", True),
        ("sourceLabels: {app: door}", "sourceLabels: {app: cart}", False),
        ("gateways: [shop/door]", "gateways: [shop/door]", True),
        ("gateways: [shop/other]", "gateways: [shop/door]", False),
    ],
)
def test_a_condition_that_contradicts_the_roots_takes_the_rule_out(
    outer: str, inner: str, fits: bool
) -> None:
    found = delegating(f"match: [{{{outer}}}], ", f"[{{match: [{{{inner}}}], {TO_CART}}}]")

    assert bool(found) is fits


def test_each_alternative_of_the_delegate_joins_every_one_of_the_roots_that_fits() -> None:
    found = delegating(
        "match: [{uri: {prefix: /a}}, {uri: {prefix: /a/b}}], ",
        f"[{{match: [{{uri: {{exact: /a/b/c}}}}, {{uri: {{exact: /a/x}}}}], {TO_CART}}}]",
    )

    assert [route["match"]["path"] for route in found] == ["/a/b/c", "/a/b/c", "/a/x"]


def test_a_delegate_that_is_missing_or_not_visible_takes_only_its_rule_out() -> None:
    root = virtual_service(
        f"[{{delegate: {{name: gone}}}}, {{delegate: {{name: hidden, namespace: other}}}}, {{name: kept, {TO_CART}}}]",
        more=f"gateways: [{DOOR}]",
    )
    hidden = virtual_service(
        f"[{{{TO_CART}}}]", name="hidden", namespace="other", hosts="", more="exportTo: [.]"
    )

    (found,) = at_gateway(root, hidden)["cart.example"]["routes"]
    assert found["name"] == "kept"
    shown = virtual_service(
        f"[{{{TO_CART}}}]", name="hidden", namespace="other", hosts="", more="exportTo: [shop]"
    )
    # Its rule takes every request, so the last one does not count any more.
    assert [route.get("name") for route in at_gateway(root, shown)["cart.example"]["routes"]] == [None]


def test_a_delegate_alone_routes_nothing() -> None:
    assert at_gateway(virtual_service(f"[{{{TO_CART}}}]", hosts="")) == at_gateway()


def test_one_delegate_may_serve_several_roots() -> None:
    inner = virtual_service(f"[{{match: [{{uri: {{prefix: /a/b}}}}], {TO_CART}}}]", name="inner", hosts="")
    roots = [
        virtual_service(
            f"[{{name: {name}, delegate: {{name: inner}}}}]",
            name=name,
            hosts=f"[{name}.example]",
            more=f"gateways: [{DOOR}]",
        )
        for name in ("one", "two")
    ]

    hosts = at_gateway(inner, *roots)
    assert [found["routes"][0]["name"] for found in hosts.values()] == ["one", "two"]


@pytest.mark.parametrize(
    ("egress", "seen"),
    [
        (["*/*"], ["a", "b"]),
        (["./*"], ["a"]),
        (["shop/*"], ["a"]),
        (["other/*"], ["b"]),
        (["*/b.example"], ["b"]),
        (["*/*.example"], ["a", "b"]),
        (["*/*", "~other/*"], ["a"]),
        (["*/*", "~*/b.example"], ["a"]),
        (["nowhere/*"], []),
    ],
)
def test_a_sidecar_sees_what_it_imports(small: SmallMesh, egress: list[str], seen: list[str]) -> None:
    template = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: NAME, namespace: SPACE}, "
    template += f"spec: {{hosts: [NAME.example], http: [{{{TO_CART}}}]}}}}"
    mesh = small.mesh(
        template.replace("NAME", "a").replace("SPACE", "shop"),
        template.replace("NAME", "b").replace("SPACE", "other"),
    )
    found = for_sidecar(mesh, mesh.workload(small.app_ref), egress)

    assert [service.name for service in found] == seen


def test_a_gateway_workload_sees_what_names_its_gateway(small: SmallMesh) -> None:
    mesh = small.mesh()
    workload = mesh.workload(small.gateway_ref)

    assert [str(service) for service in for_gateway(mesh, workload, "edge/door")] == ["shop/cart"]
    assert for_gateway(mesh, workload, "edge/other") == []


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (
            "spec.http.0.route.0.destination.host",
            "nobody",
            "no service is called nobody.shop.svc.cluster.local",
        ),
        (
            "spec.http.0.route.0.destination.port",
            {"number": 81},
            "has no port 81, it has 80; the answer is 503",
        ),
        ("spec.gateways", ["edge/nobody"], "there is no Gateway edge/nobody"),
        ("spec.hosts", ["other.example"], "'other.example': no server of edge/door has that host"),
        ("metadata.namespace", "edge", "no server of edge/door lets namespace edge bind it"),
        ("spec.http", [{"delegate": {"name": "x"}}], "there is no VirtualService shop/x without hosts"),
        (
            "spec.tcp",
            [{"match": [{"sourceSubnet": "10.0.0.0/8"}], "route": [{"destination": {"host": "cart"}}]}],
            "Istio does not implement it",
        ),
        (
            "spec.http",
            [{"route": [{"destination": {"host": "cart"}}]}] * 2,
            "http[1]: is never reached: a rule before it takes every request",
        ),
    ],
)
def test_what_is_surely_a_mistake_is_noted_and_not_refused(
    small: SmallMesh, path: str, value: object, says: str
) -> None:
    changed = small.changed(small.base("VirtualService", "cart"), path, value)
    mesh = small.mesh(changed, without=("VirtualService/cart",))
    ports = {service.hostname: [port.number for port in service.ports] for service in mesh.services}

    notes = list(map(str, route_notes(mesh, ports)))
    assert any(
        note.startswith("test.yaml:") and ": VirtualService " in note and says in note for note in notes
    )
    assert list(route_notes(small.mesh(), ports)) == []


def test_a_port_that_one_of_two_services_of_a_name_has_is_not_noted(small: SmallMesh) -> None:
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: partner, namespace: {namespace}}}
spec:
  hosts: [partner.example]
  exportTo: [.]
  resolution: DNS
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
"""
    entries = [entry.format(namespace="shop", port=80), entry.format(namespace="door", port=81)]

    def notes(port: int) -> list[str]:
        destination = {"host": "partner.example", "port": {"number": port}}
        route = [{"route": [{"destination": destination}]}]
        changed = small.changed(small.base("VirtualService", "cart"), "spec.http", route)
        mesh = small.mesh(changed, *entries, without=("VirtualService/cart",))
        return [str(note) for note in mesh.notes if "partner.example has no port" in str(note)]

    assert notes(80) == notes(81) == []
    assert notes(82) != []
