"""VirtualServices at a gateway: which request goes where, and how often it is tried."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio.read.mesh_config import RetryPolicy

if TYPE_CHECKING:
    from tests.lab.istio.conftest import Compiled, SmallMesh

CLUSTER = "outbound|80||cart.shop.svc.cluster.local"
TO_CART = "route: [{destination: {host: cart}}]"


def service(
    http: str, *, name: str = "cart", namespace: str = "shop", hosts: str = "[cart.example]", more: str = ""
) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{hosts: {hosts}, gateways: [edge/door]{more}, http: {http}}}
"""


def routes(small: SmallMesh, http: str) -> list[dict[str, Any]]:
    return small.gateway(service(http)).virtual_hosts(8443)["cart.example"]


def test_a_host_goes_to_the_services_pods_over_mutual_tls(small: SmallMesh) -> None:
    compiled = small.gateway()
    cluster = compiled.cluster(CLUSTER)
    (endpoint,) = cluster["loadAssignment"]["endpoints"][0]["lbEndpoints"]
    secured, plain = cluster["transportSocketMatches"]
    context = secured["transportSocket"]["typedConfig"]

    assert endpoint["endpoint"]["address"] == compiled.placement.proxies[small.app_ref, 8080].envoy
    assert endpoint["metadata"]["filterMetadata"]["envoy.transport_socket_match"] == secured["match"]
    assert context["sni"] == "outbound_.80_._.cart.shop.svc.cluster.local"
    validation = context["commonTlsContext"]["combinedValidationContext"]["defaultValidationContext"]
    assert validation["matchTypedSubjectAltNames"] == [
        {"sanType": "URI", "matcher": {"exact": "spiffe://cluster.local/ns/shop/sa/cart"}}
    ]
    assert plain["transportSocket"]["name"] == "envoy.transport_sockets.raw_buffer"


def test_an_app_without_a_sidecar_is_called_in_plaintext_where_it_listens(small: SmallMesh) -> None:
    outside = small.changed(
        small.base("Deployment", "cart"),
        "spec.template.metadata.labels",
        {"app": "cart", "sidecar.istio.io/inject": "false"},
    )
    compiled = small.gateway(outside)
    cluster = compiled.cluster(CLUSTER)

    (endpoint,) = cluster["loadAssignment"]["endpoints"][0]["lbEndpoints"]
    assert endpoint == {"endpoint": {"address": compiled.placement.apps[small.app_ref, 8080].envoy}}
    assert [match["name"] for match in cluster["transportSocketMatches"]] == [
        "tlsMode-istio",
        "tlsMode-disabled",
    ]


def test_without_a_word_about_time_there_is_no_timeout_and_two_careful_retries(small: SmallMesh) -> None:
    (route,) = routes(small, f"[{{{TO_CART}}}]")

    assert route["match"] == {"prefix": "/"}
    assert route["route"]["cluster"] == CLUSTER
    assert route["route"]["timeout"] == "0s"
    retries = route["route"]["retryPolicy"]
    assert (retries["numRetries"], retries["retryOn"]) == (
        2,
        "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
    )
    assert retries["retryHostPredicate"][0]["name"] == "envoy.retry_host_predicates.previous_hosts"


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("{attempts: 0}", None),
        (
            "{attempts: 3}",
            {
                "numRetries": 3,
                "retryOn": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
            },
        ),
        ("{attempts: 1, perTryTimeout: 1500ms}", {"perTryTimeout": "1.5s"}),
        ("{attempts: 1, retryOn: 'gateway-error,reset'}", {"retryOn": "gateway-error,reset"}),
        ("{}", None),
        ("{attempts: '2'}", {"numRetries": 2}),
        ("{attempts: 1, backoff: 25ms}", {"retryBackOff": {"baseInterval": "0.025s"}}),
        (
            "{attempts: 1, retryOn: '503'}",
            {"retryOn": "retriable-status-codes", "retriableStatusCodes": [503]},
        ),
        (
            "{attempts: 1, retryOn: 'reset,503'}",
            {"retryOn": "reset,retriable-status-codes", "retriableStatusCodes": [503]},
        ),
    ],
)
def test_retries_as_written(small: SmallMesh, written: str, policy: dict[str, Any] | None) -> None:
    (route,) = routes(small, f"[{{{TO_CART}, retries: {written}}}]")
    found = route["route"].get("retryPolicy")

    assert found is None if policy is None else found.items() >= policy.items()


def test_the_retries_of_the_mesh_count_where_a_rule_has_none(small: SmallMesh) -> None:
    mesh = small.mesh(
        service(f"[{{match: [{{uri: {{exact: /a}}}}], {TO_CART}, retries: {{attempts: 1}}}}, {{{TO_CART}}}]")
    )
    patient = replace(mesh.settings, default_http_retry_policy=RetryPolicy(attempts=7))
    compiled = small.compiled(small.gateway_ref, replace(mesh, settings=patient))

    own, default = compiled.virtual_hosts(8443)["cart.example"]
    assert own["route"]["retryPolicy"]["numRetries"] == 1
    assert default["route"]["retryPolicy"]["numRetries"] == 7


@pytest.mark.parametrize(
    ("written", "seconds"), [("3s", "3s"), ("250ms", "0.25s"), ("1m30s", "90s"), ("1ms", "0.001s")]
)
def test_a_timeout_bounds_the_whole_call(small: SmallMesh, written: str, seconds: str) -> None:
    (route,) = routes(small, f"[{{{TO_CART}, timeout: {written}}}]")

    assert route["route"]["timeout"] == seconds
    # Beside it, Envoy would ignore the timeout.
    assert "maxStreamDuration" not in route["route"]


@pytest.mark.parametrize(
    ("match", "envoy"),
    [
        ("{uri: {exact: /a}}", {"path": "/a"}),
        ("{uri: {prefix: /a}}", {"prefix": "/a"}),
        ("{uri: {regex: '/a/[0-9]+'}}", {"safeRegex": {"regex": "/a/[0-9]+"}}),
        ("{uri: {exact: /a}, ignoreUriCase: true}", {"path": "/a", "caseSensitive": False}),
        (
            "{method: {exact: GET}}",
            {"prefix": "/", "headers": [{"name": ":method", "stringMatch": {"exact": "GET"}}]},
        ),
        (
            "{authority: {prefix: cart}}",
            {"prefix": "/", "headers": [{"name": ":authority", "stringMatch": {"prefix": "cart"}}]},
        ),
        (
            "{headers: {x-a: {regex: 'b+'}, x-d: {}}}",
            {
                "prefix": "/",
                "headers": [
                    {"name": "x-a", "stringMatch": {"safeRegex": {"regex": "b+"}}},
                    {"name": "x-d", "presentMatch": True},
                ],
            },
        ),
        (
            "{withoutHeaders: {x-a: {exact: b}}}",
            {
                "prefix": "/",
                "headers": [
                    {
                        "name": "x-a",
                        "stringMatch": {"exact": "b"},
                        "invertMatch": True,
                        "treatMissingHeaderAsEmpty": True,
                    }
                ],
            },
        ),
        ("{gateways: [edge/door], port: 443}", {"prefix": "/"}),
    ],
)
def test_a_match_as_written(small: SmallMesh, match: str, envoy: dict[str, Any]) -> None:
    (route,) = routes(small, f"[{{match: [{match}], {TO_CART}}}]")

    assert route["match"] == envoy


def test_alternatives_become_routes_of_their_own_in_order(small: SmallMesh) -> None:
    found = routes(
        small, f"[{{name: both, match: [{{uri: {{exact: /a}}}}, {{uri: {{exact: /b}}}}], {TO_CART}}}]"
    )

    assert [(route["name"], route["match"]["path"]) for route in found] == [("both", "/a"), ("both", "/b")]


@pytest.mark.parametrize("match", ["{gateways: [edge/other]}", "{port: 80}"])
def test_a_match_for_another_gateway_or_port_makes_no_route(small: SmallMesh, match: str) -> None:
    found = routes(
        small, f"[{{match: [{match}], {TO_CART}}}, {{match: [{{uri: {{exact: /a}}}}], {TO_CART}}}]"
    )

    assert [route["match"] for route in found] == [{"path": "/a"}]


def test_several_services_for_one_host_are_joined_and_the_catch_all_comes_last(small: SmallMesh) -> None:
    first = service(f"[{{{TO_CART}}}]", name="a")
    second = service(f"[{{match: [{{uri: {{prefix: /b}}}}], {TO_CART}}}]", name="b")
    found = small.gateway(first, second, without=("VirtualService/cart",)).virtual_hosts(8443)["cart.example"]

    assert [route["match"] for route in found] == [{"prefix": "/b"}, {"prefix": "/"}]


def test_destinations_share_by_weight(small: SmallMesh) -> None:
    other = small.changed(small.base("Service", "cart"), "metadata.name", "other")
    http = (
        "[{route: [{destination: {host: cart}, weight: 75}, "
        "{destination: {host: other.shop.svc.cluster.local}, weight: 25}]}]"
    )
    compiled = small.gateway(service(http), other)
    (route,) = compiled.virtual_hosts(8443)["cart.example"]

    clusters = route["route"]["weightedClusters"]["clusters"]
    assert [(cluster["name"], cluster["weight"]) for cluster in clusters] == [
        (CLUSTER, 75),
        ("outbound|80||other.shop.svc.cluster.local", 25),
    ]
    assert all(compiled.cluster(cluster["name"]) for cluster in clusters)


def test_only_hosts_that_the_server_and_the_service_share_are_served(small: SmallMesh) -> None:
    wide = small.changed(
        small.base("Gateway", "door"), "spec.servers.0.hosts", ["shop/*.example", "*/deep.a.test"]
    )
    compiled = small.gateway(
        wide,
        service(f"[{{{TO_CART}}}]", hosts="[cart.example, '*.a.test']"),
    )

    assert set(compiled.virtual_hosts(8443)) == {"cart.example", "deep.a.test"}


def test_a_port_in_the_host_header_makes_no_difference(small: SmallMesh) -> None:
    assert small.gateway().manager(8443)["routeConfig"]["ignorePortInHostMatching"] is True


@pytest.mark.parametrize(
    ("scopes", "seen"), [("['*']", True), ("[edge]", True), ("['.']", False), ("[shop]", False)]
)
def test_a_gateway_serves_only_what_is_exported_to_its_namespace(
    small: SmallMesh, scopes: str, seen: bool
) -> None:
    compiled = small.gateway(service(f"[{{{TO_CART}}}]", more=f", exportTo: {scopes}"))

    assert ("cart.example" in compiled.virtual_hosts(8443)) is seen


def test_a_grpc_port_is_spoken_to_in_http2_and_a_plain_one_in_http1(small: SmallMesh) -> None:
    def version(compiled: Compiled) -> list[str]:
        options = compiled.cluster(CLUSTER)["typedExtensionProtocolOptions"]
        return list(options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]["explicitHttpConfig"])

    grpc = small.changed(small.base("Service", "cart"), "spec.ports.0.name", "grpc-web2")
    assert version(small.gateway()) == ["httpProtocolOptions"]
    assert version(small.gateway(grpc)) == ["http2ProtocolOptions"]


@pytest.mark.parametrize(
    ("destination", "cluster"),
    [
        ("{host: nobody}", "outbound|443||nobody.shop.svc.cluster.local"),
        ("{host: cart.shop}", "outbound|443||cart.shop"),
        ("{host: cart, port: {number: 81}}", "outbound|81||cart.shop.svc.cluster.local"),
        ("{host: cart, subset: v1}", "outbound|80|v1|cart.shop.svc.cluster.local"),
    ],
)
def test_a_destination_that_does_not_exist_keeps_its_name_and_has_no_cluster(
    small: SmallMesh, destination: str, cluster: str
) -> None:
    compiled = small.gateway(service(f"[{{route: [{{destination: {destination}}}]}}]"))
    (route,) = compiled.virtual_hosts(8443)["cart.example"]

    assert route["route"]["cluster"] == cluster
    clusters = compiled.bootstrap["staticResources"]["clusters"]
    assert cluster not in [entry["name"] for entry in clusters]


def test_a_service_with_several_ports_is_called_on_the_port_of_the_server(small: SmallMesh) -> None:
    ports = [
        {"name": "http", "port": 80, "targetPort": "web"},
        {"name": "http-b", "port": 443, "targetPort": 9090},
    ]
    several = small.changed(small.base("Service", "cart"), "spec.ports", ports)
    (route,) = small.gateway(several).virtual_hosts(8443)["cart.example"]

    assert route["route"]["cluster"] == "outbound|443||cart.shop.svc.cluster.local"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.gateways", ["edge/nobody"]),
        ("spec.gateways", ["door"]),
        ("spec.gateways", ["mesh"]),
        ("spec.hosts", ["other.example"]),
        ("metadata.namespace", "edge"),
    ],
)
def test_what_is_not_for_the_gateway_is_answered_404_there(
    small: SmallMesh, path: str, value: object
) -> None:
    changed = small.changed(small.base("VirtualService", "cart"), path, value)

    assert small.gateway(changed, without=("VirtualService/cart",)).virtual_hosts(8443) == {"*": []}
