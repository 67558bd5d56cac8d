"""AuthorizationPolicy: which requests a proxy's RBAC filters let through. The golden cases check the fine print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio.read.attachment import GATEWAY_NAME, TargetRef, attached
from meshlab.istio.read.authorization_policy import AuthorizationPolicy, read_authorization_policy
from meshlab.manifest import parse_manifests

if TYPE_CHECKING:
    from tests.lab.istio.conftest import Compiled, SmallMesh

NEVER = {"permissions": [{"notRule": {"any": True}}], "principals": [{"notId": {"any": True}}]}
CUSTOM = "action: CUSTOM, provider: {name: x}"
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
        ("{action: LOG, rules: [{}]}", "spec.action: 'LOG' is not supported"),
        ("{action: DENY}", "Istio refuses DENY without rules"),
        ("{action: CUSTOM, provider: {name: x}}", "Istio refuses CUSTOM without rules"),
        ("{action: CUSTOM, rules: [{}]}", "spec.provider.name: missing"),
        ("{provider: {name: x}}", "spec.provider: goes with the action CUSTOM"),
        (
            f"{{{CUSTOM}, rules: [{{from: [{{source: {{namespaces: [a]}}}}]}}]}}",
            "rules[0]: namespaces cannot",
        ),
        (
            f"{{{CUSTOM}, rules: [{{when: [{{key: source.principal, values: [a]}}]}}]}}",
            "source.principal cannot",
        ),
        (
            f"{{{CUSTOM}, rules: [{{when: [{{key: 'request.auth.claims[a]', values: [a]}}]}}]}}",
            "cannot be used",
        ),
        ("{targetRefs: [{kind: Gateway, name: x}]}", "core/Gateway is no target"),
        ("{targetRef: {kind: Service}}", "spec.targetRef.name: missing"),
        ("{targetRef: {kind: Service, name: x, namespace: other}}", "targets of other namespaces"),
        ("{targetRef: {kind: Service, name: x}, selector: {}}", "cannot stand beside selector"),
        ("{rules: [null]}", "spec.rules[0]: Istio refuses null"),
        ("{rules: {}}", "spec.rules: expected a list"),
        ("{rules: ''}", "spec.rules: expected a list"),
        ("{selector: {matchLabels: {app: 'ca*'}}}", "no wildcards"),
        ("{selector: {matchExpressions: []}}", "matchExpressions"),
        ("{rules: [{from: []}]}", "spec.rules[0].from: an empty list"),
        ("{rules: [{from: [{}]}]}", "spec.rules[0].from[0].source: is empty"),
        ("{rules: [{from: [{source: {principals: []}}]}]}", "spec.rules[0].from[0].source: is empty"),
        ("{rules: [{from: [{source: {principals: ['']}}]}]}", "principals[0]: an empty string"),
        ("{rules: [{from: [{source: {user: [x]}}]}]}", "source.user: this field is not known"),
        ("{rules: [{from: [{source: {trustDomains: [a/b]}}]}]}", "has no slash"),
        ("{rules: [{from: [{source: {trustDomains: ['a*b']}}]}]}", "at the beginning or at the end"),
        ("{rules: [{from: [{source: {ipBlocks: [10.0.0.0/255.0.0.0]}}]}]}", "is neither an address"),
        ("{rules: [{from: [{source: {ipBlocks: [10.0.0.0/33]}}]}]}", "is neither an address"),
        ("{rules: [{from: [{source: {ipBlocks: [localhost]}}]}]}", "ipBlocks[0]: 'localhost' is neither"),
        ("{rules: [{from: [{source: {serviceAccounts: ['a/*']}}]}]}", "without wildcards"),
        ("{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}", "cannot stand beside"),
        ("{rules: [{to: [{operation: {}}]}]}", "operation: is empty"),
        ("{rules: [{to: [{operation: {methods: GET}}]}]}", "methods: expected a list"),
        ("{rules: [{to: [{operation: {ports: [8080]}}]}]}", "ports[0]: expected a string"),
        ("{rules: [{to: [{operation: {ports: ['70000']}}]}]}", "is not a port"),
        ("{rules: [{to: [{operation: {paths: ['/a/{id}']}}]}]}", "only {*} and {**} are templates"),
        ("{rules: [{to: [{operation: {paths: ['/a/{*}/*']}}]}]}", "cannot stand beside a template"),
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


@pytest.mark.parametrize("action", ["AUDIT", "CUSTOM, provider: {name: x}"])
def test_only_allow_and_deny_can_be_on_trial(small: SmallMesh, action: str) -> None:
    text = policy(f"{{action: {action}, rules: [{{}}]}}", annotations='{istio.io/dry-run: "true"}')

    assert "Istio refuses it for" in small.refusal(text)


@pytest.mark.parametrize(
    "spec",
    [
        "{selector: {}}",
        "{selector: null}",
        "{rules: []}",
        "{rules: [{from: null}]}",
        "{rules: [{when: []}]}",
        "{rules: [{from: [{source: {principals: [], ipBlocks: [10.0.0.1]}}]}]}",
        "{rules: [{when: [{key: source.ip, values: [], notValues: [10.0.0.1]}]}]}",
    ],
)
def test_what_istio_takes_for_absent_is_absent(small: SmallMesh, spec: str) -> None:
    assert rbac(small.app(policy(spec)))


def test_a_target_of_the_gateway_api_takes_a_policy_away_from_every_other_proxy(small: SmallMesh) -> None:
    gateway = "{group: gateway.networking.k8s.io, kind: Gateway, name: door}"

    assert rbac(small.app(policy(f"{{targetRefs: [{gateway}]}}"))) == []
    assert rbac(small.gateway(policy(f"{{targetRef: {gateway}}}", namespace="edge")), 8443) == []


@pytest.mark.parametrize(
    ("namespace", "labels", "reached"),
    [
        ("shop", {GATEWAY_NAME: "door"}, True),
        ("shop", {GATEWAY_NAME: "other"}, False),
        ("edge", {GATEWAY_NAME: "door"}, False),
        ("shop", {}, False),
    ],
)
def test_a_target_reaches_the_pods_of_its_gateway_in_its_own_namespace(
    namespace: str, labels: dict[str, str], reached: bool
) -> None:
    target = "{group: gateway.networking.k8s.io, kind: Gateway, name: door}"
    (manifest,) = parse_manifests(policy(f"{{targetRefs: [{target}]}}"), "test.yaml")
    found = read_authorization_policy(manifest)

    assert found.attachment.target_refs == (TargetRef("gateway.networking.k8s.io", "Gateway", "door"),)
    assert found.attachment.reaches(namespace, labels, "istio-system") is reached


def test_the_oldest_policy_comes_first_and_one_from_a_file_is_older_than_all() -> None:
    def made(name: str, created: str) -> AuthorizationPolicy:
        text = policy("{}", name=name).replace("namespace:", f"creationTimestamp: {created}, namespace:")
        (manifest,) = parse_manifests(text, "test.yaml")
        return read_authorization_policy(manifest)

    policies = [
        made("a", "2026-02-01T00:00:00Z"),
        made("b", "2026-01-01T00:00:00Z"),
        made("d", "null"),
        made("c", "2026-01-01T00:00:00Z"),
    ]
    order = [one.attachment.name for one in attached(policies, "shop", {}, "istio-system")]
    assert order == ["d", "b", "c", "a"]


def test_an_unreadable_age_is_refused(small: SmallMesh) -> None:
    text = policy("{}").replace("namespace:", "creationTimestamp: yesterday, namespace:")

    assert "metadata.creationTimestamp: 'yesterday' is not a time" in small.refusal(text)


def test_a_rule_that_istiod_cannot_express_allows_nothing_and_denies_more(small: SmallMesh) -> None:
    # The webhook takes the key; istiod finds no header in it.
    unusable = "{when: [{key: 'request.headersX[a]', values: [b]}], to: [{operation: {methods: [GET]}}]}"
    (allow,) = rbac(small.app(policy(f"{{rules: [{unusable}]}}")))
    (deny,) = rbac(small.app(policy(f"{{action: DENY, rules: [{unusable}]}}")))

    assert allow["rules"] == {}
    (rule,) = deny["rules"]["policies"].values()
    assert rule["principals"] == ANYONE
    assert rule["permissions"] != [{"andRules": {"rules": [{"any": True}]}}]


def test_a_custom_policy_without_its_provider_denies_what_it_would_have_asked_about(small: SmallMesh) -> None:
    (config,) = rbac(small.app(policy(f"{{{CUSTOM}, rules: [{{}}]}}")))

    assert config["rules"]["action"] == "DENY"
    assert list(config["rules"]["policies"]) == [
        "istio-ext-authz-x-ns[shop]-policy[p]-rule[0]-deny-due-to-bad-CUSTOM-action"
    ]
