"""The objects of the Gateway API as written: what their schema refuses is refused, by file, line and field."""

from __future__ import annotations

import pytest
from meshlab.istio import WorkloadRef

from tests.lab.istio.gateway_api import WEB, gateway, grant, load, notes, refusals, route

TO_CART = "backendRefs: [{name: cart, port: 80}]"


def rule(fields: str) -> str:
    return route(f"[{{{fields}}}]")


def match(fields: str) -> str:
    return rule(f"matches: [{{{fields}}}], {TO_CART}")


def filtered(settings: str) -> str:
    return rule(f"matches: [{{path: {{value: /a}}}}], filters: [{settings}], {TO_CART}")


HEADERS = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: %s, value: %s}]}}"
REWRITE = "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (rule(f"{TO_CART}, match: []"), "spec.rules[0].match: this field is not known; known are"),
        (rule("backendRefs: [{name: cart}]"), "backendRefs[0].port: missing; a Service needs a port."),
        (rule("backendRefs: [{name: cart, port: 80, weight: -1}]"), "expected a whole number from 0 to 1000000"),
        (rule("backendRefs: [{name: cart, port: 70000}]"), "expected a whole number from 1 to 65535"),
        (rule("backendRefs: [{port: 80}]"), "backendRefs[0].name: missing"),
        (match("path: {value: a}"), "'a' is not a path"),
        (match("path: {value: '/a b'}"), "'/a b' is not a path"),
        (match("path: {value: /a//b}"), "has //, which the schema refuses"),
        (match("path: {value: /a/..}"), "ends with a dot segment"),
        (match("path: {type: Glob, value: /a}"), "'Glob' is not supported"),
        (match("path: {type: RegularExpression, value: '(?=a)'}"), "is not a regular expression of RE2"),
        (match("method: get"), "'get' is not supported"),
        (match("headers: [{name: a b, value: c}]"), "'a b' is not a name."),
        (match("headers: [{name: a, value: b}, {name: a, value: c}]"), "'a' stands here twice"),
        (match("queryParams: [{name: a}]"), "queryParams[0].value: missing"),
        (filtered("{requestHeaderModifier: {}}"), "'' is not supported; use one of RequestHeaderModifier"),
        (filtered("{type: URLRewrite}"), "urlRewrite: missing; a filter of type URLRewrite needs it."),
        (filtered("{type: URLRewrite, urlRewrite: {}, cors: {}}"), "cors: has no place in a filter of type URLRewrite"),
        (filtered(f"{REWRITE}, {REWRITE}"), "URLRewrite stands here twice; keep one."),
        (filtered(f"{REWRITE}, {{type: RequestRedirect, requestRedirect: {{}}}}"), "stands beside RequestRedirect"),
        (filtered(HEADERS % ("a b", "c")), "'a b' is not the name of a header."),
        (filtered(HEADERS % ("a", "'50%'")), "has a lone %, with which Envoy refuses all routes"),
        (filtered(HEADERS % ("a", "' b'")), "only printable ASCII is allowed"),
        (filtered("{type: RequestRedirect, requestRedirect: {}}"), "stands beside RequestRedirect"),
        (filtered("{type: URLRewrite, urlRewrite: {hostname: '*.a'}}"), "'*.a' is not a host name"),
        (
            filtered("{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replacePrefixMatch: /a}}}"),
            "replaceFullPath: missing beside type ReplaceFullPath",
        ),
        (
            rule(f"matches: [{{path: {{type: Exact, value: /a}}}}], filters: [{REWRITE}], {TO_CART}"),
            "needs exactly one match, by PathPrefix",
        ),
        (
            filtered("{type: RequestMirror, requestMirror: {backendRef: {name: cart, port: 80}, percent: 101}}"),
            "expected a whole number from 0 to 100",
        ),
        (filtered("{type: CORS, cors: {allowMethods: [GET, '*']}}"), "has * beside others"),
        (rule(f"{TO_CART}, timeouts: {{request: 1s, backendRequest: 2s}}"), "is longer than request"),
        (rule(f"{TO_CART}, timeouts: {{request: 1.5s}}"), "'1.5s' is not a duration"),
        (rule(f"{TO_CART}, retry: {{codes: [200]}}"), "expected a status from 400 to 599, found 200."),
        (rule(f"{TO_CART}, name: a}}, {{{TO_CART}, name: a"), "'a' stands here twice; rename one."),
        (route(hosts="[Cart.example]"), "'Cart.example' is not a host name"),
        (route(hosts="['a.*.example']"), "'a.*.example' is not a host name"),
        (route(parents="[{name: door}, {name: door}]"), "is a parent already; distinguish them"),
        (route(parents="[{name: door}, {name: door, sectionName: web}]"), "is a parent already"),
        (route(parents="[{name: door, listener: web}]"), "parentRefs[0].listener: this field is not known"),
        (route(kind="GRPCRoute", rules="[{matches: [{method: {}}]}]"), "needs a service, a method, or both."),
        (route(kind="GRPCRoute", rules="[{matches: [{method: {service: a-b}}]}]"), "'a-b' is not the name"),
        (route(kind="TCPRoute", hosts="", rules="[]"), "spec.rules: missing; a route needs a rule."),
        (route(kind="TCPRoute", hosts="", rules="[{}]"), "backendRefs: missing; name a backend."),
        (route(kind="TCPRoute"), "spec.hostnames: this field is not known"),
        (route(kind="TLSRoute", version="v2"), "gateway.networking.k8s.io/v2 is not known; write"),
        (grant(target="name: a"), "spec.to[0].kind: missing"),
        (grant().replace("from: [{group: gateway.networking.k8s.io, ", "from: [{"), "spec.from[0].group: missing"),
        (gateway("{name: web, port: 80, protocol: HTTP, host: a}"), "listeners[0].host: this field is not known"),
        (gateway("{name: web, protocol: HTTP}"), "listeners[0].port: missing"),
        (gateway(WEB, WEB), "'web' stands here twice; rename one."),
        (gateway(WEB, WEB.replace("web", "more")), "has the port, protocol and hostname of listener web"),
        (gateway("{name: web, port: 80, protocol: HTTP, tls: {mode: Passthrough}}"), "tls: has no place beside"),
        (gateway("{name: web, port: 80, protocol: HTTPS, tls: {mode: Passthrough}}"), "must be Terminate"),
        (gateway("{name: web, port: 80, protocol: HTTPS, tls: {}}"), "certificateRefs: missing"),
        (gateway("{name: web, port: 80, protocol: TLS}"), "tls: missing; protocol TLS needs a mode."),
        (gateway("{name: web, port: 80, protocol: TCP, hostname: a.example}"), "hostname: has no place beside"),
        (
            gateway("{name: web, port: 80, protocol: TLS, tls: {options: {gateway.istio.io/other: a}}}"),
            "gateway.istio.io/other: is not known; Istio has",
        ),
        (gateway(more=", tls: {frontend: {}}"), "tls.frontend.default: missing"),
        (gateway(metadata=", annotations: {gateway.istio.io/other: a}"), "what this changes is not known"),
        (gateway(metadata=", labels: {istio.io/use-waypoint: a}"), "what this changes is not known"),
    ],
)  # fmt: skip
def test_what_the_schema_refuses_is_refused(text: str, said: str) -> None:
    found = refusals(load(text))

    assert said in found
    assert found.startswith("test.yaml:")


def test_all_unknown_fields_of_an_object_are_said_at_once() -> None:
    found = refusals(load(gateway("{name: web, port: 80, protocol: HTTP, host: a, sni: b}")))

    assert "listeners[0].host" in found
    assert "listeners[0].sni" in found


@pytest.mark.parametrize(
    ("text", "is_old"),
    [
        (gateway().replace("k8s.io/v1", "k8s.io/v1beta1"), True),
        (route(version="v1beta1"), True),
        (route(kind="GRPCRoute", version="v1alpha2"), True),
        (grant(), False),
        (route(kind="TLSRoute", version="v1alpha3"), False),
        (route(kind="TCPRoute", version="v1alpha2", hosts=""), False),
    ],
)
def test_older_versions_are_read_alike(text: str, is_old: bool) -> None:
    mesh = load(text)

    assert refusals(mesh) == ""
    assert ("is an old version; write v1." in notes(mesh)) is is_old


def test_several_rules_of_a_connection_are_known_to_the_old_version_alone() -> None:
    two = "[{backendRefs: [{name: cart, port: 90}]}, {backendRefs: [{name: cart, port: 80}]}]"

    assert refusals(load(route(two, kind="TCPRoute", hosts="", version="v1alpha2"))) == ""
    assert "has 2 entries; the schema allows 1." in refusals(load(route(two, kind="TCPRoute", hosts="")))


def test_udp_routes_and_the_experimental_group_are_passed_over() -> None:
    udp = route(kind="UDPRoute", hosts="")
    group = "gateway.networking.x-k8s.io/v1alpha1"
    mesh = load(udp, f"{{apiVersion: {group}, kind: XBackend, metadata: {{name: x, namespace: shop}}}}")

    assert [manifest.kind for manifest in mesh.passed_over] == ["UDPRoute", "XBackend"]
    assert refusals(mesh) == ""


CLIENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: client, namespace: shop}
spec:
  template:
    metadata: {labels: {app: client, sidecar.istio.io/inject: "true"}}
    spec: {containers: [{name: app}]}
"""


def untrusted(text: str, name: str, host: str | None) -> bool:
    """Return whether an outbound request of a workload could be judged wrongly because a text is refused."""
    mesh = load(gateway(), gateway(name="side").replace("namespace: infra", "namespace: shop"), CLIENT, text)
    assert mesh.refusals
    namespace, _, short = name.partition("/")
    return bool(mesh.untrusted(mesh.workload(WorkloadRef(namespace, short)), "outbound", host))


def test_a_route_that_is_refused_concerns_its_parents_and_its_hosts_alone() -> None:
    refused = rule(f"{TO_CART}, unknown: a")

    assert untrusted(refused, "infra/door-istio", "cart.example")
    assert not untrusted(refused, "infra/door-istio", "other.example")
    assert not untrusted(refused, "shop/side-istio", "cart.example")
    assert not untrusted(refused, "shop/client", "cart.example")


def test_a_route_of_the_mesh_that_is_refused_concerns_requests_to_its_service() -> None:
    refused = route(
        f"[{{{TO_CART}, unknown: a}}]", hosts="", parents="[{kind: Service, group: '', name: cart}]"
    )

    assert untrusted(refused, "shop/client", "cart.shop.svc.cluster.local")
    assert not untrusted(refused, "shop/client", "items.stock.svc.cluster.local")


def test_a_policy_towards_a_backend_that_is_refused_concerns_requests_to_it() -> None:
    refused = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls, namespace: shop}
spec: {targetRefs: [{group: '', kind: Service, name: cart}], validation: {}}
"""

    assert untrusted(refused, "shop/client", "cart.shop.svc.cluster.local")
    assert untrusted(refused, "infra/door-istio", "cart.shop.svc.cluster.local")
    assert not untrusted(refused, "shop/client", "items.stock.svc.cluster.local")


def test_a_gateway_that_is_refused_concerns_the_gateways_of_its_namespace() -> None:
    refused = gateway("{name: web, port: 80, protocol: HTTP, unknown: a}", name="third")

    assert untrusted(refused, "infra/door-istio", None)
    assert not untrusted(refused, "shop/side-istio", None)
    assert not untrusted(refused, "shop/client", None)
