"""What a battery asks: every condition is met once and missed once, nothing twice, and all of it can be sent."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshlab.battery.derive import derive
from meshlab.battery.paths import normalized
from meshlab.bench.case import (
    Expectation,
    FromBypass,
    FromForeignMesh,
    FromOutside,
    FromWorkload,
    HttpRequest,
    TcpRequest,
)
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.case_file.write_case import case_file_text
from meshlab.bench.protocol import Setup
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.mutate.missing import is_readable

from tests.lab.battery.meshes import ISSUER, ROUTE, mesh, policy, tokens
from tests.lab.kube import app, service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshlab.battery.battery import Question
    from meshlab.bench.case import Case

CART = WorkloadRef("shop", "cart")

METHODS = st.sampled_from(["GET", "POST", "PUT*", "*D", "PURGE"])
PATHS = st.sampled_from(["/cart", "/cart/*", "*.json", "/a/{*}", "/a/{**}", "/a/{*}/b", "/"])
HOSTS = st.sampled_from(["shop.example", "*.shop.example", "shop.*", "shop.example:8080"])
PRINCIPALS = st.sampled_from(
    ["cluster.local/ns/edge/sa/door", "cluster.local/ns/shop/*", "*/sa/door", "other.example/ns/a/sa/b"]
)
SUBJECTS = st.sampled_from([f"{ISSUER}/alice", f"{ISSUER}/al*", "*/bob"])
SCOPES = st.sampled_from(["read", "write*", "*all"])


def some(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(values, min_size=1, max_size=2, unique=True)


OPERATIONS = st.fixed_dictionaries(
    {}, optional={"methods": some(METHODS), "paths": some(PATHS), "hosts": some(HOSTS)}
)
SOURCES = st.fixed_dictionaries(
    {}, optional={"principals": some(PRINCIPALS), "requestPrincipals": some(SUBJECTS)}
)
RULES = st.builds(
    lambda source, operation, scopes: {
        **({"from": [{"source": source}]} if source else {}),
        **({"to": [{"operation": operation}]} if operation else {}),
        **({"when": [{"key": "request.auth.claims[scope]", "values": scopes}]} if scopes else {}),
    },
    SOURCES,
    OPERATIONS,
    st.one_of(st.just([]), some(SCOPES)),
)


def glob(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern says, written another way than the battery's own."""
    if pattern == "*":
        return text != ""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None


def fits(template: str, path: str) -> bool:
    words = re.escape(template).replace(r"\{\*\*\}", ".*").replace(r"\{\*\}", "[^/]+")
    return re.fullmatch(words, path) is not None if "{" in template else glob(template, path)


def identity(case: Case) -> str:
    match case.sender:
        case FromForeignMesh(identity=name, authority="mesh"):
            return name.removeprefix("spiffe://")
        case FromBypass(workload=WorkloadRef() as ref, mode="mtls"):
            account = {"door": "door", "cart": "cart"}.get(ref.name, ref.name)
            return f"cluster.local/ns/{ref.namespace}/sa/{account}"
    return ""


def request_of(case: Case) -> HttpRequest:
    assert isinstance(case.request, HttpRequest)
    return case.request


def path(case: Case) -> str:
    return normalized(urlsplit(request_of(case).url).path)


def host(case: Case) -> str:
    request = request_of(case)
    return next((value for name, value in request.headers if name == "host"), urlsplit(request.url).netloc)


def principal(case: Case) -> str:
    return next((f"{token.issuer}/{token.claims.get('sub', '')}" for token in case.tokens), "")


def scope(case: Case) -> list[str]:
    found = case.tokens[0].claims.get("scope", "") if case.tokens else ""
    return found.split(" ") if isinstance(found, str) else found


CHECKS: Mapping[str, Callable[[str, Case], bool]] = {
    "methods": lambda value, case: glob(value, request_of(case).method),
    "paths": lambda value, case: fits(value, path(case)),
    "hosts": lambda value, case: glob(value.lower(), host(case).lower()),
    "principals": lambda value, case: glob(value, identity(case)),
    "requestPrincipals": lambda value, case: glob(value, principal(case)),
    "scopes": lambda value, case: any(glob(value, text) for text in scope(case)),
}


def values_of(rule: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        (name, value)
        for entries, inner in (("from", "source"), ("to", "operation"))
        for entry in rule.get(entries, ())
        for name, values in entry[inner].items()
        for value in values
    ]
    return found + [("scopes", value) for when in rule.get("when", ()) for value in when["values"]]


def at_cart(questions: tuple[Question, ...]) -> list[Case]:
    """The requests to the pod itself, which nothing before it refuses."""
    return [
        question.case
        for question in questions
        if isinstance(question.case.sender, FromBypass | FromForeignMesh) and question.case.sender.to == CART
    ]


@given(RULES, st.sampled_from(["ALLOW", "DENY"]))
@settings(max_examples=60, deadline=None)
def test_each_value_of_a_rule_is_met_by_one_request_and_missed_by_another(
    rule: dict[str, Any], action: str
) -> None:
    asked = at_cart(derive([mesh(tokens("shop"), policy(rule, action=action))]).questions)
    for name, value in values_of(rule):
        check = CHECKS[name]
        assert any(check(value, case) for case in asked), f"{name} {value} is met by none of {len(asked)}"
        assert any(not check(value, case) for case in asked), f"{name} {value} is missed by none"


@given(RULES)
@settings(max_examples=60, deadline=None)
def test_some_request_meets_the_whole_rule_and_for_each_part_one_misses_that_alone(
    rule: dict[str, Any],
) -> None:
    asked = at_cart(derive([mesh(tokens("shop"), policy(rule))]).questions)
    parts: dict[str, list[str]] = {}
    for name, value in values_of(rule):
        parts.setdefault(name, []).append(value)

    def met(case: Case) -> frozenset[str]:
        return frozenset(
            name for name, values in parts.items() if any(CHECKS[name](value, case) for value in values)
        )

    found = {met(case) for case in asked}
    assert frozenset(parts) in found
    for name in parts:
        assert frozenset(parts) - {name} in found, f"nothing but {name} is missed by none of {len(asked)}"


@given(RULES, RULES)
@settings(max_examples=25, deadline=None)
def test_a_changed_rule_meets_a_request_of_the_battery_of_both(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    before, after = mesh(tokens("shop"), policy(old)), mesh(tokens("shop"), policy(new))
    asked = at_cart(derive([before, after]).questions)

    def allowed(rule: Mapping[str, Any], case: Case) -> bool:
        parts: dict[str, bool] = {}
        for name, value in values_of(rule):
            parts[name] = parts.get(name, False) or CHECKS[name](value, case)
        return all(parts.values())

    def whole(rule: Mapping[str, Any]) -> bool:
        return any(allowed(rule, case) for case in asked)

    assert whole(old)
    assert whole(new)


def test_the_same_manifests_give_the_same_battery() -> None:
    one = mesh(ROUTE, tokens("shop"), policy({"to": [{"operation": {"paths": ["/a/*"]}}]}))
    other = mesh(ROUTE, tokens("shop"), policy({"to": [{"operation": {"paths": ["/a/*"]}}]}))
    assert derive([one]) == derive([other])
    assert derive([one, one]) == derive([one])


def test_no_request_is_there_twice_and_each_has_a_name_of_its_own() -> None:
    battery = derive(
        [mesh(ROUTE, tokens("shop"), policy({"to": [{"operation": {"paths": ["/a/*", "/b"]}}]}))]
    )
    names = Counter(question.case.name for question in battery.questions)
    sent = Counter(
        repr((question.case.sender, question.case.request, question.case.tokens))
        for question in battery.questions
    )
    assert max(names.values()) == 1
    assert max(sent.values()) == 1


def test_every_kind_of_caller_is_there() -> None:
    battery = derive([mesh(ROUTE, tokens("shop"), policy({"from": [{"source": {"namespaces": ["team"]}}]}))])
    senders = [question.case.sender for question in battery.questions if question.target == "shop/cart"]
    assert any(isinstance(sender, FromOutside) for sender in senders)
    assert any(sender == FromBypass(None, CART, 8080, "plaintext") for sender in senders)
    assert any(sender == FromBypass(None, CART, 8080, "tls") for sender in senders)
    assert any(isinstance(sender, FromForeignMesh) and sender.authority == "stranger" for sender in senders)
    # No manifest has a workload of this namespace or of a stranger's, so the battery declares them.
    assert FromWorkload(WorkloadRef("team", "default")) in senders
    assert FromWorkload(WorkloadRef("stranger", "stranger")) in senders
    assert WorkloadRef("team", "default") in battery.setup.workloads


def test_workloads_that_nothing_tells_apart_are_asked_once_and_named() -> None:
    twins = [app(name, "shop") for name in ("one", "two", "three")]
    known = {"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/cart"]}}]}
    battery = derive([mesh(*twins, service("one", "shop"), policy(known))])
    asked = [question for question in battery.questions if question.target == "shop/one"]
    through = {
        str(question.case.sender.workload): question.alike
        for question in asked
        if isinstance(question.case.sender, FromWorkload)
    }
    # One cannot be asked for by itself, cart is named, and the stranger is of another namespace that sees the same.
    assert through["shop/cart"] == ()
    assert {
        name for caller, others in through.items() if caller != "shop/cart" for name in (caller, *others)
    } == {
        "shop/two",
        "shop/three",
        "stranger/stranger",
    }
    assert len(through) <= 3


def test_workloads_that_are_alike_are_named_with_the_token_of_the_one_that_is_asked() -> None:
    twins = [app(name, "shop") for name in ("one", "two")]
    rule = {"from": [{"source": {"requestPrincipals": [f"{ISSUER}/alice"]}}]}
    battery = derive([mesh(*twins, service("one", "shop"), tokens("shop"), policy(rule))])
    named = [question.callers for question in battery.questions if question.alike]
    assert any(len(callers) > 1 and "token" in callers[0] for callers in named)
    for caller, *others in named:
        token = caller.removeprefix(caller.partition(", ")[0])
        assert all(other.endswith(token) and ", " not in other.removesuffix(token) for other in others)


def test_a_case_file_of_a_battery_can_be_read_and_is_the_battery() -> None:
    rule = {"from": [{"source": {"requestPrincipals": [f"{ISSUER}/alice"]}}]}
    battery = derive([mesh(ROUTE, tokens("shop", audiences=("cart",)), policy(rule))])
    # The expectation is a placeholder that fits every kind of request.
    text = case_file_text(
        battery.setup, [(question.case, {"refused": True}) for question in battery.questions]
    )
    read = parse_case_file(text, "battery.yaml")
    assert [(case.name, case.sender, case.request, case.tokens) for case in read.cases] == [
        (question.case.name, question.case.sender, question.case.request, question.case.tokens)
        for question in battery.questions
    ]
    assert read.workloads == battery.setup.workloads
    assert read.authorities == battery.setup.authorities


HOSTILE = ["(a+)+$", "(" * 30 + "a" + ")*" * 30, "a{1000}{1000}", "\u202e/evil", "/a b", "/\x00", "x" * 1000]


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_are_never_sent_and_named_where_they_cannot_be_read(word: str) -> None:
    route = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "cart", "namespace": "shop"},
        "spec": {
            "hosts": ["shop.example"],
            "gateways": ["edge/door"],
            "http": [
                {
                    "match": [{"uri": {"regex": word}}, {"headers": {"x-user": {"exact": word}}}],
                    "route": [{"destination": {"host": "cart.shop.svc.cluster.local"}}],
                }
            ],
        },
    }
    gateway = ROUTE.partition("---")[0]
    found = derive(
        [mesh(gateway, route, policy({"to": [{"operation": {"methods": [word], "hosts": [word]}}]}))]
    )
    assert found.questions
    for question in found.questions:
        request = question.case.request
        if isinstance(request, HttpRequest):
            assert re.fullmatch(r"https?://[!-~]+", request.url)
            assert re.fullmatch(r"[!-~]+", request.method)
            assert all(re.fullmatch(r"[ -~]*", value) for _, value in request.headers)


def test_a_long_list_is_cut_and_the_cut_is_named() -> None:
    rules = [{"to": [{"operation": {"paths": [f"/a{number}" for number in range(200)]}}]} for _ in range(20)]
    battery = derive([mesh(ROUTE, policy(*rules))], limit=100)
    assert len(battery.questions) == 100
    assert any("beyond the limit of 100" in sentence for sentence in battery.not_covered)


def numbered(form: str, count: int) -> list[str]:
    return [form.format(number) for number in range(count)]


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        ({"to": [{"operation": {"paths": numbered("/p{}", 201)}}]}, "/p200'"),
        ({"to": [{"operation": {"hosts": numbered("h{}.example", 201)}}]}, "h200.example"),
        ({"to": [{"operation": {"methods": numbered("M{}", 201)}}]}, "'M200'"),
        ({"from": [{"source": {"principals": numbered("cluster.local/ns/a/sa/n{}", 101)}}]}, "/sa/n100'"),
        ({"from": [{"source": {"requestPrincipals": numbered(ISSUER + "/u{}", 31)}}]}, "'u30'"),
        ({"when": [{"key": "request.headers[x-a]", "values": numbered("c{}", 201)}]}, "'c200'"),
        ({"when": [{"key": "request.auth.claims[group]", "values": numbered("g{}", 31)}]}, "'g30'"),
    ],
)
def test_the_last_value_of_a_long_list_is_sent(rule: dict[str, Any], sent: str) -> None:
    battery = derive([mesh(tokens("shop"), policy(rule))])
    assert any(
        sent in repr((each.case.sender, each.case.request, each.case.tokens)) for each in battery.questions
    )


def test_values_of_a_list_that_is_too_long_are_named() -> None:
    rule = {"to": [{"operation": {"paths": numbered("/p{}", 405)}}]}
    found = derive([mesh(policy(rule))], limit=10)
    assert "5 more values of the path at shop/cart" in found.not_covered


def test_of_very_many_values_the_one_that_only_one_mesh_has_is_sent() -> None:
    old, new = (
        mesh(policy({"to": [{"operation": {"paths": numbered("/p{}", count)}}]})) for count in (450, 451)
    )
    assert any("/p450'" in repr(each.case.request) for each in derive([old, new]).questions)


def test_an_audience_is_sent_that_only_a_wildcard_takes() -> None:
    exact, wide = (
        mesh(tokens("shop"), policy({"when": [{"key": "request.auth.audiences", "values": [value]}]}))
        for value in ("x1", "x*")
    )
    sent = {spec.claims["aud"] for each in derive([exact, wide]).questions for spec in each.case.tokens}
    assert {"x1"} < {each for each in sent if each and each.startswith("x")}


def test_a_condition_on_metadata_of_a_filter_is_no_header_and_named() -> None:
    key = "experimental.envoy.filters.network.mysql_proxy[orders]"
    found = derive([mesh(policy({"when": [{"key": key, "values": ["[select]"]}]}))])
    assert any(key in sentence for sentence in found.not_covered)
    assert not any("experimental" in repr(each.case.request) for each in found.questions)


def test_clients_that_a_source_namespace_distinguishes_ask_each() -> None:
    route = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: own, namespace: edge}
spec:
  hosts: [cart.shop.svc.cluster.local]
  http: [{match: [{sourceNamespace: other}], route: [{destination: {host: cart.shop.svc.cluster.local}}]}]
"""
    asking = {
        each.case.sender.workload.namespace
        for each in derive([mesh(route)]).questions
        if isinstance(each.case.sender, FromWorkload) and each.target == "shop/cart"
    }
    assert {"other", "stranger"} <= asking


def test_a_workload_asks_for_itself_where_no_other_one_sees_the_same_routes() -> None:
    route = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: own, namespace: shop}
spec:
  hosts: [cart.shop.svc.cluster.local]
  http: [{match: [{sourceNamespace: shop}], route: [{destination: {host: cart.shop.svc.cluster.local}}]}]
"""
    battery = derive([mesh(route)])
    assert any(
        each.target == "shop/cart" and each.case.sender == FromWorkload(CART) for each in battery.questions
    )


def test_no_mesh_and_an_empty_mesh_ask_nothing_that_could_fail() -> None:
    assert derive([]).questions == ()


def test_a_client_without_a_sidecar_is_not_sent_to_a_closed_port() -> None:
    without = """
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: shop, labels: {app: bare, sidecar.istio.io/inject: "false"}}
spec: {containers: [{name: app, image: app}]}
"""
    nowhere = """
apiVersion: v1
kind: Service
metadata: {name: nowhere, namespace: shop}
spec: {selector: {app: nowhere}, ports: [{name: http, port: 80}]}
"""
    asked = {
        question.request_class
        for question in derive([mesh(without, nowhere)]).questions
        if question.caller == "shop/bare"
    }
    assert not any("nowhere.shop" in each or "istio-ingressgateway" in each for each in asked)
    assert any("cart.shop" in each for each in asked)
    with_sidecar = without.replace('"false"', '"true"')
    questions = derive([mesh(with_sidecar, nowhere)]).questions
    assert any("nowhere.shop" in question.request_class for question in questions)


def test_an_identity_that_no_pod_can_have_gets_no_workload() -> None:
    source = {"namespaces": ["not[a]name", "good"], "principals": ["cluster.local/ns/Bad/sa/x", "*"]}
    setup = derive([mesh(policy({"from": [{"source": source}]}))]).setup

    assert {ref.namespace for ref in setup.workloads} == {"good", "stranger"}


def test_a_server_for_tcp_that_no_route_leads_on_from_is_not_asked() -> None:
    gateway = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: raw, namespace: edge}
spec:
  selector: {app: door}
  servers: [{port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}]
"""
    route = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: raw, namespace: edge}
spec:
  hosts: ["*"]
  gateways: [raw]
  tcp: [{match: [{port: 9000}], route: [{destination: {host: cart.shop.svc.cluster.local, port: {number: 80}}}]}]
"""

    def ports(*objects: str) -> set[int]:
        senders = [each.case for each in derive([mesh(ROUTE, *objects)]).questions]
        return {
            case.request.port
            for case in senders
            if isinstance(case.sender, FromOutside) and isinstance(case.request, TcpRequest)
        }

    assert (ports(gateway), ports(gateway, route)) == (set(), {9000})


def test_what_cannot_be_asked_is_named() -> None:
    route = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: slow, namespace: shop}
spec:
  hosts: [cart.shop.svc.cluster.local]
  http: [{timeout: 3s, rewrite: {uri: /}, route: [{destination: {host: cart.shop.svc.cluster.local}}]}]
"""
    found = derive([mesh(route, policy({"when": [{"key": "destination.ip", "values": ["10.0.0.1"]}]}))])
    assert "Timeouts and retries of routes" in found.not_covered
    assert "What stands behind a rewrite in other words" in found.not_covered
    assert any("destination.ip" in sentence for sentence in found.not_covered)


@pytest.mark.parametrize(
    "rule",
    [
        {"to": [{"operation": {"ports": ["8080"]}}]},
        {"to": [{"operation": {"notPorts": ["8080"]}}]},
        {"when": [{"key": "destination.port", "values": ["8080"]}]},
    ],
)
def test_ports_that_are_not_listed_are_named_where_a_policy_treats_them_otherwise(
    rule: dict[str, Any],
) -> None:
    unlisted = "Ports that neither a pod nor a Service lists"
    assert unlisted in derive([mesh(ROUTE, policy(rule))]).not_covered
    assert unlisted not in derive([mesh(ROUTE, policy({}))]).not_covered


def test_a_server_that_no_manifest_names_is_asked_at_each_port_of_a_service_for_tcp() -> None:
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: shop}
spec: {hosts: [db.example], ports: [{number: 9000, name: tcp, protocol: TCP}], resolution: DNS}
"""
    asked = {question.request_class for question in derive([mesh(entry)]).questions}
    assert {"TCP 203.0.113.9:5432", "TCP 203.0.113.9:9000"} <= asked


def test_connect_is_named_where_a_policy_names_it() -> None:
    found = derive([mesh(ROUTE, policy({"to": [{"operation": {"methods": ["GET", "CONNECT"]}}]}))])
    assert "The method CONNECT" in found.not_covered


UNSEEN = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: unseen, namespace: shop}
spec:
  hosts: [nowhere.example]
  gateways: [mesh, edge/door]
  http:
  - match: [{sourceLabels: {tier: gold}, uri: {exact: /gold}}]
    route: [{destination: {host: cart.shop.svc.cluster.local}}]
"""


def test_a_host_that_a_route_alone_has_is_asked_for_by_clients_in_the_mesh() -> None:
    outside = UNSEEN.replace("[mesh, edge/door]", "[edge/door]")
    for meshes in ([mesh(UNSEEN)], [mesh(outside), mesh(UNSEEN)], [mesh(UNSEEN), mesh(outside)]):
        asked = [
            each
            for each in derive(meshes).questions
            if isinstance(each.case.sender, FromWorkload) and "nowhere.example" in each.request_class
        ]
        assert {"GET nowhere.example:80/", "GET nowhere.example:80/gold"} <= {
            each.request_class for each in asked
        }
    silent = derive([mesh(outside)]).questions
    assert not any("nowhere.example" in each.request_class for each in silent)


def test_labels_that_a_route_asks_for_and_no_workload_has_get_a_workload() -> None:
    battery = derive([mesh(UNSEEN)])
    (labelled,) = [ref for ref, each in battery.setup.workloads.items() if each.labels == {"tier": "gold"}]
    senders = {each.case.sender for each in battery.questions if each.request_class.endswith("/gold")}
    assert FromWorkload(labelled) in senders
    assert battery.not_covered == ()


def test_routes_that_no_known_caller_or_service_shows_are_named() -> None:
    # A workload with the label `app: cart` would answer for the Service that selects it.
    route = UNSEEN.replace("tier: gold", "app: cart, tier: gold").replace(
        "  http:",
        "  tls: [{match: [{sniHosts: [nowhere.example]}], route: [{destination: {host: cart}}]}]\n  http:",
    )
    found = derive([mesh(route)]).not_covered
    assert "Hosts of routes of sidecars for TLS or TCP that no service has" in found
    assert (
        "Callers with the labels app=cart, tier=gold of the VirtualService shop/unseen, which no workload has"
        in found
    )
    assert derive([mesh(ROUTE)]).not_covered == ()


@pytest.mark.parametrize(
    ("places", "spec"),
    [
        ({"fromHeaders": [{"name": "x-token", "prefix": "Tok "}]}, ("header", "x-token", "Tok ")),
        ({"fromHeaders": [{"name": "X-Token"}]}, ("header", "x-token", "")),
        ({"fromParams": ["tok"]}, ("query", "tok", "")),
        ({"fromCookies": ["session"]}, ("cookie", "session", "")),
        ({}, ("header", "", "Bearer ")),
    ],
)
def test_tokens_that_almost_fit_are_sent_where_the_rule_looks_for_them(
    places: dict[str, Any], spec: tuple[str, str, str]
) -> None:
    verified = tokens("shop")
    verified["spec"]["jwtRules"][0].update(places)
    rule = {"when": [{"key": "request.auth.claims[tier]", "values": ["gold"]}]}
    wider = {"when": [{"key": "request.auth.claims[tier]", "values": ["*"]}]}
    asked = derive([mesh(verified, policy(rule)), mesh(verified, policy(wider))]).questions
    sent = [token for question in asked for token in question.case.tokens if not token.flaw]
    near = {token.claims.get("tier") for token in sent if (token.placement, token.name, token.prefix) == spec}
    assert "gold" in near
    assert any(value not in (None, "gold") for value in near)


def test_a_token_is_also_sent_where_a_rule_with_a_place_of_its_own_does_not_look() -> None:
    verified = tokens("shop")
    verified["spec"]["jwtRules"][0]["fromHeaders"] = [{"name": "x-token"}]
    rule = {"from": [{"source": {"requestPrincipals": [f"{ISSUER}/alice"]}}]}
    asked = derive([mesh(verified, policy(rule)), mesh(tokens("shop"), policy(rule))]).questions
    sent = {(token.placement, token.name) for question in asked for token in question.case.tokens}
    assert {("header", "x-token"), ("header", "")} <= sent


@pytest.mark.parametrize("places", [{"fromParams": ["tok"]}, {"fromCookies": ["session"]}])
def test_a_token_in_any_place_is_read_back_from_a_case_file(places: dict[str, Any]) -> None:
    verified = tokens("shop")
    verified["spec"]["jwtRules"][0].update(places)
    rule = {"from": [{"source": {"requestPrincipals": [f"{ISSUER}/alice"]}}]}
    asked = [each.case for each in derive([mesh(verified, policy(rule))]).questions if each.case.tokens]
    assert any(token.placement != "header" for case in asked for token in case.tokens)
    alone = [case for case in asked if isinstance(case.sender, FromBypass) and case.sender.workload is None]
    assert alone
    for case in alone:
        assert is_readable(replace(case, name="it", expect=Expectation(status=200)), Setup())
