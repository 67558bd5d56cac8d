"""AuthorizationPolicy: which requests a proxy's RBAC filters let through. The golden cases check the fine print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.lab.istio.conftest import Compiled, SmallMesh

NEVER = {"permissions": [{"notRule": {"any": True}}], "principals": [{"notId": {"any": True}}]}
ANYONE = [{"andIds": {"ids": [{"any": True}]}}]


def policy(spec: str, *, name: str = "p", namespace: str = "shop", annotations: str = "{}") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: {namespace}, annotations: {annotations}}}
spec: {spec}
"""


def rbac(compiled: Compiled, port: int = 8080) -> list[dict[str, Any]]:
    return [
        entry["typedConfig"] for entry in compiled.filters(port) if entry["name"] == "envoy.filters.http.rbac"
    ]


def permissions(small: SmallMesh, operation: str) -> list[dict[str, Any]]:
    (config,) = rbac(small.app(policy(f"{{rules: [{{to: [{{operation: {operation}}}]}}]}}")))
    (rule,) = config["rules"]["policies"].values()
    found: list[dict[str, Any]] = rule["permissions"][0]["andRules"]["rules"]
    return found


def test_without_a_policy_there_is_no_filter(small: SmallMesh) -> None:
    assert rbac(small.app()) == []


def test_an_allow_policy_without_rules_allows_nothing(small: SmallMesh) -> None:
    (config,) = rbac(small.app(policy("{}")))

    assert config["rules"] == {"policies": {"ns[shop]-policy[p]-rule[0]": NEVER}}


def test_an_empty_rule_matches_every_request(small: SmallMesh) -> None:
    (config,) = rbac(small.app(policy("{rules: [{}]}")))

    (rule,) = config["rules"]["policies"].values()
    assert rule == {"permissions": [{"andRules": {"rules": [{"any": True}]}}], "principals": ANYONE}


def test_denials_are_decided_before_what_is_allowed_and_after_tokens(small: SmallMesh) -> None:
    tokens = f"""
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: t, namespace: shop}}
spec: {{jwtRules: [{{issuer: me, jwks: '{small.jwks}'}}]}}
"""
    compiled = small.app(policy("{}"), policy("{action: DENY, rules: [{}]}", name="d"), tokens)

    assert [entry["name"] for entry in compiled.filters(8080)] == [
        "envoy.filters.http.jwt_authn",
        "envoy.filters.http.rbac",
        "envoy.filters.http.rbac",
        "envoy.filters.http.fault",
        "envoy.filters.http.cors",
        "envoy.filters.http.router",
    ]
    deny, allow = rbac(compiled)
    assert deny["rules"]["action"] == "DENY"
    assert "action" not in allow["rules"]


def test_policies_of_the_root_namespace_add_to_those_of_the_workload(small: SmallMesh) -> None:
    (config,) = rbac(small.app(policy("{}", namespace="istio-system"), policy("{rules: [{}]}")))

    assert set(config["rules"]["policies"]) == {
        "ns[istio-system]-policy[p]-rule[0]",
        "ns[shop]-policy[p]-rule[0]",
    }


def test_a_selector_must_be_part_of_the_labels(small: SmallMesh) -> None:
    both = policy("{selector: {matchLabels: {app: cart, version: v1}}}")
    other = policy("{selector: {matchLabels: {app: cart, version: v2}}}", name="q")

    (config,) = rbac(small.app(both))
    assert list(config["rules"]["policies"]) == ["ns[shop]-policy[p]-rule[0]"]
    assert "selects no workload" in small.refusal(both, other)


def test_a_policy_on_trial_is_only_recorded(small: SmallMesh) -> None:
    annotations = '{istio.io/dry-run: "true"}'
    (deny,) = rbac(small.app(policy("{action: DENY, rules: [{}]}", annotations=annotations)))
    (allow,) = rbac(small.app(policy("{}", annotations=annotations)))

    assert set(deny) == {"@type", "shadowRules", "shadowRulesStatPrefix"}
    assert deny["shadowRulesStatPrefix"] == "istio_dry_run_deny_"
    assert allow["shadowRulesStatPrefix"] == "istio_dry_run_allow_"


def test_ports_of_a_policy_are_the_pods_own_wherever_the_lab_listens(small: SmallMesh) -> None:
    compiled = small.app(policy("{rules: [{to: [{operation: {ports: ['8080', '9999']}}]}]}"))
    listening = compiled.placement.proxies[small.app_ref, 8080].port
    (config,) = rbac(compiled)

    (rule,) = config["rules"]["policies"].values()
    served, unserved = rule["permissions"][0]["andRules"]["rules"][0]["orRules"]["rules"]
    assert served == {"destinationPort": listening}
    assert unserved == {"notRule": {"any": True}}


def test_the_local_trust_domain_stands_for_the_meshs_own(small: SmallMesh) -> None:
    source = "{principals: [cluster.local/ns/edge/sa/door, other.example/ns/edge/sa/door, cluster.local/*]}"
    mesh = small.mesh(policy(f"{{rules: [{{from: [{{source: {source}}}]}}]}}"), trust_domain="p.svc.id.goog")

    (config,) = rbac(small.compiled(small.app_ref, mesh))
    (rule,) = config["rules"]["policies"].values()
    names = [
        entry["authenticated"]["principalName"]
        for entry in rule["principals"][0]["andIds"]["ids"][0]["orIds"]["ids"]
    ]
    assert names == [
        {"exact": "spiffe://p.svc.id.goog/ns/edge/sa/door"},
        {"exact": "spiffe://other.example/ns/edge/sa/door"},
        {"prefix": "spiffe://cluster.local/"},
    ]


def test_hosts_ignore_case_and_templates_take_one_segment_or_any_number(small: SmallMesh) -> None:
    host, path = permissions(small, "{hosts: [Cart.example], paths: ['/a/{*}/b', '/a/{**}']}")

    (match,) = host["orRules"]["rules"]
    assert match["header"]["stringMatch"] == {"exact": "Cart.example", "ignoreCase": True}
    templates = [entry["uriTemplate"]["typedConfig"]["pathTemplate"] for entry in path["orRules"]["rules"]]
    assert templates == ["/a/*/b", "/a/**"]


def test_claims_are_compared_as_text_or_as_a_member_of_a_list(small: SmallMesh) -> None:
    when = "[{key: 'request.auth.claims[scope]', values: [read]}]"
    (config,) = rbac(small.app(policy(f"{{rules: [{{when: {when}}}]}}")))

    (rule,) = config["rules"]["policies"].values()
    (matcher,) = rule["principals"][0]["andIds"]["ids"]
    found = matcher["sourcedMetadata"]["metadataMatcher"]
    assert found["filter"] == "envoy.filters.http.jwt_authn"
    assert found["path"] == [{"key": "payload"}, {"key": "scope"}]
    text = {"stringMatch": {"exact": "read"}}
    assert found["value"] == {"orMatch": {"valueMatchers": [{"listMatch": {"oneOf": text}}, text]}}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{action: AUDIT, rules: [{}]}", "spec.action: 'AUDIT' is not supported"),
        ("{action: CUSTOM, rules: [{}]}", "spec.action: 'CUSTOM' is not supported"),
        ("{action: DENY}", "denies nothing"),
        ("{provider: {name: x}}", "spec.provider: external authorization"),
        ("{targetRefs: [{kind: Gateway, name: x}]}", "Gateway API"),
        ("{targetRef: {kind: Gateway, name: x}}", "Gateway API"),
        ("{selector: {}}", "selects every pod"),
        ("{selector: null}", "selects every pod"),
        ("{rules: {}}", "spec.rules: expected a list"),
        ("{rules: ''}", "spec.rules: expected a list"),
        ("{rules: [{from: null}]}", "from: expected a list"),
        ("{selector: {matchLabels: {app: 'ca*'}}}", "no wildcards"),
        ("{selector: {matchExpressions: []}}", "matchExpressions"),
        ("{rules: [{from: []}]}", "spec.rules[0].from: an empty list"),
        ("{rules: [{from: [{}]}]}", "spec.rules[0].from[0].source: is empty"),
        ("{rules: [{from: [{source: {principals: []}}]}]}", "restricts nothing"),
        ("{rules: [{from: [{source: {principals: ['']}}]}]}", "principals[0]: an empty string"),
        ("{rules: [{from: [{source: {user: [x]}}]}]}", "source.user: the lab does not know"),
        ("{rules: [{from: [{source: {trustDomains: [x]}}]}]}", "older supported Istio"),
        ("{rules: [{from: [{source: {ipBlocks: [localhost]}}]}]}", "ipBlocks[0]: 'localhost' is neither"),
        ("{rules: [{from: [{source: {serviceAccounts: ['a/*']}}]}]}", "without wildcards"),
        ("{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}", "cannot stand beside"),
        ("{rules: [{to: [{operation: {}}]}]}", "operation: is empty"),
        ("{rules: [{to: [{operation: {methods: GET}}]}]}", "methods: expected a list"),
        ("{rules: [{to: [{operation: {ports: [8080]}}]}]}", "ports[0]: expected a string"),
        ("{rules: [{to: [{operation: {ports: ['70000']}}]}]}", "is not a port"),
        ("{rules: [{to: [{operation: {paths: ['/a/{id}']}}]}]}", "only {*} and {**} are templates"),
        ("{rules: [{to: [{operation: {paths: ['/a/{*}/*']}}]}]}", "mixes templates"),
        ("{rules: [{to: [{operation: {paths: ['/{**}/{*}']}}]}]}", "must be the last"),
        ("{rules: [{when: [{key: request.time, values: [x]}]}]}", "when[0].key: 'request.time'"),
        ("{rules: [{when: [{key: 'request.headers[]', values: [x]}]}]}", "when[0].key"),
        ("{rules: [{when: [{key: source.ip}]}]}", "needs values or notValues"),
        ("{rules: [{when: [{key: source.ip, values: [x]}]}]}", "when[0].values[0]: 'x' is neither"),
        ("{rules: [{when: [{values: [x]}]}]}", "when[0].key: missing"),
    ],
)
def test_a_policy_that_would_mean_something_else_than_it_says_is_refused(
    small: SmallMesh, spec: str, says: str
) -> None:
    assert says in small.refusal(policy(spec))


def test_an_unreadable_trial_annotation_is_refused(small: SmallMesh) -> None:
    assert "istio.io/dry-run" in small.refusal(policy("{}", annotations='{istio.io/dry-run: "maybe"}'))
