"""Operators: every condition of every kind is removed or widened, with its line and whether it lets more in."""

from __future__ import annotations

import pytest
from meshlab.manifest import parse_manifests
from meshlab.mutate.changed_objects import as_object
from meshlab.mutate.mutants import Mutant, mutants_of
from meshlab.mutate.operators import OPERATORS

Made = tuple[str, str, bool]


def mutants(text: str) -> list[Mutant]:
    return [mutant for manifest in parse_manifests(text, "m.yaml") for mutant in mutants_of(manifest)]


def made(text: str) -> set[Made]:
    return {(mutant.path, mutant.change, mutant.weakens) for mutant in mutants(text)}


def policy(spec: str) -> str:
    return f"""\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: p, namespace: shop}}
spec: {spec}
"""


def networking(kind: str, spec: str) -> str:
    return f"""\
apiVersion: networking.istio.io/v1
kind: {kind}
metadata: {{name: n, namespace: shop}}
spec: {spec}
"""


def test_an_allow_policy_lets_more_in_without_a_condition_and_less_without_a_rule() -> None:
    rule = "spec.rules.0"
    assert made(
        policy("""
  rules:
  - from: [{source: {principals: [cluster.local/ns/a/sa/b], notNamespaces: [c]}}]
    to: [{operation: {methods: [GET], ports: ["80"]}}, {operation: {paths: [/x*]}}]
    when: [{key: source.ip, values: [10.0.0.0/8]}]
""")
    ) >= {
        ("the object", "removed", True),
        (rule, "removed", False),
        (f"{rule}.from", "removed", True),
        (f"{rule}.from.0.source.notNamespaces", "removed", True),
        (f"{rule}.from.0.source.principals", "any value", True),
        (
            f"{rule}.from.0.source.principals.0",
            "cluster.local/ns/a/sa/b becomes cluster.local/ns/a/sa/b*",
            True,
        ),
        (f"{rule}.to.0", "removed", False),
        (f"{rule}.to.0.operation.methods", "POST added", True),
        (f"{rule}.to.0.operation.ports", "removed", True),
        (f"{rule}.to.1.operation.paths", "any value", True),
        (f"{rule}.when.0", "source.ip removed", True),
        (f"{rule}.when.0.values", "any value", True),
        (f"{rule}.when.0.values.0", "10.0.0.0/8 becomes 10.0.0.0/7", True),
    }


def test_a_deny_policy_lets_more_in_without_a_rule_or_a_value_and_less_without_a_condition() -> None:
    rule = "spec.rules.0.to.0.operation"
    operation = "{paths: [/admin*, /b], notMethods: [GET, PUT]}"
    found = made(policy(f"{{action: DENY, rules: [{{to: [{{operation: {operation}}}]}}, {{}}]}}"))
    assert found >= {
        ("spec.rules.0", "removed", True),
        ("spec.rules.0.to", "removed", False),
        (f"{rule}.paths.0", "/admin* removed", True),
        (f"{rule}.paths.0", "/admin* becomes /admin", True),
        (f"{rule}.notMethods", "removed", False),
        (f"{rule}.notMethods.0", "GET removed", False),
    }


def test_istio_takes_no_deny_policy_without_a_rule_so_its_only_one_stays() -> None:
    assert {path for path, _, _ in made(policy("{action: DENY, rules: [{}]}"))} == {"the object"}


def test_what_nothing_shall_pass_is_opened_and_what_only_audits_is_left_alone() -> None:
    assert made(policy("{}")) == {("the object", "removed", True), ("spec.rules", "every request", True)}
    assert made(policy("{action: AUDIT, rules: [{}]}")) == set()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "{selector: {matchLabels: {app: cart, v: '1'}}}",
            {
                ("spec.selector.matchLabels.app", "selects nothing", True),
                ("spec.selector.matchLabels.v", "removed", True),
                ("spec.selector", "every workload", True),
            },
        ),
        (
            "{targetRefs: [{kind: Gateway, name: g}]}",
            {("spec.targetRefs.0.name", "reaches nothing", True)},
        ),
    ],
)
def test_what_a_policy_hangs_at_is_changed(spec: str, expected: set[Made]) -> None:
    assert made(policy(spec)) >= expected


def test_tokens_are_taken_of_another_issuer_for_another_audience_and_from_other_places() -> None:
    text = """\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: r, namespace: shop}
spec:
  jwtRules:
  - {issuer: i, audiences: [a, b], forwardOriginalToken: true, fromHeaders: [{name: x}]}
"""
    rule = "spec.jwtRules.0"
    assert made(text) >= {
        ("the object", "removed", True),
        (rule, "removed", True),
        (f"{rule}.issuer", "another issuer", False),
        (f"{rule}.audiences", "removed", True),
        (f"{rule}.audiences.1", "b removed", False),
        (f"{rule}.audiences.0", "a becomes another", False),
        (f"{rule}.forwardOriginalToken", "becomes false", False),
        (f"{rule}.fromHeaders", "removed", True),
        (f"{rule}.fromParams", "access_token", True),
    }


def test_mutual_tls_is_asked_for_less() -> None:
    text = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: p, namespace: shop}
spec: {mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: STRICT}, 9090: {mode: DISABLE}}}
"""
    assert made(text) == {
        ("the object", "removed", True),
        ("spec.mtls.mode", "PERMISSIVE", True),
        ("spec.mtls.mode", "DISABLE", True),
        ("spec.portLevelMtls.8080", "removed", True),
        ("spec.portLevelMtls.8080.mode", "PERMISSIVE", True),
        ("spec.portLevelMtls.8080.mode", "DISABLE", True),
        ("spec.portLevelMtls.9090", "removed", True),
        ("spec.portLevelMtls.9090.mode", "PERMISSIVE", True),
        ("spec.portLevelMtls.9090.mode", "STRICT", False),
    }


def test_a_gateway_takes_more_hosts_and_checks_its_clients_less() -> None:
    server = "spec.servers.0"
    assert made(
        networking(
            "Gateway",
            """
  selector: {istio: g}
  servers:
  - port: {number: 443, protocol: HTTPS, name: https}
    hosts: [shop/a.example.com]
    tls: {mode: MUTUAL, credentialName: c, subjectAltNames: [x, y], minProtocolVersion: TLSV1_3}
""",
        )
    ) == {
        ("the object", "removed", False),
        ("spec.selector.istio", "selects nothing", False),
        ("spec.selector", "every gateway", True),
        (f"{server}.hosts.0", "shop/a.example.com from every namespace", True),
        (f"{server}.hosts.0", "shop/a.example.com becomes *.example.com", True),
        (f"{server}.hosts", "any host", True),
        (server, "plaintext", True),
        (f"{server}.tls.minProtocolVersion", "removed", True),
        (f"{server}.tls.mode", "SIMPLE", True),
        (f"{server}.tls.mode", "optional", True),
        (f"{server}.tls.credentialName", "another", False),
        (f"{server}.tls.subjectAltNames", "removed", True),
        (f"{server}.tls.subjectAltNames.0", "x removed", False),
        (f"{server}.tls.subjectAltNames.1", "y removed", False),
        (f"{server}.tls.insecureSkipVerify", "set", True),
    }


def test_routes_match_more_and_are_seen_by_more() -> None:
    route = "spec.http.0"
    assert made(
        networking(
            "VirtualService",
            """
  hosts: [a.example.com]
  gateways: [g]
  exportTo: [.]
  http:
  - match: [{uri: {prefix: /api/v1}, headers: {x: {exact: "1"}, y: {regex: ".*"}}}]
    headers: {request: {remove: [secret]}}
    route: [{destination: {host: cart, subset: v1}}]
  - {match: [{uri: {exact: /a}}], directResponse: {status: 403}}
""",
        )
    ) == {
        ("the object", "removed", True),
        ("spec.exportTo", "every namespace", True),
        ("spec.hosts.0", "a.example.com becomes *.example.com", True),
        ("spec.gateways", "mesh added", True),
        (route, "removed", False),
        (f"{route}.route.0.destination.subset", "removed", True),
        (f"{route}.match", "removed", True),
        (f"{route}.match.0.uri", "removed", True),
        (f"{route}.match.0.headers", "removed", True),
        (f"{route}.match.0.uri.prefix", "/api/v1 becomes /api/", True),
        (f"{route}.match.0.headers.x", "removed", True),
        (f"{route}.match.0.headers.x", "any value", True),
        (f"{route}.match.0.headers.y", "removed", True),
        (f"{route}.headers.request.remove.0", "secret kept", True),
        ("spec.http.1", "removed", True),
        # This route only refuses: what it takes more is refused more.
        ("spec.http.1.match", "removed", False),
        ("spec.http.1.match.0.uri", "/a becomes a prefix", False),
    }


def test_servers_are_checked_less_and_spoken_to_without_tls() -> None:
    tls = "spec.trafficPolicy.tls"
    assert made(
        networking(
            "DestinationRule",
            "{host: h, trafficPolicy: {tls: {mode: MUTUAL, credentialName: c, sni: s, subjectAltNames: [x]}}}",
        )
    ) == {
        ("the object", "removed", True),
        ("spec.trafficPolicy", "removed", True),
        (f"{tls}.mode", "DISABLE", True),
        (f"{tls}.mode", "SIMPLE", True),
        (f"{tls}.sni", "removed", False),
        (f"{tls}.subjectAltNames", "removed", True),
        (f"{tls}.sni", "another", False),
        (f"{tls}.credentialName", "another", False),
        (f"{tls}.insecureSkipVerify", "set", True),
    }


def test_hosts_outside_are_opened_on_more_ports_and_for_more_namespaces() -> None:
    assert made(
        networking(
            "ServiceEntry",
            """
  hosts: [api.example.com]
  exportTo: [.]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 443, name: https, protocol: TLS}]
""",
        )
    ) == {
        ("the object", "removed", True),
        ("spec.exportTo", "every namespace", True),
        ("spec.location", "inside", False),
        ("spec.resolution", "NONE", True),
        ("spec.ports", "80 added", True),
        ("spec.ports.0", "TCP", True),
    }


def test_a_sidecar_sees_more() -> None:
    assert made(
        networking("Sidecar", "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: [./a, b/*]}]}")
    ) == {
        ("the object", "removed", True),
        ("spec.outboundTrafficPolicy", "removed", True),
        ("spec.outboundTrafficPolicy.mode", "ALLOW_ANY", True),
        ("spec.egress", "removed", True),
        ("spec.egress.0.hosts", "every host", True),
        ("spec.egress.0.hosts.0", "./a removed", False),
        ("spec.egress.0.hosts.0", "./a becomes ./*", True),
        ("spec.egress.0.hosts.0", "./a becomes */a", True),
        ("spec.egress.0.hosts.1", "b/* removed", False),
        ("spec.egress.0.hosts.1", "b/* becomes */*", True),
    }


def test_mesh_wide_settings_are_loosened() -> None:
    settings = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}, "trustDomain": "t", "accessLogFile": "/x"}
    found = {(mutant.path, mutant.change, mutant.weakens) for mutant in mutants_of(as_object(settings))}
    assert found == {
        ("spec.outboundTrafficPolicy", "removed", True),
        ("spec.trustDomain", "removed", False),
        ("spec.outboundTrafficPolicy.mode", "ALLOW_ANY", True),
        ("spec.enableAutoMtls", "false", True),
        ("spec.trustDomainAliases", "other.example added", True),
    }


def test_of_a_further_trust_domain_it_is_said_that_no_request_can_show_it() -> None:
    settings = {"trustDomain": "t", "trustDomainAliases": ["old"]}
    (added,) = [each for each in mutants_of(as_object(settings)) if each.change == "other.example added"]
    assert (
        added.made.unseen
        == "no client of the battery has an identity of a trust domain that the mesh does not name"
    )


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        (
            "Gateway",
            "{listeners: [{name: a, hostname: a.example.com, allowedRoutes: {namespaces: {from: Same}}}]}",
            {
                ("the object", "removed", False),
                ("spec.listeners.0.hostname", "any host", True),
                ("spec.listeners.0.hostname", "a.example.com becomes *.example.com", True),
                ("spec.listeners.0.allowedRoutes.namespaces", "every namespace", True),
            },
        ),
        (
            "HTTPRoute",
            """
  hostnames: [a.example.com]
  parentRefs: [{name: g, sectionName: s}]
  rules: [{matches: [{path: {type: Exact, value: /a}, method: GET}], filters: [{type: X}], backendRefs: [{name: b}]}]
""",
            {
                ("the object", "removed", True),
                ("spec.hostnames.0", "a.example.com becomes *.example.com", True),
                ("spec.parentRefs.0.sectionName", "every listener", True),
                ("spec.rules.0.matches", "removed", True),
                ("spec.rules.0.matches.0.path", "removed", True),
                ("spec.rules.0.matches.0.method", "removed", True),
                ("spec.rules.0.matches.0.path.type", "a prefix", True),
                ("spec.rules.0.filters.0", "removed", True),
            },
        ),
        (
            "ReferenceGrant",
            "{from: [{namespace: a}], to: [{kind: Service, name: b}]}",
            {("the object", "removed", False), ("spec.to.0.name", "any name", True)},
        ),
        (
            "BackendTLSPolicy",
            "{targetRefs: [{name: a}], validation: {hostname: h.example.com, subjectAltNames: [{uri: x}]}}",
            {
                ("the object", "removed", True),
                ("spec.validation.hostname", "another", False),
                ("spec.validation.subjectAltNames", "removed", True),
            },
        ),
    ],
)
def test_objects_of_the_gateway_api_are_changed(kind: str, spec: str, expected: set[Made]) -> None:
    text = f"""\
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: n, namespace: shop}}
spec: {spec}
"""
    assert made(text) == expected


def test_a_service_that_some_namespaces_see_is_seen_by_all() -> None:
    text = """\
apiVersion: v1
kind: Service
metadata: {name: s, namespace: shop, annotations: {networking.istio.io/exportTo: .}}
"""
    assert made(text) == {("metadata.annotations.networking.istio.io/exportTo", "every namespace", True)}


def test_an_object_that_decides_no_request_has_no_mutants() -> None:
    assert (
        made("{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: shop}, spec: {}}")
        == set()
    )


def test_a_mutant_knows_the_line_of_its_field() -> None:
    text = policy("""
  rules:
  - to:
    - operation:
        methods:
        - GET
        paths: [/a, /b]
""")
    lines = {(mutant.path, mutant.change): mutant.line for mutant in mutants(text)}
    operation = "spec.rules.0.to.0.operation"
    assert lines["the object", "removed"] == 1
    assert lines["spec.rules.0", "removed"] == 6
    assert lines[f"{operation}.methods", "POST added"] == 8
    assert lines[f"{operation}.paths.1", "/b removed"] == 10


def test_a_change_leaves_the_original_as_it_was_and_changes_nothing_else() -> None:
    text = policy(
        "{rules: [{to: [{operation: {methods: [GET], paths: [/a]}}]}, {when: [{key: k, values: [v]}]}]}"
    )
    (original,) = parse_manifests(text, "m.yaml")
    (untouched,) = parse_manifests(text, "m.yaml")
    for mutant in mutants_of(original):
        assert mutant.body != untouched.body
    assert original.body == untouched.body


def test_every_operator_is_for_a_kind_that_the_bench_reads() -> None:
    from meshlab.istio.read.object_kinds import READ

    assert set(OPERATORS) - set(READ) == {("", "MeshConfig")}
