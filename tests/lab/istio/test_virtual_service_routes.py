"""One rule of a VirtualService becomes one route of Envoy, with Istio's settings."""

from __future__ import annotations

from typing import Any

import pytest
from meshlab.istio.envoy.routes import RouteSettings
from meshlab.istio.read.virtual_service import Retries

from tests.lab.istio.virtual_services import TO_CART, routed_service, routes

CART = "outbound|80||cart.shop.svc.cluster.local"
TO_OTHER_NAME = "route: [{destination: {host: cart}, headers: {request: {set: {host: b.example}}}}]"


def route(fields: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - handed on
    (found,) = routes(f"[{{{fields}}}]", **more)
    return found


def test_a_route_is_named_after_its_rule_and_match_and_says_whose_it_is() -> None:
    found = route(f"name: pay, match: [{{name: slow, statPrefix: pays, uri: {{exact: /a}}}}], {TO_CART}")

    assert (found["name"], found["statPrefix"]) == ("pay.slow", "pays")
    origin = found["metadata"]["filterMetadata"]["istio"]["config"]
    assert origin == "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/cart"


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ("queryParams: {q: {exact: a}}", {"queryParameters": [{"name": "q", "stringMatch": {"exact": "a"}}]}),
        ("queryParams: {q: {}}", {"queryParameters": [{"name": "q", "presentMatch": True}]}),
        ("scheme: {exact: https}", {"headers": [{"name": ":scheme", "stringMatch": {"exact": "https"}}]}),
        (
            "withoutHeaders: {x-a: {}}",
            {"headers": [{"name": "x-a", "presentMatch": True, "invertMatch": True}]},
        ),
        (
            "withoutHeaders: {x-a: {prefix: b}}",
            {
                "headers": [
                    {
                        "name": "x-a",
                        "stringMatch": {"prefix": "b"},
                        "invertMatch": True,
                        "treatMissingHeaderAsEmpty": True,
                    }
                ]
            },
        ),
    ],
)
def test_conditions_beside_the_path(fields: str, match: dict[str, Any]) -> None:
    assert route(f"match: [{{{fields}}}], {TO_CART}")["match"] == {"prefix": "/", **match}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("@request.auth.claims.group.id", ["group", "id"]),
        ("@request.auth.claims[my.group][id]", ["my.group", "id"]),
    ],
)
def test_a_claim_is_looked_up_in_what_the_token_check_left(name: str, path: list[str]) -> None:
    (found,) = route(f"match: [{{headers: {{'{name}': {{exact: a}}}}}}], {TO_CART}")["match"][
        "dynamicMetadata"
    ]
    text = {"stringMatch": {"exact": "a"}}

    assert found["filter"] == "envoy.filters.http.jwt_authn"
    assert [step["key"] for step in found["path"]] == ["payload", *path]
    # A claim is a text, or a list of texts.
    assert found["value"] == {"orMatch": {"valueMatchers": [{"listMatch": {"oneOf": text}}, text]}}
    assert "invert" not in found


def test_a_claim_that_must_be_absent_is_inverted() -> None:
    match = "match: [{withoutHeaders: {'@request.auth.claims[a]': {exact: b}}}]"
    (found,) = route(f"{match}, {TO_CART}")["match"]["dynamicMetadata"]

    assert found["invert"] is True


@pytest.mark.parametrize(
    "catch_all",
    [
        "",
        "match: [{port: 80}], ",
        "match: [{uri: {prefix: /}}], ",
        "match: [{uri: {}}], ",
        "match: [{uri: {regex: .*}}], ",
        "match: [{uri: {prefix: /}, ignoreUriCase: true}], ",
        "match: [{gateways: [door]}], ",
        "match: [{sourceLabels: {app: door}}], ",
        "match: [{uri: {exact: /x}}, {uri: {prefix: /}}, {uri: {exact: /y}}], ",
    ],
)
def test_rules_after_one_that_takes_every_request_do_not_count(catch_all: str) -> None:
    found = routes(f"[{{{catch_all}{TO_CART}}}, {{match: [{{uri: {{exact: /z}}}}], {TO_CART}}}]")

    assert [each["match"].get("path") for each in found] in ([None], ["/x", None])


@pytest.mark.parametrize(
    "narrow",
    [
        "match: [{port: 81}], ",
        "match: [{gateways: [other]}], ",
        "match: [{sourceLabels: {app: other}}], ",
        "match: [{sourceNamespace: other}], ",
        "match: [{uri: {prefix: ''}}], ",
        "match: [{uri: {regex: '/.*'}}], ",
        "match: [{headers: {x-a: {}}}], ",
        "match: [{queryParams: {a: {}}}], ",
        "match: [{headers: {'@request.auth.claims[a]': {exact: b}}}], ",
    ],
)
def test_rules_after_one_for_some_requests_or_other_proxies_count(narrow: str) -> None:
    found = routes(f"[{{{narrow}{TO_CART}}}, {{match: [{{uri: {{exact: /z}}}}], {TO_CART}}}]")

    assert found[-1]["match"] == {"path": "/z"}


@pytest.mark.parametrize(
    ("match", "is_for_it"),
    [
        ("{gateways: [door]}", True),
        ("{gateways: [other]}", False),
        ("{gateways: [other, door]}", True),
        ("{gateways: [mesh]}", False),
        ("{sourceLabels: {app: door}, sourceNamespace: shop}", True),
        ("{sourceLabels: {app: cart}}", False),
        ("{sourceNamespace: other}", False),
        # With gateways, neither labels nor namespace of the caller count.
        ("{gateways: [door], sourceLabels: {app: cart}, sourceNamespace: other}", True),
        ("{port: 80}", True),
        ("{port: 81}", False),
        ("{gateways: [door], port: 81}", False),
    ],
)
def test_a_match_says_for_which_proxies_and_ports_it_is(match: str, is_for_it: bool) -> None:
    assert bool(routes(f"[{{match: [{match}], {TO_CART}}}]")) is is_for_it


def test_a_match_for_the_mesh_is_for_sidecars() -> None:
    http = f"[{{match: [{{gateways: [mesh], uri: {{exact: /a}}}}], {TO_CART}}}]"

    assert len(routes(http, gateway="mesh")) == 1
    assert routes(http) == []


@pytest.mark.parametrize(
    ("destination", "cluster"),
    [
        ("{host: cart}", CART),
        ("{host: cart, port: {number: 99}}", "outbound|99||cart.shop.svc.cluster.local"),
        ("{host: cart, subset: v2}", "outbound|80|v2|cart.shop.svc.cluster.local"),
        ("{host: two}", "outbound|8443||two.shop.svc.cluster.local"),
        ("{host: nobody.example}", "outbound|8443||nobody.example"),
        ("{host: alias}", "outbound|8443||cart.shop.svc.cluster.local"),
    ],
)
def test_a_destination_names_its_cluster(destination: str, cluster: str) -> None:
    services = [
        routed_service("cart"),
        routed_service("two", 80, 81),
        routed_service("alias", 1, 2, external_name="cart.shop.svc.cluster.local"),
    ]

    found = route(f"route: [{{destination: {destination}}}]", port=8443, services=services)
    assert found["route"]["cluster"] == cluster


def test_destinations_without_a_weight_get_nothing_beside_others() -> None:
    found = route(
        "route: [{destination: {host: a}, weight: 0}, {destination: {host: b}, weight: 3}, "
        "{destination: {host: c}, weight: 1}]"
    )
    shares = found["route"]["weightedClusters"]["clusters"]

    assert [(share["name"].split("|")[3][0], share["weight"]) for share in shares] == [("b", 3), ("c", 1)]


def test_a_single_destination_takes_everything_whatever_its_weight() -> None:
    assert route("route: [{destination: {host: cart}, weight: 0}]")["route"]["cluster"] == CART


def test_headers_are_changed_for_the_rule_then_for_the_destination() -> None:
    found = route(
        "route: [{destination: {host: cart}, headers: {request: {set: {x-b: '2'}, remove: [x-d]}, "
        "response: {add: {x-r: '1'}}}}], headers: {request: {set: {x-z: '0', x-a: '1'}, add: {x-c: '3'}}}"
    )

    added = [(option["header"]["key"], option["appendAction"]) for option in found["requestHeadersToAdd"]]
    set_, add = "OVERWRITE_IF_EXISTS_OR_ADD", "APPEND_IF_EXISTS_OR_ADD"
    assert added == [("x-a", set_), ("x-z", set_), ("x-c", add), ("x-b", set_)]
    assert found["requestHeadersToRemove"] == ["x-d"]
    assert found["responseHeadersToAdd"][0]["header"] == {"key": "x-r", "value": "1"}


def test_headers_of_one_destination_among_several_stay_with_it() -> None:
    found = route(
        "route: [{destination: {host: a}, weight: 1, headers: {request: {set: {x-a: '1', host: a.example}}}}, "
        "{destination: {host: b}, weight: 1}]"
    )
    first, second = found["route"]["weightedClusters"]["clusters"]

    assert first["requestHeadersToAdd"][0]["header"]["key"] == "x-a"
    assert first["hostRewriteLiteral"] == "a.example"
    assert "requestHeadersToAdd" not in found
    assert set(second) == {"name", "weight"}


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        (f"{TO_CART}, headers: {{request: {{set: {{Host: a.example}}}}}}", "a.example"),
        (f"{TO_CART}, headers: {{request: {{add: {{':authority': a.example}}}}}}", "a.example"),
        (f"{TO_CART}, rewrite: {{authority: a.example}}", "a.example"),
        (TO_OTHER_NAME, "b.example"),
        (
            f"{TO_OTHER_NAME}, rewrite: {{authority: a.example}}",
            "a.example",
        ),
        (TO_CART, None),
    ],
)
def test_setting_the_authority_rewrites_the_host(fields: str, host: str | None) -> None:
    found = route(fields)

    assert found["route"].get("hostRewriteLiteral") == host
    assert "requestHeadersToAdd" not in found


@pytest.mark.parametrize(
    ("rewrite", "action"),
    [
        ("{uri: /b}", {"prefixRewrite": "/b"}),
        (
            r"{uriRegexRewrite: {match: '^/a/(.*)', rewrite: '/b/\1'}}",
            {"regexRewrite": {"pattern": {"regex": "^/a/(.*)"}, "substitution": r"/b/\1"}},
        ),
    ],
)
def test_a_path_is_rewritten(rewrite: str, action: dict[str, Any]) -> None:
    assert route(f"{TO_CART}, rewrite: {rewrite}")["route"].items() >= action.items()


@pytest.mark.parametrize(
    ("redirect", "is_tls", "action"),
    [
        ("{uri: /b}", False, {"pathRedirect": "/b"}),
        (
            "{prefixRewrite: /b, redirectCode: 308}",
            False,
            {"prefixRewrite": "/b", "responseCode": "PERMANENT_REDIRECT"},
        ),
        (
            "{authority: a.example, redirectCode: 302}",
            False,
            {"hostRedirect": "a.example", "responseCode": "FOUND"},
        ),
        ("{port: 8443, redirectCode: 303}", False, {"portRedirect": 8443, "responseCode": "SEE_OTHER"}),
        ("{port: 80, redirectCode: 307}", False, {"responseCode": "TEMPORARY_REDIRECT"}),
        ("{port: 80}", True, {"portRedirect": 80}),
        ("{port: 443}", True, {}),
        ("{port: 443, scheme: https}", False, {"schemeRedirect": "https"}),
        ("{port: 443}", False, {"portRedirect": 443}),
        ("{derivePort: FROM_REQUEST_PORT}", False, {"portRedirect": 9000}),
        ("{derivePort: FROM_PROTOCOL_DEFAULT}", False, {}),
    ],
)
def test_a_redirection_writes_out_a_port_that_is_not_the_default(
    redirect: str, is_tls: bool, action: dict[str, Any]
) -> None:
    found = route(f"redirect: {redirect}", port=9000, settings=RouteSettings(is_tls=is_tls))

    assert found["redirect"] == {"responseCode": "MOVED_PERMANENTLY", **action}
    assert "route" not in found


@pytest.mark.parametrize(
    ("body", "source"),
    [
        ("", {}),
        (", body: {string: tea}", {"body": {"inlineString": "tea"}}),
        (", body: {bytes: dGVh}", {"body": {"inlineString": "tea"}}),
        (", body: {bytes: //4=}", {"body": {"inlineBytes": "//4="}}),
    ],
)
def test_the_proxy_may_answer_itself(body: str, source: dict[str, Any]) -> None:
    assert route(f"directResponse: {{status: 418{body}}}")["directResponse"] == {"status": 418, **source}


def test_a_redirection_and_a_response_of_the_proxy_may_change_headers() -> None:
    headers = "headers: {response: {set: {x-a: b}}}"

    for action in ("redirect: {uri: /b}", "directResponse: {status: 200}"):
        assert route(f"{action}, {headers}")["responseHeadersToAdd"]


@pytest.mark.parametrize(
    ("fault", "filter_config"),
    [
        (
            "{abort: {httpStatus: 503, percentage: {value: 12.34567}}}",
            {"abort": {"httpStatus": 503, "percentage": {"numerator": 123456, "denominator": "MILLION"}}},
        ),
        (
            "{abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}",
            {"abort": {"grpcStatus": 14, "percentage": {"numerator": 1000000, "denominator": "MILLION"}}},
        ),
        (
            "{delay: {fixedDelay: 2s, percent: 50}}",
            {"delay": {"fixedDelay": "2s", "percentage": {"numerator": 500000, "denominator": "MILLION"}}},
        ),
        # Without a share, or without a kind, nothing is injected.
        (
            "{abort: {httpStatus: 503}}",
            {"abort": {"httpStatus": 503, "percentage": {"numerator": 0, "denominator": "MILLION"}}},
        ),
        ("{abort: {percentage: {value: 100}}, delay: {percentage: {value: 100}}}", {}),
    ],
)
def test_faults_are_the_fault_filters_to_inject(fault: str, filter_config: dict[str, Any]) -> None:
    config = route(f"{TO_CART}, fault: {fault}")["typedPerFilterConfig"]["envoy.filters.http.fault"]

    assert config == {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        **filter_config,
    }


@pytest.mark.parametrize(
    ("cors", "filter_config"),
    [
        ("{}", {"forwardNotMatchingPreflights": True}),
        ("{unmatchedPreflights: IGNORE}", {"forwardNotMatchingPreflights": False}),
        ("{allowOrigin: [https://a]}", {"allowOriginStringMatch": [{"exact": "https://a"}]}),
        (
            "{allowOrigins: [{regex: 'https://.*'}, {prefix: http://a}], allowOrigin: [https://a]}",
            {"allowOriginStringMatch": [{"safeRegex": {"regex": "https://.*"}}, {"prefix": "http://a"}]},
        ),
        (
            "{allowMethods: [GET, PUT], allowHeaders: [a, b], exposeHeaders: [c], maxAge: 1h, allowCredentials: true}",
            {
                "allowMethods": "GET,PUT",
                "allowHeaders": "a,b",
                "exposeHeaders": "c",
                "maxAge": "3600",
                "allowCredentials": True,
            },
        ),
    ],
)
def test_a_policy_for_other_origins_is_the_cors_filters(cors: str, filter_config: dict[str, Any]) -> None:
    config = route(f"{TO_CART}, corsPolicy: {cors}")["typedPerFilterConfig"]["envoy.filters.http.cors"]

    assert config.items() >= filter_config.items()
    assert config["filterEnabled"] == {"defaultValue": {"numerator": 100}}


@pytest.mark.parametrize(
    ("fields", "shares"),
    [
        ("mirror: {host: copy}", [{"numerator": 100}]),
        (
            "mirror: {host: copy}, mirrorPercentage: {value: 0.5}",
            [{"numerator": 5000, "denominator": "MILLION"}],
        ),
        ("mirror: {host: copy}, mirrorPercentage: {value: 0}", None),
        ("mirror: {host: copy}, mirrorPercent: 0", None),
        (
            "mirrors: [{destination: {host: copy}}, {destination: {host: copy}, percentage: {value: 0}}]",
            [{"numerator": 100}],
        ),
    ],
)
def test_copies_go_to_mirrors_with_a_share(fields: str, shares: list[dict[str, Any]] | None) -> None:
    policies = route(f"{TO_CART}, {fields}")["route"].get("requestMirrorPolicies")

    if shares is None:
        assert policies is None
        return
    assert [policy["runtimeFraction"]["defaultValue"] for policy in policies] == shares
    # The copy keeps the host that the request asked for.
    assert all(policy["disableShadowHostSuffixAppend"] for policy in policies)
    assert policies[0]["cluster"] == "outbound|80||copy.shop.svc.cluster.local"


@pytest.mark.parametrize(
    ("written", "default", "retries"),
    [
        ("", None, 2),
        ("", Retries(5), 5),
        ("", Retries(0), None),
        (", retries: {attempts: 1}", Retries(5), 1),
        (", retries: {attempts: 0}", Retries(5), None),
    ],
)
def test_the_rules_retries_win_over_the_meshs(
    written: str, default: Retries | None, retries: int | None
) -> None:
    found = route(f"{TO_CART}{written}", settings=RouteSettings(default_retries=default))
    policy = found["route"].get("retryPolicy")

    assert (policy and policy["numRetries"]) == retries


@pytest.mark.parametrize(
    ("written", "other_hosts", "other_priorities"),
    [
        ("{attempts: 1}", True, False),
        ("{attempts: 1, retryIgnorePreviousHosts: false}", False, False),
        ("{attempts: 1, retryRemoteLocalities: true}", True, True),
    ],
)
def test_a_retry_looks_for_another_host_unless_it_must_not(
    written: str, other_hosts: bool, other_priorities: bool
) -> None:
    policy = route(f"{TO_CART}, retries: {written}")["route"]["retryPolicy"]

    assert ("retryHostPredicate" in policy) is other_hosts
    assert ("retryPriority" in policy) is other_priorities


def test_a_destination_chosen_by_a_hash_keeps_its_host_in_retries() -> None:
    by_user = {"header": {"headerName": "x-user"}}
    found = route(TO_CART, settings=RouteSettings(hash_policy=lambda _: by_user))

    assert found["route"]["hashPolicy"] == [by_user]
    assert "retryHostPredicate" not in found["route"]["retryPolicy"]
