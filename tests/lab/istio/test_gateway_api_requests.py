"""Real Envoy as a gateway of the Gateway API: what becomes of requests and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.istio.gateway_api import ALL, BASE, DOOR, gateway, grant, load, route
from tests.lab.istio.walks import REFUSED, ask, exchange, walking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio import Address

    from tests.lab.istio.walks import Reply, Walk

CHOSEN = "allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: shop}}}}"
CERT = "tls: {certificateRefs: [{name: cert}]}"
LISTENERS = (
    f"{{name: web, port: 80, protocol: HTTP, {CHOSEN}}}",
    f"{{name: secure, port: 443, protocol: HTTPS, hostname: '*.example', {CERT}, {ALL}}}",
    f"{{name: passed, port: 8443, protocol: TLS, tls: {{mode: Passthrough}}, {ALL}}}",
    f"{{name: ended, port: 9443, protocol: TLS, hostname: ended.example, {CERT}, {ALL}}}",
    f"{{name: tcp, port: 9090, protocol: TCP, {ALL}}}",
    "{name: unused, port: 9191, protocol: TCP}",
)


def tagged(tag: str, *, match: str = "", backend: str = "name: cart, port: 80", filters: str = "") -> str:
    """Return a rule whose requests say by a header which one it was."""
    header = f"{{set: [{{name: x-rule, value: {tag}}}]}}"
    modifier = f"{{type: RequestHeaderModifier, requestHeaderModifier: {header}}}"
    matches = f"matches: [{match}], " if match else ""
    return f"{{{matches}filters: [{modifier}{filters}], backendRefs: [{{{backend}}}]}}"


RULES = f"""[
  {tagged("catch-all")},
  {tagged("prefix", match="{path: {value: /foo}}")},
  {tagged("longer", match="{path: {value: /foo/bar}}")},
  {tagged("exact", match="{path: {type: Exact, value: /foo/bar}}")},
  {tagged("method", match="{path: {value: /foo}, method: POST}")},
  {tagged("header", match="{path: {value: /foo}, headers: [{name: x-canary, value: 'yes'}]}")},
  {tagged("query", match="{path: {value: /foo}, queryParams: [{name: q, value: '1'}]}")},
  {tagged("granted", match="{path: {value: /granted}}", backend="name: items, namespace: stock, port: 80")},
  {tagged("missing", match="{path: {value: /missing}}", backend="name: nothing, port: 80")},
  {tagged("no-port", match="{path: {value: /no-port}}", backend="name: cart, port: 81")},
  {tagged("zero", match="{path: {value: /zero}}", backend="name: cart, port: 80, weight: 0")},
  {{matches: [{{path: {{value: /empty}}}}]}}
]"""

ACTIONS = f"""[
  {{matches: [{{path: {{value: /moved}}}}], filters: [{{type: RequestRedirect, requestRedirect:
    {{scheme: https, hostname: new.example, path: {{type: ReplacePrefixMatch, replacePrefixMatch: /there}}}}}}]}},
  {{matches: [{{path: {{value: /port}}}}], filters: [{{type: RequestRedirect, requestRedirect:
    {{port: 8080, statusCode: 301, path: {{type: ReplaceFullPath, replaceFullPath: /full}}}}}}]}},
  {
    tagged(
        "strip",
        match="{path: {value: /strip}}",
        filters=", {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}",
    )
},
  {
    tagged(
        "swap",
        match="{path: {value: /swap}}",
        filters=", {type: URLRewrite, urlRewrite: {hostname: inner.example, "
        "path: {type: ReplacePrefixMatch, replacePrefixMatch: /new/}}}",
    )
},
  {
    tagged(
        "full",
        match="{path: {value: /full}}",
        filters=", {type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /only}}}",
    )
},
  {
    tagged(
        "answer",
        match="{path: {value: /answer}}",
        filters=", {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: X-Seen, value: 'at door'}]}}",
    )
},
  {tagged("regex", match="{path: {type: RegularExpression, value: '/r[0-9]+'}}")}
]"""

OBJECTS = (
    gateway(*LISTENERS),
    route(RULES, hosts="['*.example']"),
    route(ACTIONS, hosts="['*.example']", name="actions"),
    route(
        f"[{tagged('ungranted', backend='name: items, namespace: stock, port: 80')}]",
        name="ungranted",
        hosts="[ungranted.example]",
        namespace="infra",
        parents="[{name: door, sectionName: secure}]",
    ),
    route(
        f"[{tagged('stock', backend='name: items, port: 80')}]",
        name="stock",
        hosts="[stock.example]",
        namespace="stock",
    ),
    route(
        f"[{tagged('late', match='{path: {value: /foo}}')}, {tagged('late', match='{path: {value: /late}}')}]",
        name="late",
        hosts="['*.example']",
    ),
    grant(),
    route("[{backendRefs: [{name: cart, port: 90}]}]", kind="TLSRoute", name="tls", hosts="[passed.example]",
          parents="[{name: door, namespace: infra, sectionName: passed}]"),
    route("[{backendRefs: [{name: cart, port: 90}]}]", kind="TCPRoute", name="tcp", hosts="",
          parents="[{name: door, namespace: infra, sectionName: tcp},"
                  " {name: door, namespace: infra, sectionName: ended}]"),
)  # fmt: skip


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with walking(load(*OBJECTS).require_complete(), [DOOR], tmp_path_factory.mktemp("walk")) as running:
        yield running


@pytest.fixture(scope="module")
def web(walk: Walk) -> Address:
    return walk.at(DOOR, 80)


def rule_of(reply: Reply) -> str:
    assert reply.status == 200
    found: str = reply.seen["headers"]["x-rule"]
    return found


@pytest.mark.parametrize(
    ("path", "headers", "rule"),
    [
        ("/", {}, "catch-all"),
        ("/foo", {}, "prefix"),
        ("/foo/", {}, "prefix"),
        ("/foo/x", {}, "prefix"),
        ("/foobar", {}, "catch-all"),
        ("/foo/bar", {}, "exact"),
        ("/foo/bar/", {}, "longer"),
        ("/foo/bar/x", {}, "longer"),
        ("/foo/barx", {}, "prefix"),
        ("/foo", {"x-canary": "yes"}, "header"),
        ("/foo", {"x-canary": "no"}, "prefix"),
        ("/foo?q=1", {}, "query"),
        ("/foo?q=2", {}, "prefix"),
        ("/foo?q=1", {"x-canary": "yes"}, "header"),
        ("/late", {}, "late"),
        # Istio tries regular expressions after prefixes, and / takes everything before them.
        ("/r1", {}, "catch-all"),
    ],
)
def test_the_most_precise_rule_of_all_routes_takes_a_request(
    web: Address, path: str, headers: dict[str, str], rule: str
) -> None:
    assert rule_of(ask(web, path, headers=headers)) == rule


def test_a_route_of_a_namespace_that_the_listener_does_not_allow_is_not_served(
    walk: Walk, web: Address
) -> None:
    # Without that route the wildcard of namespace shop takes the host.
    assert rule_of(ask(web, host="stock.example")) == "catch-all"
    secure = ask(walk.at(DOOR, 443), host="stock.example", tls=walk.pki.client())

    assert rule_of(secure) == "stock"


def test_a_backend_of_another_namespace_needs_a_grant(walk: Walk, web: Address) -> None:
    assert rule_of(ask(web, "/granted")) == "granted"
    assert ask(walk.at(DOOR, 443), host="ungranted.example", tls=walk.pki.client()).status == 500


@pytest.mark.parametrize("path", ["/missing", "/no-port", "/zero", "/empty"])
def test_a_rule_without_a_backend_that_is_there_answers_500(web: Address, path: str) -> None:
    assert ask(web, path).status == 500


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/moved/x?y=1", 302, "https://new.example/there/x?y=1"),
        ("/port", 301, "http://shop.example:8080/full"),
    ],
)
def test_a_redirection_changes_what_it_names_alone(
    web: Address, path: str, status: int, location: str
) -> None:
    reply = ask(web, path)

    assert (reply.status, reply.headers["location"]) == (status, location)


@pytest.mark.parametrize(
    ("path", "sent", "host"),
    [
        ("/strip/a/b", "/a/b", "shop.example"),
        ("/strip", "/", "shop.example"),
        ("/swap/a", "/new/a", "inner.example"),
        ("/full/a?b=1", "/only?b=1", "shop.example"),
    ],
)
def test_a_rewrite_changes_what_reaches_the_backend(web: Address, path: str, sent: str, host: str) -> None:
    seen = ask(web, path).seen

    assert seen["request"].split()[1] == sent
    assert seen["headers"]["host"] == host


def test_headers_are_added_to_the_response(web: Address) -> None:
    assert ask(web, "/answer").headers["x-seen"] == "at door"
    assert "x-seen" not in ask(web, "/").headers


def test_a_host_that_no_route_has_is_unknown(web: Address) -> None:
    assert ask(web, host="other.test").status == 404


def test_https_shows_the_certificate_of_the_named_secret(walk: Walk) -> None:
    address = walk.at(DOOR, 443)

    assert ask(address, host="shop.example", tls=walk.pki.client()).status == 200
    assert ask(address, host="shop.test", tls=walk.pki.client()) == REFUSED
    assert ask(address, host="shop.example") == REFUSED


def test_tls_is_passed_through_for_the_names_of_a_tls_route(walk: Walk) -> None:
    address = walk.at(DOOR, 8443)
    reply = ask(address, host="passed.example", tls=walk.pki.client(trust="apps"))

    assert (reply.status, reply.seen["tls"]) == (200, True)
    assert ask(address, host="other.example", tls=walk.pki.client(trust="apps")) == REFUSED


def test_tls_is_ended_for_a_tcp_route(walk: Walk) -> None:
    address = walk.at(DOOR, 9443)

    assert exchange(address, tls=walk.pki.client(), sni="ended.example") == b"bytes\n"
    assert exchange(address, tls=walk.pki.client(), sni="other.example") == b""


def test_a_tcp_listener_is_open_where_a_route_says_where_to(walk: Walk) -> None:
    assert exchange(walk.at(DOOR, 9090)) == b"bytes\n"
    assert exchange(walk.at(DOOR, 9191)) == b""


def test_the_mesh_of_these_tests_is_complete() -> None:
    mesh = load(*OBJECTS, base=BASE)

    assert mesh.refusals == ()
