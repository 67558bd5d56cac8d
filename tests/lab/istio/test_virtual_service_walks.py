"""Requests to real Envoy with the routes of VirtualServices: which rule takes them, and what it does with them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from meshlab.bench.signing_keys import SigningKey
from meshlab.istio.envoy.routes import allow_any, block_all

from tests import yaml_text
from tests.lab.istio.route_walk import RouteWalk, route_walk
from tests.lab.istio.virtual_services import (
    DOOR,
    TO_CART,
    at_gateway,
    at_sidecar,
    routed_service,
    server,
    virtual_service,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.virtual_service import VirtualService

    from tests.lab.istio.conftest import SmallMesh
    from tests.lab.istio.route_walk import Reply

CART, PAY, COPY = (f"outbound|80||{name}.shop.svc.cluster.local" for name in ("cart", "pay", "copy"))
KEY = SigningKey.generate()
TO_PAY = "route: [{destination: {host: pay}}]"


@pytest.fixture(scope="module")
def walk(small: SmallMesh) -> Iterator[RouteWalk]:
    """An Envoy that knows the services cart, pay and copy, and checks tokens of the issuer `me`."""
    tokens = {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": "tokens", "namespace": "edge"},
        "spec": {"jwtRules": [{"issuer": "me", "jwks": KEY.jwks, "forwardOriginalToken": True}]},
    }
    filters = small.gateway(yaml_text.write(tokens)).filters(8443)
    checks = [entry for entry in filters if "jwt_authn" in entry["name"]]
    with route_walk((CART, PAY, COPY), checks) as running:
        yield running


def answer(name: str) -> str:
    """The action of a rule that answers with its name."""
    return f"directResponse: {{status: 200, body: {{string: '{name}'}}}}"


def rules(*pairs: tuple[str, str]) -> str:
    """Rules from matches and names; an empty match takes every request."""
    return ", ".join(
        f"{{match: [{match}], {answer(name)}}}" if match else f"{{{answer(name)}}}" for match, name in pairs
    )


def on_gateway(http: str, **more: Any) -> VirtualService:  # noqa: ANN401 - handed on
    return virtual_service(f"[{http}]", more=f"gateways: [{DOOR}]", **more)


def serve(walk: RouteWalk, *services: VirtualService, **more: Any) -> None:  # noqa: ANN401 - handed on
    known = [routed_service(name) for name in ("cart", "pay", "copy")]
    walk.serve(list(at_gateway(*services, services=known, **more).values()))


def send(walk: RouteWalk, http: str, path: str = "/", **more: Any) -> Reply:  # noqa: ANN401 - handed on
    serve(walk, on_gateway(http))
    return walk.send(path, **more)


@pytest.mark.parametrize(
    ("match", "yes", "no"),
    [
        ("uri: {exact: /a}", ["/a", "/a?b=c"], ["/a/", "/A", "/"]),
        ("uri: {exact: /a}, ignoreUriCase: true", ["/a", "/A"], ["/a/"]),
        # A prefix is one of characters, not of path segments.
        ("uri: {prefix: /a}", ["/a", "/a/b", "/abc", "/a?b"], ["/b", "/A"]),
        ("uri: {prefix: /A}, ignoreUriCase: true", ["/a/b", "/A"], ["/b"]),
        ("uri: {prefix: ''}", ["/", "/a"], []),
        # A regular expression has to match the whole path, without the query.
        ("uri: {regex: '/[a-c]+'}", ["/abc", "/a?x=1"], ["/abcd", "/a/b", "/"]),
        ("uri: {regex: '/(?i)abc'}", ["/ABC"], ["/abcd"]),
        # Escaped letters stay as they are, dots are taken out of the path before.
        ("uri: {exact: /a}", ["/b/../a", "/./a"], ["/%61%2F"]),
        ("uri: {}", ["/", "/a"], []),
    ],
)
def test_a_path_is_matched(walk: RouteWalk, match: str, yes: list[str], no: list[str]) -> None:
    serve(walk, on_gateway(rules((f"{{{match}}}", "yes"), ("", "no"))))

    assert {path: walk.send(path).body for path in (*yes, *no)} == {
        **dict.fromkeys(yes, "yes"),
        **dict.fromkeys(no, "no"),
    }


@pytest.mark.parametrize(
    ("match", "yes", "no"),
    [
        ("headers: {x-a: {exact: b}}", [{"x-a": "b"}, {"X-A": "b"}], [{"x-a": "B"}, {"x-a": "bc"}, {}]),
        ("headers: {x-a: {prefix: b}}", [{"x-a": "bc"}], [{"x-a": "cb"}, {}]),
        ("headers: {x-a: {regex: 'b+'}}", [{"x-a": "bbb"}], [{"x-a": "bbc"}, {}]),
        ("headers: {x-a: {}}", [{"x-a": "b"}, {"x-a": ""}], [{}]),
        ("headers: {x-a: {exact: b}, x-c: {}}", [{"x-a": "b", "x-c": "d"}], [{"x-a": "b"}, {"x-c": "d"}]),
        # What is missing counts as empty, so it is different from "1".
        ("withoutHeaders: {x-a: {exact: '1'}}", [{}, {"x-a": "2"}], [{"x-a": "1"}]),
        ("withoutHeaders: {x-a: {prefix: b}}", [{}, {"x-a": "c"}], [{"x-a": "bc"}]),
        ("withoutHeaders: {x-a: {regex: 'b*'}}", [{"x-a": "c"}], [{}, {"x-a": "bb"}]),
        ("withoutHeaders: {x-a: {}}", [{}], [{"x-a": "b"}]),
        ("withoutHeaders: {x-a: {regex: '*'}}", [{}], [{"x-a": "b"}]),
        ("headers: {x-a: {exact: b}}, withoutHeaders: {x-c: {}}", [{"x-a": "b"}], [{"x-a": "b", "x-c": "d"}]),
    ],
)
def test_headers_are_matched(
    walk: RouteWalk, match: str, yes: list[dict[str, str]], no: list[dict[str, str]]
) -> None:
    serve(walk, on_gateway(rules((f"{{{match}}}", "yes"), ("", "no"))))

    assert [walk.send(headers=headers.items()).body for headers in yes] == ["yes"] * len(yes)
    assert [walk.send(headers=headers.items()).body for headers in no] == ["no"] * len(no)


@pytest.mark.parametrize(
    ("match", "yes", "no"),
    [
        ("queryParams: {q: {exact: a}}", ["/?q=a", "/?p=1&q=a"], ["/?q=b", "/?q=A", "/?Q=a", "/"]),
        ("queryParams: {q: {prefix: a}}", ["/?q=ab"], ["/?q=ba"]),
        ("queryParams: {q: {regex: '[0-9]+'}}", ["/?q=12"], ["/?q=12x", "/?q="]),
        ("queryParams: {q: {}}", ["/?q=", "/?q", "/?q=1"], ["/?p=1", "/"]),
    ],
)
def test_query_parameters_are_matched(walk: RouteWalk, match: str, yes: list[str], no: list[str]) -> None:
    serve(walk, on_gateway(rules((f"{{{match}}}", "yes"), ("", "no"))))

    assert {path: walk.send(path).body for path in (*yes, *no)} == {
        **dict.fromkeys(yes, "yes"),
        **dict.fromkeys(no, "no"),
    }


def test_method_authority_and_scheme_are_matched(walk: RouteWalk) -> None:
    serve(
        walk,
        on_gateway(
            rules(
                ("{method: {exact: POST}}", "post"),
                ("{authority: {prefix: 'a.cart'}}", "a"),
                ("{scheme: {exact: https}}", "https"),
                ("{scheme: {exact: http}}", "http"),
            ),
            hosts="['*']",
        ),
    )

    assert walk.send(method="POST").body == "post"
    assert walk.send(host="a.cart.example").body == "a"
    assert walk.send().body == "http"


def test_alternatives_are_joined_by_or_and_the_first_rule_wins(walk: RouteWalk) -> None:
    both = f"{{match: [{{uri: {{exact: /a}}}}, {{uri: {{prefix: /b}}}}], {answer('one')}}}"
    serve(walk, on_gateway(f"{both}, {rules(('{uri: {prefix: /}}', 'two'), ('', 'never'))}"))

    assert [walk.send(path).body for path in ("/a", "/bc", "/c")] == ["one", "one", "two"]


def test_a_request_that_no_rule_takes_is_answered_404(walk: RouteWalk) -> None:
    assert send(walk, rules(("{uri: {exact: /a}}", "a")), "/b").status == 404
    assert walk.send(host="other.example").status == 404


def test_a_port_in_the_host_header_makes_no_difference(walk: RouteWalk) -> None:
    serve(walk, on_gateway(rules(("", "here"))))

    assert walk.send(host="cart.example:8443").body == "here"
    assert walk.send(host="CART.example").body == "here"


def test_a_destination_without_a_weight_gets_no_request(walk: RouteWalk) -> None:
    serve(
        walk,
        on_gateway(
            "{route: [{destination: {host: cart}, weight: 0}, {destination: {host: pay}, weight: 1}]}",
        ),
    )

    assert {walk.send().seen["server"] for _ in range(20)} == {PAY}


def test_a_destination_that_does_not_exist_is_answered_503(walk: RouteWalk) -> None:
    assert send(walk, "{route: [{destination: {host: nobody}}]}").status == 503
    assert send(walk, "{route: [{destination: {host: cart, subset: v9}}]}").status == 503


@pytest.mark.parametrize(
    ("match", "rewrite", "path", "arrives"),
    [
        ("{uri: {prefix: /a}}", "{uri: /b}", "/a/c?d=e", "/b/c?d=e"),
        ("{uri: {prefix: /a/}}", "{uri: /}", "/a/c", "/c"),
        ("{uri: {exact: /a}}", "{uri: /b}", "/a?d", "/b?d"),
        ("{uri: {regex: '/a.*'}}", "{uri: /b}", "/a/c?d", "/b?d"),
        ("{uri: {prefix: /A}, ignoreUriCase: true}", "{uri: /b}", "/a/c", "/b/c"),
        (
            "{uri: {prefix: /}}",
            r"{uriRegexRewrite: {match: '/(\w+)/(\w+)', rewrite: '/\2/\1'}}",
            "/a/b",
            "/b/a",
        ),
        ("{uri: {prefix: /}}", "{authority: b.example}", "/a", "/a"),
    ],
)
def test_a_path_is_rewritten(walk: RouteWalk, match: str, rewrite: str, path: str, arrives: str) -> None:
    assert send(walk, f"{{match: [{match}], {TO_CART}, rewrite: {rewrite}}}", path).seen["path"] == arrives


@pytest.mark.parametrize(
    ("change", "host"),
    [
        ("", "cart.example"),
        (", rewrite: {authority: b.example}", "b.example"),
        (", headers: {request: {set: {host: b.example}}}", "b.example"),
        (", headers: {request: {add: {':authority': b.example}}}", "b.example"),
    ],
)
def test_the_authority_is_rewritten(walk: RouteWalk, change: str, host: str) -> None:
    assert send(walk, f"{{{TO_CART}{change}}}").seen["headers"]["host"] == host


def test_headers_are_set_added_and_removed_both_ways(walk: RouteWalk) -> None:
    changes = (
        "headers: {request: {set: {x-a: '2'}, add: {x-b: '2'}, remove: [x-c]}, "
        "response: {set: {x-r: '%REQ(X-B)%'}, remove: [x-from]}}"
    )
    reply = send(
        walk,
        f"{{{TO_CART}, {changes}}}",
        headers=[("x-a", "1"), ("x-b", "1"), ("x-c", "1")],
    )

    headers = reply.seen["headers"]
    assert (headers["x-a"], headers["x-b"], headers.get("x-c")) == ("2", "1,2", None)
    assert reply.headers["x-r"] == "1"
    assert "x-from" not in reply.headers


@pytest.mark.parametrize(
    ("redirect", "path", "status", "location"),
    [
        ("{uri: /b}", "/a?c=d", 301, "http://cart.example/b?c=d"),
        ("{authority: b.example, redirectCode: 302}", "/a?c=d", 302, "http://b.example/a?c=d"),
        ("{prefixRewrite: /b, redirectCode: 308}", "/a/c", 308, "http://cart.example/b/c"),
        ("{scheme: https, redirectCode: 307}", "/a", 307, "https://cart.example/a"),
        ("{port: 8443, scheme: https}", "/a", 301, "https://cart.example:8443/a"),
        ("{derivePort: FROM_REQUEST_PORT, scheme: https}", "/a", 301, "https://cart.example:80/a"),
        ("{port: 443, scheme: https, redirectCode: 303}", "/a", 303, "https://cart.example/a"),
    ],
)
def test_a_redirection_says_where_to_go(
    walk: RouteWalk, redirect: str, path: str, status: int, location: str
) -> None:
    reply = send(walk, f"{{match: [{{uri: {{prefix: /a}}}}], redirect: {redirect}}}", path)

    assert (reply.status, reply.headers["location"]) == (status, location)


def test_the_proxy_answers_itself(walk: RouteWalk) -> None:
    reply = send(
        walk, "{directResponse: {status: 418, body: {string: tea}}, headers: {response: {set: {x-a: b}}}}"
    )

    assert (reply.status, reply.body, reply.headers["x-a"]) == (418, "tea", "b")


def test_a_long_answer_of_the_proxy_is_given_whole(walk: RouteWalk) -> None:
    assert (
        len(send(walk, f"{{directResponse: {{status: 200, body: {{string: {'x' * 100_000}}}}}}}").body)
        == 100_000
    )


CORS = (
    "corsPolicy: {allowOrigins: [{exact: https://shop.example}], allowMethods: [PUT], allowHeaders: [x-a], "
    "maxAge: 1m, unmatchedPreflights: MODE}"
)


def preflight(origin: str) -> list[tuple[str, str]]:
    return [("Origin", origin), ("Access-Control-Request-Method", "PUT")]


def test_a_preflight_of_a_known_origin_is_answered_by_the_proxy(walk: RouteWalk) -> None:
    http = f"{{{TO_CART}, {CORS.replace('MODE', 'FORWARD')}}}"
    reply = send(walk, http, method="OPTIONS", headers=preflight("https://shop.example"))

    assert (reply.status, reply.body) == (200, "")
    assert reply.headers["access-control-allow-origin"] == "https://shop.example"
    assert reply.headers["access-control-allow-methods"] == "PUT"
    assert reply.headers["access-control-max-age"] == "60"


@pytest.mark.parametrize(("mode", "reaches"), [("UNSPECIFIED", True), ("FORWARD", True), ("IGNORE", False)])
def test_a_preflight_of_an_unknown_origin_is_passed_on_or_not(
    walk: RouteWalk, mode: str, reaches: bool
) -> None:
    http = f"{{{TO_CART}, {CORS.replace('MODE', mode)}}}"
    reply = send(walk, http, method="OPTIONS", headers=preflight("https://else.example"))

    assert ("server" in reply.body) is reaches
    assert "access-control-allow-origin" not in reply.headers


def test_other_requests_of_a_known_origin_reach_the_service(walk: RouteWalk) -> None:
    http = f"{{{TO_CART}, {CORS.replace('MODE', 'IGNORE')}}}"
    reply = send(walk, http, headers=[("Origin", "https://shop.example")])

    assert reply.seen["server"] == CART
    assert reply.headers["access-control-allow-origin"] == "https://shop.example"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("{abort: {httpStatus: 418, percentage: {value: 100}}}", 418),
        ("{abort: {httpStatus: 418, percentage: {value: 0}}}", 200),
        # Without a share none is aborted.
        ("{abort: {httpStatus: 418}}", 200),
        ("{abort: {percentage: {value: 100}}}", 200),
        ("{delay: {fixedDelay: 1ms, percentage: {value: 100}}}", 200),
    ],
)
def test_a_fault_is_injected(walk: RouteWalk, fault: str, status: int) -> None:
    reply = send(walk, f"{{{TO_CART}, fault: {fault}}}")

    assert reply.status == status
    assert (status == 200) is ("server" in reply.body)


def test_a_fault_with_a_grpc_status_sets_its_header(walk: RouteWalk) -> None:
    reply = send(
        walk,
        f"{{{TO_CART}, fault: {{abort: {{grpcStatus: UNAVAILABLE, percentage: {{value: 100}}}}}}}}",
        headers=[("content-type", "application/grpc")],
    )

    assert reply.headers["grpc-status"] == "14"


def test_a_copy_reaches_the_mirror_with_the_hosts_name(walk: RouteWalk) -> None:
    reply = send(walk, f"{{{TO_CART}, mirror: {{host: copy}}}}", "/copied")
    copied = walk.servers[COPY].requests.get(timeout=10)

    assert reply.seen["server"] == CART
    assert (copied["path"], copied["headers"]["host"]) == ("/copied", "cart.example")


def test_no_copy_is_sent_for_a_share_of_0(walk: RouteWalk) -> None:
    http = (
        f"{{match: [{{uri: {{exact: /none}}}}], {TO_CART}, mirror: {{host: copy}}, mirrorPercentage: {{value: 0}}}}, "
        f"{{{TO_CART}, mirror: {{host: copy}}}}"
    )
    send(walk, http, "/none")
    walk.send("/all")

    assert walk.servers[COPY].requests.get(timeout=10)["path"] == "/all"


@pytest.mark.parametrize(
    ("retries", "failures", "status"),
    [
        (", retries: {attempts: 2, retryOn: '503'}", 2, 200),
        (", retries: {attempts: 1, retryOn: '503'}", 2, 503),
        (", retries: {attempts: 2, retryOn: 5xx, backoff: 1ms}", 2, 200),
        (", retries: {attempts: 0}", 1, 503),
        # Istio's default repeats no plain 503.
        ("", 1, 503),
    ],
)
def test_a_failed_attempt_is_repeated(walk: RouteWalk, retries: str, failures: int, status: int) -> None:
    assert send(walk, f"{{{TO_CART}{retries}}}", headers=[("x-fail", str(failures))]).status == status


def test_a_timeout_ends_a_request(walk: RouteWalk) -> None:
    serve(walk, on_gateway(f"{{{TO_CART}, timeout: 20ms}}"))
    held = walk.send(headers=[("x-hold", "1")])
    walk.servers[CART].release.set()

    assert held.status == 504


def token(**claims: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - any claim
    now = datetime.datetime.now(tz=datetime.UTC)
    body = {"iss": "me", "sub": "you", "exp": now + datetime.timedelta(minutes=5), **claims}
    signed = jwt.encode(body, KEY.private, algorithm="ES256", headers={"kid": KEY.kid})
    return [("Authorization", f"Bearer {signed}")]


@pytest.mark.parametrize(
    ("match", "claims", "is_taken"),
    [
        ("headers: {'@request.auth.claims.group': {exact: admin}}", {"group": "admin"}, True),
        ("headers: {'@request.auth.claims.group': {exact: admin}}", {"group": ["user", "admin"]}, True),
        ("headers: {'@request.auth.claims.group': {exact: admin}}", {"group": "user"}, False),
        ("headers: {'@request.auth.claims.group': {exact: admin}}", {}, False),
        ("headers: {'@request.auth.claims.group': {exact: admin}}", None, False),
        ("headers: {'@request.auth.claims[my.group][id]': {prefix: a}}", {"my.group": {"id": "ab"}}, True),
        ("headers: {'@request.auth.claims.my.group': {exact: a}}", {"my": {"group": "a"}}, True),
        ("headers: {'@request.auth.claims.level': {regex: '.*'}}", {"level": 7}, False),
        ("headers: {'@request.auth.claims.scope': {exact: read}}", {"scope": "write read"}, True),
        ("withoutHeaders: {'@request.auth.claims.group': {exact: admin}}", {"group": "user"}, True),
        ("withoutHeaders: {'@request.auth.claims.group': {exact: admin}}", {"group": "admin"}, False),
        ("withoutHeaders: {'@request.auth.claims.group': {exact: admin}}", None, True),
    ],
)
def test_a_claim_of_a_verified_token_chooses_the_route(
    walk: RouteWalk, match: str, claims: dict[str, Any] | None, is_taken: bool
) -> None:
    http = rules((f"{{{match}}}", "yes"), ("", "no"))
    headers = [] if claims is None else token(**claims)

    assert send(walk, http, headers=headers).body == ("yes" if is_taken else "no")


def test_a_token_of_an_unknown_key_reaches_no_route(walk: RouteWalk) -> None:
    untrusted = jwt.encode({"iss": "me"}, SigningKey.generate().private, algorithm="ES256")

    assert send(walk, rules(("", "no")), headers=[("Authorization", f"Bearer {untrusted}")]).status == 401


# What follows repeats the walks of Istio's own tests of gateways and sidecars, as far as they concern routes.


def test_services_of_one_gateway_with_different_hosts_stay_apart(walk: RouteWalk) -> None:
    serve(
        walk,
        on_gateway(rules(("", "a")), name="a", hosts="[a.example]"),
        on_gateway(rules(("", "b")), name="b", hosts="[b.example]"),
        servers=[server("*.example")],
    )

    assert [walk.send(host=f"{name}.example").body for name in "ab"] == ["a", "b"]
    assert walk.send(host="c.example").status == 404


def test_a_host_of_several_services_takes_rules_before_catch_alls(walk: RouteWalk) -> None:
    serve(
        walk,
        on_gateway(rules(("{uri: {prefix: /a}}", "a"), ("", "rest")), name="a"),
        on_gateway(rules(("{uri: {prefix: /b}}", "b")), name="b"),
    )

    assert [walk.send(path).body for path in ("/a", "/b", "/c")] == ["a", "b", "rest"]


def test_the_narrowest_host_decides_and_its_service_alone(walk: RouteWalk) -> None:
    serve(
        walk,
        on_gateway(rules(("{uri: {exact: /only}}", "narrow")), name="narrow", hosts="[a.b.example]"),
        on_gateway(rules(("", "wide")), name="wide", hosts="['*.b.example']"),
        on_gateway(rules(("", "widest")), name="widest", hosts="['*.example']"),
    )

    assert walk.send("/only", host="a.b.example").body == "narrow"
    # No rule of the narrow host takes it, and the wider ones are not asked.
    assert walk.send("/else", host="a.b.example").status == 404
    assert walk.send("/else", host="c.b.example").body == "wide"
    assert walk.send("/else", host="c.example").body == "widest"


def test_a_server_for_one_namespace_leaves_out_services_of_another(walk: RouteWalk) -> None:
    one = on_gateway(rules(("", "one")), name="one", namespace="one", hosts="['*']")
    two = on_gateway(rules(("", "two")), name="two", namespace="two", hosts="['*']")
    servers = [server("one/one.example"), server("two/two.example")]

    serve(walk, one, two, servers=servers)
    assert [walk.send(host=f"{name}.example").body for name in ("one", "two")] == ["one", "two"]


def test_a_redirecting_server_sends_every_request_of_its_hosts_to_https(walk: RouteWalk) -> None:
    redirecting = server("cart.example", "bare.example", has_tls=True, https_redirect=True)
    serve(walk, on_gateway(rules(("", "here"))), servers=[redirecting, server("cart.example")])

    for host in ("cart.example", "bare.example"):
        reply = walk.send("/a", host=host)
        assert (reply.status, reply.headers["location"]) == (301, f"https://{host}/a")


def test_a_gateway_without_any_service_answers_404(walk: RouteWalk) -> None:
    serve(walk)

    assert walk.send().status == 404


@pytest.mark.parametrize(
    ("host", "cluster"),
    [
        ("cart", CART),
        ("cart:80", CART),
        ("cart.shop", CART),
        ("cart.shop.svc", CART),
        ("cart.shop.svc.cluster.local", CART),
        ("cart.shop.svc.cluster.local.", CART),
        ("CART", CART),
        ("10.1.0.1", CART),
        ("10.1.0.1:80", CART),
        ("pay", PAY),
    ],
)
def test_a_sidecar_knows_a_service_by_every_name(walk: RouteWalk, host: str, cluster: str) -> None:
    services = [routed_service("cart", addresses=("10.1.0.1",)), routed_service("pay")]
    walk.serve([*at_sidecar(services=services).values(), block_all()])

    assert walk.send(host=host).seen["server"] == cluster


def test_a_sidecar_of_another_namespace_needs_the_namespace_in_the_name(walk: RouteWalk) -> None:
    walk.serve([*at_sidecar(services=[routed_service("cart")], namespace="edge").values(), block_all()])

    assert walk.send(host="cart.shop").seen["server"] == CART
    assert walk.send(host="cart").status == 502


def test_a_sidecar_follows_the_first_rules_for_a_service(walk: RouteWalk) -> None:
    first = virtual_service(f"[{{match: [{{uri: {{exact: /a}}}}], {TO_PAY}}}]", name="a", hosts="[cart]")
    second = virtual_service(f"[{{{TO_PAY}}}]", name="b", hosts="[cart]")
    walk.serve(
        [
            *at_sidecar(first, second, services=[routed_service("cart"), routed_service("pay")]).values(),
            block_all(),
        ]
    )

    assert walk.send("/a", host="cart").seen["server"] == PAY
    # The second is not asked, and the service has no route to itself any more.
    assert walk.send("/b", host="cart").status == 404


def test_a_sidecar_follows_rules_for_a_host_outside_the_registry_on_port_80(walk: RouteWalk) -> None:
    outside = virtual_service(f"[{{{TO_PAY}}}]", hosts="[api.outside.example]")
    walk.serve([*at_sidecar(outside, services=[routed_service("pay")]).values(), block_all()])

    assert walk.send(host="api.outside.example").seen["server"] == PAY
    assert walk.send(host="else.outside.example").status == 502


def test_unknown_hosts_are_passed_on_where_the_mesh_allows_any(walk: RouteWalk) -> None:
    walk.serve([*at_sidecar(services=[routed_service("cart")]).values(), allow_any(COPY)])

    assert walk.send(host="anything.example").seen["server"] == COPY
    assert walk.send(host="cart").seen["server"] == CART
