"""Ways of requests on real Envoys: refusals between proxies, TCP, retries, mirrors, external authorizers."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.case import (
    Authorizer,
    AuthorizerRule,
    Certificate,
    Expectation,
    FromBypass,
    FromOutside,
    FromWorkload,
    HttpRequest,
    TcpRequest,
)
from meshlab.bench.running_mesh import RunningMesh
from meshlab.istio import Address
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

from tests.lab.bench.conftest import case
from tests.lab.bench.mesh import CALLER, CART, DOOR, World, tcp_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshlab.bench.case import Bypass, Case
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.verdicts.verdict import Verdict

    Bootstrap = dict[str, Any]
    Change = Callable[[Bootstrap], None]

OUTSIDE, IN_CALLER = FromOutside(DOOR), FromWorkload(CALLER)
EXT = "type.googleapis.com/envoy.extensions."
CART_CLUSTER = "outbound|80|v1|cart.shop.svc.cluster.local"


@pytest.fixture
def own() -> Iterator[tuple[Supervisor, World]]:
    with Supervisor() as supervisor:
        yield supervisor, World(supervisor.directory, free_ports())


def verdicts(
    own: tuple[Supervisor, World], mesh: MeshUnderTest, *cases: Case, rules: tuple[AuthorizerRule, ...] = ()
) -> list[Verdict]:
    supervisor, world = own
    scripts = [Authorizer("my-authorizer", rules)]
    with RunningMesh(supervisor, mesh, world.authorities, world.issuers, authorizers=scripts) as running:
        running.start(cases)
        found = [outcome.verdict for outcome in running.run(cases, jobs=1)]
    assert all(verdict is not None and not verdict.missing for verdict in found), found
    return [verdict for verdict in found if verdict]


def changed(mesh: MeshUnderTest, ref: object, change: Change) -> MeshUnderTest:
    bootstraps = copy.deepcopy(dict(mesh.bootstraps))
    change(bootstraps[ref])  # type: ignore[index]
    return replace(mesh, bootstraps=bootstraps)


def upstream_tls(bootstrap: Bootstrap) -> Bootstrap:
    clusters = {cluster["name"]: cluster for cluster in bootstrap["staticResources"]["clusters"]}
    context: Bootstrap = clusters[CART_CLUSTER]["transportSocket"]["typedConfig"]["commonTlsContext"]
    return context


def managers(bootstrap: Bootstrap) -> list[Bootstrap]:
    chains = [
        chain for listener in bootstrap["staticResources"]["listeners"] for chain in listener["filterChains"]
    ]
    filters = [entry["typedConfig"] for chain in chains for entry in chain["filters"]]
    return [config for config in filters if "httpFilters" in config]


def as_tcp(*before: Bootstrap) -> Change:
    """The sidecar takes its port for TCP."""

    def change(bootstrap: Bootstrap) -> None:
        for listener in bootstrap["staticResources"]["listeners"]:
            for chain in listener["filterChains"]:
                chain["filters"] = [*before, tcp_proxy("inbound|8080||")]

    return change


def caller_as_tcp(bootstrap: Bootstrap) -> None:
    """The caller's sidecar takes port 80 for TCP."""
    for listener in bootstrap["staticResources"]["listeners"]:
        if listener["name"] == "0.0.0.0_80":
            listener["filterChains"] = [{"filters": [tcp_proxy(CART_CLUSTER)]}]


def network_rbac(policy: str) -> Bootstrap:
    anyone = {"permissions": [{"any": True}], "principals": [{"any": True}]}
    config = {
        "@type": f"{EXT}filters.network.rbac.v3.RBAC",
        "statPrefix": "tcp.",
        "rules": {"action": "DENY", "policies": {policy: anyone}},
    }
    return {"name": "envoy.filters.network.rbac", "typedConfig": config}


def without_certificate(bootstrap: Bootstrap) -> None:
    upstream_tls(bootstrap).pop("tlsCertificates")


def expecting_another_server(bootstrap: Bootstrap) -> None:
    upstream_tls(bootstrap)["validationContext"]["matchTypedSubjectAltNames"] = [
        {"sanType": "URI", "matcher": {"exact": "spiffe://cluster.local/ns/shop/sa/other"}}
    ]


def test_a_sidecar_without_a_certificate_answers_that_the_next_refused_it(
    own: tuple[Supervisor, World],
) -> None:
    mesh = changed(own[1].mesh(), CALLER, without_certificate)
    (verdict,) = verdicts(own, mesh, case(IN_CALLER, "http://cart.shop/"))
    assert (verdict.reply.status, verdict.proxy, verdict.app) == (503, CALLER, None)
    assert "alert handshake failure, by the proxy of shop/cart" in verdict.reason


def test_over_tcp_the_proxy_that_refuses_the_certificate_ends_the_connection(
    own: tuple[Supervisor, World],
) -> None:
    mesh = changed(own[1].mesh(), CALLER, caller_as_tcp)
    (good,) = verdicts(own, mesh, case(IN_CALLER, "http://cart.shop/"))
    assert (good.reply.status, good.app) == (200, "shop/cart")
    assert [hop.line.scope for hop in good.hops] == ["tcp", "http"]


def test_over_tcp_a_refused_client_certificate_is_the_receivers_decision(
    own: tuple[Supervisor, World],
) -> None:
    mesh = changed(changed(own[1].mesh(), CALLER, caller_as_tcp), CALLER, without_certificate)
    (verdict,) = verdicts(own, mesh, case(IN_CALLER, TcpRequest("cart.shop", 80)))
    assert (verdict.reply.answered, verdict.proxy) == (False, CART)
    assert "alert handshake failure, by the proxy of shop/cart" in verdict.reason


@pytest.mark.parametrize("tcp", [False, True])
def test_a_server_that_is_not_the_expected_one_is_refused_by_the_client_side(
    own: tuple[Supervisor, World], tcp: bool
) -> None:
    mesh = changed(own[1].mesh(), CALLER, expecting_another_server)
    if tcp:
        mesh = changed(mesh, CALLER, caller_as_tcp)
    request = TcpRequest("cart.shop", 80) if tcp else HttpRequest("http://cart.shop/")
    (verdict,) = verdicts(own, mesh, case(IN_CALLER, request))
    assert (verdict.reply.status, verdict.proxy) == (None if tcp else 503, CALLER)
    assert "certificate verify failed" in verdict.reason


def test_a_tcp_policy_that_denies_is_named(own: tuple[Supervisor, World]) -> None:
    mesh = changed(
        changed(own[1].mesh(), CALLER, caller_as_tcp),
        CART,
        as_tcp(network_rbac("ns[shop]-policy[no-tcp]-rule[2]")),
    )
    (verdict,) = verdicts(own, mesh, case(IN_CALLER, TcpRequest("cart.shop", 80)))
    assert (verdict.reply.answered, verdict.proxy) == (False, CART)
    assert verdict.decisive is not None
    assert verdict.decisive.policy is not None
    assert (verdict.decisive.policy.name, verdict.decisive.policy.rule) == ("shop/no-tcp", 2)
    assert verdict.received is None


def test_requests_over_a_pooled_tcp_connection_are_followed_to_the_application(
    own: tuple[Supervisor, World],
) -> None:
    mesh = changed(own[1].mesh(), CART, as_tcp())
    cases = [
        case(IN_CALLER, HttpRequest("http://cart.shop/", method=method)) for method in ("GET", "POST", "PUT")
    ]
    for verdict, sent in zip(verdicts(own, mesh, *cases), cases, strict=True):
        assert (verdict.reply.status, verdict.app) == (200, "shop/cart")
        assert [hop.line.scope for hop in verdict.hops] == ["http", "tcp"]
        assert verdict.received is not None
        assert isinstance(sent.request, HttpRequest)
        assert verdict.received.method == sent.request.method


def ext_authz(address: Bootstrap, *, grpc: bool) -> Change:
    cluster: Bootstrap = {
        "name": "authorizer",
        "type": "STATIC",
        "loadAssignment": {
            "clusterName": "authorizer",
            "endpoints": [{"lbEndpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    config: Bootstrap = {"@type": f"{EXT}filters.http.ext_authz.v3.ExtAuthz", "transportApiVersion": "V3"}
    if grpc:
        options = f"{EXT}upstreams.http.v3.HttpProtocolOptions"
        cluster["typedExtensionProtocolOptions"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options,
                "explicitHttpConfig": {"http2ProtocolOptions": {}},
            }
        }
        config["grpcService"] = {"envoyGrpc": {"clusterName": "authorizer"}, "timeout": "5s"}
    else:
        config["httpService"] = {
            "serverUri": {"uri": "http://authorizer", "cluster": "authorizer", "timeout": "5s"},
            "authorizationRequest": {"allowedHeaders": {"patterns": [{"exact": "x-who"}]}},
            "authorizationResponse": {
                "allowedUpstreamHeaders": {"patterns": [{"exact": "x-user"}]},
                "allowedClientHeaders": {"patterns": [{"exact": "x-why"}]},
            },
        }

    def change(bootstrap: Bootstrap) -> None:
        bootstrap["staticResources"]["clusters"].append(cluster)
        for manager in managers(bootstrap):
            manager["httpFilters"].insert(0, {"name": "envoy.filters.http.ext_authz", "typedConfig": config})

    return change


@pytest.mark.parametrize("grpc", [False, True])
def test_an_external_authorizer_decides_by_its_script(own: tuple[Supervisor, World], grpc: bool) -> None:
    mesh = own[1].mesh()
    mesh = changed(mesh, DOOR, ext_authz(mesh.addresses.authorizers["my-authorizer"].envoy, grpc=grpc))
    rules = (
        AuthorizerRule(
            allow=False, path="/admin", status=418, body="keep out", add_headers={"x-why": "admin"}
        ),
        AuthorizerRule(allow=True, headers={"x-who": "alice"}, add_headers={"x-user": "alice"}),
    )
    alice = (("x-who", "alice"),)
    allowed, denied, unknown = verdicts(
        own,
        mesh,
        case(OUTSIDE, HttpRequest("http://cart.example/", headers=alice)),
        case(OUTSIDE, HttpRequest("http://cart.example/admin", headers=alice)),
        case(OUTSIDE, HttpRequest("http://cart.example/", headers=(("x-who", "bob"),))),
        rules=rules,
    )
    assert allowed.app == "shop/cart"
    assert allowed.received is not None
    assert allowed.received.values("x-user") == ["alice"]
    assert (denied.reply.status, denied.reply.text, denied.proxy) == (418, "keep out", DOOR)
    assert dict(denied.reply.headers)["x-why"] == "admin"
    assert "ext_authz_denied" in denied.reason or "external authorizer" in denied.reason
    assert (unknown.reply.status, unknown.proxy) == (403, DOOR)


def caller_route(bootstrap: Bootstrap) -> Bootstrap:
    (manager,) = managers(bootstrap)
    for host in manager["routeConfig"]["virtualHosts"]:
        if host["name"] == "cart":
            route: Bootstrap = host["routes"][1]["route"]
            return route
    raise AssertionError


def mirroring(bootstrap: Bootstrap) -> None:
    """What goes to cart also goes to redis."""
    mirror = {"cluster": "outbound|6379||redis.shop.svc.cluster.local"}
    caller_route(bootstrap)["requestMirrorPolicies"] = [mirror]


def test_a_mirrored_request_does_not_count(own: tuple[Supervisor, World]) -> None:
    mesh = changed(own[1].mesh(), CALLER, mirroring)
    cases = [case(IN_CALLER, f"http://cart.shop/{number}") for number in range(10)]
    for verdict in verdicts(own, mesh, *cases):
        assert (verdict.reply.status, verdict.app) == (200, "shop/cart")
        assert verdict.received is not None
        assert verdict.received.host == "cart.shop"


def test_a_retried_request_is_followed_to_the_endpoint_that_answered(own: tuple[Supervisor, World]) -> None:
    world = own[1]
    ports = free_ports()
    dead = Address("127.0.0.1", next(ports)).envoy

    def with_a_dead_endpoint(bootstrap: Bootstrap) -> None:
        for cluster in bootstrap["staticResources"]["clusters"]:
            if cluster["name"] == CART_CLUSTER:
                endpoints = cluster["loadAssignment"]["endpoints"][0]["lbEndpoints"]
                endpoints.append({"endpoint": {"address": dead}})
        caller_route(bootstrap)["retryPolicy"] = {
            "retryOn": "connect-failure",
            "numRetries": 5,
            "retryHostPredicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typedConfig": {"@type": f"{EXT}retry.host.previous_hosts.v3.PreviousHostsPredicate"},
                }
            ],
            "hostSelectionRetryMaxAttempts": "5",
        }

    mesh = changed(world.mesh(), CALLER, with_a_dead_endpoint)
    cases = [case(IN_CALLER, f"http://cart.shop/{number}") for number in range(6)]
    found = verdicts(own, mesh, *cases)
    assert {(verdict.reply.status, verdict.app) for verdict in found} == {(200, "shop/cart")}
    assert max(verdict.hops[0].line.attempts for verdict in found) > 1


def test_requests_that_share_a_connection_keep_their_own_evidence(own: tuple[Supervisor, World]) -> None:
    """An application that speaks HTTP/2 gets all requests over one connection from each proxy."""
    supervisor, world = own
    http2 = ("- {name: http, port: 80, targetPort: web}", "- {name: http2, port: 80, targetPort: web}")
    mesh = world.mesh((f"[{http2[0][2:]}]", f"[{http2[1][2:]}]"))
    refused, allowed = Expectation(status=403, proxy=CART), Expectation(status=200, app="shop/cart")
    cases = [
        case(OUTSIDE, HttpRequest(f"http://cart.example/{n}", method=method, version="2"), expect=expect)
        for n in range(20)
        for method, expect in (("GET", allowed), ("PUT", refused))
    ]
    with RunningMesh(supervisor, mesh, world.authorities, world.issuers) as running:
        running.start(cases)
        outcomes = list(running.run(cases))
    assert {outcome.state for outcome in outcomes} == {"passed"}
    paths = [o.verdict.received.target for o in outcomes if o.verdict and o.verdict.received]
    assert paths == [f"/{n}" for n in range(20)]


def test_a_permissive_sidecar_takes_plaintext_and_mutual_tls_of_the_mesh_alone(
    own: tuple[Supervisor, World],
) -> None:
    anyone = (
        'principals: ["cluster.local/ns/edge/sa/door", "cluster.local/ns/shop/sa/caller"]',
        "notIpBlocks: [1.2.3.4]",
    )
    mesh = own[1].mesh(("mode: STRICT", "mode: PERMISSIVE"), anyone)
    modes: tuple[Bypass, ...] = ("plaintext", "mtls", "tls")
    sent = [case(FromBypass(CALLER, CART, None, mode), "http://cart/") for mode in modes]
    plaintext, mutual, other = verdicts(own, mesh, *sent)
    assert plaintext.received is not None
    assert (plaintext.app, plaintext.received.identity) == ("shop/cart", "")
    assert mutual.received is not None
    assert mutual.received.identity == "spiffe://cluster.local/ns/shop/sa/caller"
    assert (other.reply.answered, other.proxy) == (False, CART)


def test_a_gateway_that_demands_a_certificate_lets_in_its_authoritys_clients_alone(
    own: tuple[Supervisor, World],
) -> None:
    world = own[1]

    def demanding(bootstrap: Bootstrap) -> None:
        for listener in bootstrap["staticResources"]["listeners"]:
            for chain in listener["filterChains"]:
                if "transportSocket" in chain:
                    tls = chain["transportSocket"]["typedConfig"]
                    tls["requireClientCertificate"] = True
                    trusted = {"filename": str(world.authorities.certificate("partner"))}
                    tls["commonTlsContext"]["validationContext"] = {"trustedCa": trusted}

    mesh = changed(world.mesh(), DOOR, demanding)
    shown = [
        Certificate("partner", uris=("spiffe://p/x",)),
        Certificate("mesh", uris=("spiffe://p/x",)),
        None,
    ]
    cases = [case(FromOutside(DOOR, certificate=one), "https://cart.example/") for one in shown]
    partner, other, none = verdicts(own, mesh, *cases)
    assert partner.app == "shop/cart"
    assert partner.hops[0].line.peer == "spiffe://p/x"
    assert (other.reply.answered, other.proxy) == (False, DOOR)
    assert "certificate verify failed" in other.reason
    assert (none.reply.answered, none.proxy) == (False, DOOR)
    assert "peer did not return a certificate" in none.reason


def test_the_result_of_a_dry_run_is_reported_and_decides_nothing(own: tuple[Supervisor, World]) -> None:
    named = "metadata: {name: closed-at-the-door, namespace: edge"
    mesh = own[1].mesh((named, f'{named}, annotations: {{istio.io/dry-run: "true"}}'))
    open_, closed = verdicts(
        own, mesh, case(OUTSIDE, "http://cart.example/"), case(OUTSIDE, "http://cart.example/closed")
    )
    assert open_.app == closed.app == "shop/cart"
    assert open_.hops[0].dry_run == ("DENY in dry-run: allowed",)
    assert closed.hops[0].dry_run == ("DENY in dry-run: denied by edge/closed-at-the-door, rule 0",)
    assert closed.hops[1].dry_run == ()
