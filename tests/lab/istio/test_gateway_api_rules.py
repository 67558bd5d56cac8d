"""Rules of HTTPRoutes and GRPCRoutes: their order, their actions, and backends that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio.envoy.routes import ProxyView, cluster_names, http_routes
from meshlab.istio.read.virtual_service import Retries, TextMatch

from tests.lab.istio.gateway_api import gateway, grant, load, notes, refusals, route, rules, virtual_services

if TYPE_CHECKING:
    from typing import Any

    from meshlab.istio.read.virtual_service import HttpRoute

TO_CART = "backendRefs: [{name: cart, port: 80}]"


def matching(*matches: str) -> str:
    return f"[{', '.join(f'{{matches: [{match}], {TO_CART}}}' for match in matches)}]"


def only_rule(fields: str = TO_CART, *, kind: str = "HTTPRoute", more: str = "") -> HttpRoute:
    (found,) = virtual_services(load(gateway(), route(f"[{{{fields}}}]", kind=kind), more))[
        "cart.example"
    ].http
    return found


def filtered(settings: str, *, fields: str = TO_CART) -> HttpRoute:
    match = "matches: [{path: {value: /old}}]"
    return only_rule(f"{match}, filters: [{settings}]{', ' if fields else ''}{fields}")


def on_door(mesh_route: str) -> list[dict[str, Any]]:
    """Return the routes that Envoy gets."""
    service = virtual_services(load(gateway(), mesh_route))["cart.example"]
    return http_routes(
        service,
        proxy=ProxyView({}, "infra"),
        gateway_names=service.gateways,
        listener_port=80,
        cluster_name=cluster_names(lambda _: None, 80),
    )


def test_the_order_is_that_of_the_most_precise_match() -> None:
    written = matching(
        "{path: {type: RegularExpression, value: '/longer-than-all-others'}}",
        "{path: {value: /a}}",
        "{path: {value: /a}, queryParams: [{name: q, value: v}]}",
        "{path: {value: /a}, headers: [{name: x, value: b}]}",
        "{path: {value: /a}, headers: [{name: x, value: b}, {name: z, value: b}]}",
        "{path: {value: /a}, method: GET}",
        "{path: {value: /a/b}}",
        "{path: {type: Exact, value: /a}}",
        "{path: {type: Exact, value: /a/b/c}}",
    )

    found = [int(name.rpartition(".")[2]) for name in rules(load(gateway(), route(written)))]

    assert found == [8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_every_match_of_a_rule_is_a_rule_of_its_own() -> None:
    mesh = load(
        gateway(), route(f"[{{matches: [{{path: {{value: /a}}}}, {{path: {{value: /bb}}}}], {TO_CART}}}]")
    )
    found = virtual_services(mesh)["cart.example"].http

    assert [rule.matches[0].uri for rule in found] == [TextMatch("prefix", "/bb"), TextMatch("prefix", "/a")]
    assert {rule.name for rule in found} == {"shop.cart.0"}


@pytest.mark.parametrize(
    ("first", "second", "order"),
    [
        (
            {"name": "b", "created": "2026-01-01T00:00:00Z"},
            {"name": "a", "created": "2026-01-02T00:00:00Z"},
            "b a",
        ),
        ({"name": "b"}, {"name": "a"}, "a b"),
        ({"name": "a", "namespace": "stock"}, {"name": "b", "namespace": "shop"}, "b a"),
    ],
)
def test_of_equal_matches_the_oldest_route_comes_first_then_the_first_by_name(
    first: dict[str, str], second: dict[str, str], order: str
) -> None:
    mesh = load(gateway(), route(matching("{path: {value: /}}"), **first), route(matching("{}"), **second))

    assert " ".join(name.split(".")[1] for name in rules(mesh)) == order


def test_http_and_grpc_routes_of_one_host_are_tried_together() -> None:
    grpc = f"[{{matches: [{{method: {{service: shop.Cart, method: Add}}}}], {TO_CART}}}]"
    mesh = load(gateway(), route(matching("{path: {value: /}}")), route(grpc, kind="GRPCRoute", name="grpc"))

    assert rules(mesh) == ["shop.grpc.0", "shop.cart.0"]


def test_a_rule_may_have_a_name_of_its_own() -> None:
    assert only_rule(f"name: mine, {TO_CART}").name == "mine"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("{value: /a}", {"pathSeparatedPrefix": "/a"}),
        ("{value: /a/}", {"pathSeparatedPrefix": "/a"}),
        ("{value: /}", {"prefix": "/"}),
        ("{}", {"prefix": "/"}),
        ("{type: Exact, value: /a/}", {"path": "/a/"}),
        ("{type: RegularExpression, value: '/a.*'}", {"safeRegex": {"regex": "/a.*"}}),
    ],
)
def test_a_path_is_matched_by_segments(path: str, found: dict[str, object]) -> None:
    (made,) = on_door(route(matching(f"{{path: {path}}}")))

    assert made["match"] == found


@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("{service: a.B, method: C}", TextMatch("exact", "/a.B/C")),
        ("{service: a.B}", TextMatch("prefix", "/a.B/")),
        ("{method: C}", TextMatch("regex", "/[^/]+/C")),
        ("{type: RegularExpression, service: 'a.*', method: 'C.*'}", TextMatch("regex", "/a.*/C.*")),
        ("{type: RegularExpression, service: 'a.*'}", TextMatch("regex", "/a.*/.+")),
        ("{type: RegularExpression, method: 'C.*'}", TextMatch("regex", "/[^/]+/C.*")),
    ],
)
def test_a_method_of_grpc_is_a_path(method: str, uri: TextMatch) -> None:
    assert only_rule(f"matches: [{{method: {method}}}], {TO_CART}", kind="GRPCRoute").matches[0].uri == uri


def test_headers_and_query_parameters_are_compared_as_a_whole_or_by_pattern() -> None:
    (match,) = only_rule(
        "matches: [{headers: [{name: X-A, value: b}, {name: x-c, type: RegularExpression, value: 'd.*'}], "
        f"queryParams: [{{name: q, value: r}}], method: PUT}}], {TO_CART}"
    ).matches

    assert match.headers == {"X-A": TextMatch("exact", "b"), "x-c": TextMatch("regex", "d.*")}
    assert match.query_params == {"q": TextMatch("exact", "r")}
    assert match.method == TextMatch("exact", "PUT")


def test_headers_are_changed_on_the_way_there_and_back() -> None:
    rule = filtered(
        "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-A, value: b}, {name: x-a, value: c}], "
        "add: [{name: x-d, value: e}], remove: [x-f]}}, "
        "{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [x-g]}}"
    )

    assert rule.headers is not None
    # Of names that differ in capitals alone the first counts.
    assert (rule.headers.request.set, rule.headers.request.add) == ({"x-a": "b"}, {"x-d": "e"})
    assert (rule.headers.request.remove, rule.headers.response.remove) == (("x-f",), ("x-g",))


@pytest.mark.parametrize(
    ("settings", "port", "port_of_request"),
    [
        ("{hostname: new.example}", None, True),
        ("{scheme: https}", None, False),
        ("{port: 8080}", 8080, False),
    ],
)
def test_a_redirection_keeps_the_port_of_the_request_unless_scheme_or_port_say_otherwise(
    settings: str, port: int | None, port_of_request: bool
) -> None:
    redirect = filtered(f"{{type: RequestRedirect, requestRedirect: {settings}}}", fields="").redirect

    assert redirect is not None
    assert (redirect.port, redirect.port_of_request, redirect.code) == (port, port_of_request, 302)


def test_a_mirror_gets_a_share_of_the_requests() -> None:
    mirror = "{type: RequestMirror, requestMirror: {backendRef: {name: cart, port: 80}%s}}"
    rule = filtered(
        ", ".join(
            mirror % more for more in ("", ", percent: 50", ", fraction: {numerator: 1, denominator: 8}")
        )
    )

    assert [each.percentage for each in rule.mirrors] == [None, 50.0, 12.5]
    assert rule.mirrors[0].destination.host == "cart.shop.svc.cluster.local"


def test_a_mirror_that_cannot_be_used_is_left_out_of_an_http_route() -> None:
    mirror = "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: gone, port: 80}}}]"
    mesh = load(gateway(), route(f"[{{{mirror}, {TO_CART}}}]"))
    grpc = load(gateway(), route(f"[{{{mirror}, {TO_CART}}}]", kind="GRPCRoute"))

    (rule,) = virtual_services(mesh)["cart.example"].http
    assert (rule.mirrors, len(rule.destinations)) == ((), 1)
    assert "there is no Service shop/gone; no request is copied there." in notes(mesh)
    # A GRPCRoute loses all of its rules.
    assert grpc.virtual_services == ()
    assert "cannot be used, so Istio refuses the route" in notes(grpc)


def test_cors_answers_preflights_of_unknown_origins_itself() -> None:
    origins = "['https://a.example', 'https://*.b.example', 'http://*']"
    cors = filtered(
        f"{{type: CORS, cors: {{allowOrigins: {origins}, allowMethods: [GET], allowCredentials: true, maxAge: 60}}}}"
    ).cors

    assert cors is not None
    assert cors.allow_origins == (
        TextMatch("exact", "https://a.example"),
        TextMatch("regex", r"^https://.*\.b\.example$"),
        TextMatch("prefix", "http://"),
    )
    assert (cors.max_age_s, cors.allow_credentials, cors.forward_unmatched_preflights) == (60, True, False)


@pytest.mark.parametrize(
    ("type_", "settings"),
    [
        ("ExtensionRef", "extensionRef: {group: example.com, kind: Filter, name: f}"),
        ("ExternalAuth", "externalAuth: {protocol: HTTP, backendRef: {name: cart, port: 80}, http: {}}"),
    ],
)
def test_a_filter_that_istio_does_not_have_costs_the_route_all_of_its_rules(
    type_: str, settings: str
) -> None:
    mesh = load(gateway(), route(f"[{{{TO_CART}}}, {{filters: [{{type: {type_}, {settings}}}], {TO_CART}}}]"))

    assert mesh.virtual_services == ()
    assert f"Istio has no filters of type {type_}, and refuses the route." in notes(mesh)


def test_a_backend_changes_headers_and_nothing_else() -> None:
    modifier = (
        "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: b}]}}]"
    )
    rule = only_rule(f"backendRefs: [{{name: cart, port: 80, {modifier}}}]")
    rewrite = "filters: [{type: URLRewrite, urlRewrite: {hostname: a.example}}]"
    mesh = load(gateway(), route(f"[{{backendRefs: [{{name: cart, port: 80, {rewrite}}}]}}]"))

    assert rule.destinations[0].headers is not None
    assert rule.destinations[0].headers.request.set == {"x-a": "b"}
    assert mesh.virtual_services == ()
    assert "no filters of type URLRewrite for a backend" in notes(mesh)


def test_weights_share_out_the_requests() -> None:
    rule = only_rule(
        "backendRefs: [{name: cart, port: 80, weight: 3}, {name: cart, port: 90}, {name: cart, port: 80, weight: 0}]"
    )
    alone = only_rule("backendRefs: [{name: cart, port: 80, weight: 3}, {name: cart, port: 90, weight: 0}]")

    assert [(entry.destination.port, entry.weight) for entry in rule.destinations] == [(80, 3), (90, 1)]
    assert [(entry.destination.port, entry.weight) for entry in alone.destinations] == [(80, 0)]


@pytest.mark.parametrize(
    "backends", ["", "backendRefs: []", "backendRefs: [{name: cart, port: 80, weight: 0}]"]
)
def test_a_rule_without_a_backend_answers_500(backends: str) -> None:
    rule = only_rule(backends or "matches: [{path: {value: /}}]")

    assert rule.direct_response is not None
    assert rule.direct_response.status == 500


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("{name: gone, port: 80}", "there is no Service shop/gone"),
        ("{name: cart, port: 81}", "cart.shop.svc.cluster.local has no port 81, it has 80, 90"),
        ("{kind: Bucket, group: example.com, name: b}", "example.com/Bucket is no backend that Istio knows"),
        (
            "{kind: Hostname, group: networking.istio.io, name: a.example, port: 80}",
            "namespace shop has no host a.example",
        ),
        (
            "{name: items, namespace: stock, port: 80}",
            "no ReferenceGrant in stock lets HTTPRoutes of shop use it",
        ),
    ],
)
def test_a_backend_that_cannot_be_used_is_answered_500(backend: str, said: str) -> None:
    mesh = load(gateway(), route(f"[{{backendRefs: [{backend}]}}]"))
    (made,) = on_door(route(f"[{{backendRefs: [{backend}]}}]"))

    assert made["route"]["clusterNotFoundResponseCode"] == "INTERNAL_SERVER_ERROR"
    assert f"spec.rules[0].backendRefs[0]: {said}; its requests are answered 500." in notes(mesh)
    assert refusals(mesh) == ""


def test_only_the_share_of_a_backend_that_cannot_be_used_is_lost() -> None:
    (made,) = on_door(route("[{backendRefs: [{name: cart, port: 80}, {kind: Bucket, group: b, name: b}]}]"))

    assert [(each["name"], each["weight"]) for each in made["route"]["weightedClusters"]["clusters"]] == [
        ("outbound|80||cart.shop.svc.cluster.local", 1),
        ("UnknownService", 1),
    ]


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        (grant(), True),
        (grant(target="kind: Service, name: items"), True),
        (grant(target="kind: Service, name: other"), False),
        (grant(target="kind: Secret"), False),
        (grant(source="GRPCRoute"), False),
        (grant(source_namespace="infra"), False),
        (grant(namespace="infra"), False),
    ],
)
def test_a_grant_names_who_may_refer_to_what(given: str, allowed: bool) -> None:
    mesh = load(gateway(), route("[{backendRefs: [{name: items, namespace: stock, port: 80}]}]"), given)
    (rule,) = virtual_services(mesh)["cart.example"].http

    assert (rule.destinations[0].destination.host == "items.stock.svc.cluster.local") is allowed


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (
            "{name: cart.shop, port: 80}",
            "'cart.shop' is not the name of a Service, so Istio refuses the route.",
        ),
        (
            "{kind: Hostname, group: networking.istio.io, name: a.example, namespace: shop, port: 80}",
            "has no place beside kind Hostname",
        ),
        (
            "{kind: Hostname, group: networking.istio.io, name: a.example}",
            "port: missing, so Istio refuses the route.",
        ),
    ],
)
def test_a_backend_that_makes_no_sense_costs_the_route_all_of_its_rules(backend: str, said: str) -> None:
    mesh = load(gateway(), route(f"[{{{TO_CART}}}, {{backendRefs: [{backend}]}}]"))

    assert mesh.virtual_services == ()
    assert said in notes(mesh)


def test_a_host_of_a_service_entry_is_a_backend_by_its_name() -> None:
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec: {hosts: [api.test], ports: [{number: 443, name: https, protocol: HTTPS}], resolution: DNS}
"""
    rule = only_rule(
        "backendRefs: [{kind: Hostname, group: networking.istio.io, name: api.test, port: 443}]", more=entry
    )

    assert (rule.destinations[0].destination.host, rule.destinations[0].destination.port) == ("api.test", 443)


@pytest.mark.parametrize(
    ("fields", "timeout_s", "retries"),
    [
        ("timeouts: {request: 10s}", 10.0, None),
        ("timeouts: {request: 0s}", None, None),
        ("timeouts: {request: 10s, backendRequest: 2s}", 2.0, None),
        (
            "timeouts: {request: 10s, backendRequest: 2s}, retry: {attempts: 3, codes: [503], backoff: 100ms}",
            10.0,
            Retries(
                3,
                per_try_timeout_s=2.0,
                retry_on="connect-failure,refused-stream,unavailable,cancelled,503",
                backoff_s=0.1,
            ),
        ),
        (
            "retry: {}",
            None,
            Retries(2, retry_on="connect-failure,refused-stream,unavailable,cancelled"),
        ),
    ],
)
def test_timeouts_and_retries(fields: str, timeout_s: float | None, retries: Retries | None) -> None:
    rule = only_rule(f"{TO_CART}, {fields}")

    assert (rule.timeout_s, rule.retries) == (timeout_s, retries)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (route(f"[{{{TO_CART}, sessionPersistence: {{type: Cookie}}}}]"), "rules[0].sessionPersistence"),
        (route().replace("spec: {", "spec: {useDefaultGateways: All, "), "spec.useDefaultGateways"),
    ],
)
def test_what_istio_does_not_implement_is_said(text: str, said: str) -> None:
    mesh = load(gateway(), text)

    assert f"{said}: Istio does not implement it" in notes(mesh)
    assert "cart.example" in virtual_services(mesh)


def test_a_rule_after_one_for_every_request_is_never_reached_and_that_is_said() -> None:
    mesh = load(
        gateway(), route(matching("{path: {value: /}}", "{path: {type: RegularExpression, value: '/r.*'}}"))
    )

    assert "spec.rules[1]: is never reached: a rule before it takes every request." in notes(mesh)
