"""Probes of conditions: what Envoy itself says of each rule and condition, and where that stands in the manifests."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.evidence.condition_probes import (
    condition_results,
    has_policies,
    probed_rules,
    seen_key,
    with_condition_probes,
)
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Setup, Sources
from meshlab.bench.verdicts.policy_results import policy_results

from tests.lab.door_and_cart import DOOR_AND_CART
from tests.lab.kube import app, mesh_of, namespace, service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.bench.verdicts.policy_results import PolicyResult

    Found = dict[str, tuple[EvidenceLine, list[PolicyResult]]]

Json = dict[str, Any]
HTTP = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
ANY: Json = {"any": True}
METHOD: Json = {"header": {"name": ":method", "stringMatch": {"exact": "GET"}}}
SECRET: Json = {"header": {"name": "Authorization", "presentMatch": True}}
TIER: Json = {"header": {"name": "X-Tier", "presentMatch": True}}


def rule(*permissions: Json) -> Json:
    return {
        "permissions": [{"andRules": {"rules": list(permissions)}}],
        "principals": [{"andIds": {"ids": [ANY]}}],
    }


def rbac(name: str, *permissions: Json, **more: object) -> Json:
    rules = {"policies": {f"ns[shop]-policy[{name}]-rule[0]": rule(*permissions)}, **more}
    return {"name": "envoy.filters.http.rbac", "typedConfig": {"@type": HTTP, "rules": rules}}


OTHER: Json = {"name": "envoy.filters.http.jwt_authn", "typedConfig": {"@type": "another"}}


def prefixes(filters: list[Json]) -> list[str]:
    return [each["typedConfig"].get("shadowRulesStatPrefix", "") for each in filters]


def test_a_condition_of_several_rules_is_asked_for_once_and_again_behind_another_filter() -> None:
    filters = [rbac("a", METHOD, action="DENY"), rbac("b", METHOD, TIER), OTHER, rbac("c", METHOD)]
    found = with_condition_probes(filters)
    asked = [prefix for prefix in prefixes(found) if prefix]
    assert len(asked) == len(set(asked))
    # In front of the first two: a whole, b whole, the method, the tier. Behind the other filter: c whole, the method.
    assert [prefix.split("_")[2] for prefix in asked] == ["0"] * 4 + ["1"] * 2
    assert [each for each in found if each["name"] != "meshlab.condition"] == filters
    assert with_condition_probes(found) == found


def test_rules_have_the_names_of_their_probes() -> None:
    filters = [rbac("a", METHOD, TIER, action="DENY"), OTHER, rbac("b", ANY)]
    first, second = probed_rules(with_condition_probes(filters))
    assert (first.policy, first.index, first.action, first.enforced, first.stage) == (
        "shop/a",
        0,
        "DENY",
        True,
        0,
    )
    assert (second.policy, second.action, second.stage) == ("shop/b", "ALLOW", 1)
    assert [len(each) for each in (*first.operations, *first.sources)] == [2, 0]
    assert second.operations == second.sources == ((),)
    metadata = {
        f"meshlab_condition_{first.key}_shadow_engine_result": "denied",
        f"meshlab_condition_{first.operations[0][0]}_shadow_engine_result": "allowed",
        f"meshlab_condition_{first.operations[0][0]}_shadow_effective_policy_id": "it",
        "istio_dry_run_allow_shadow_engine_result": "denied",
    }
    assert condition_results(metadata) == {first.key: False, first.operations[0][0]: True}


def test_a_chain_without_policies_has_no_probe() -> None:
    assert with_condition_probes([OTHER]) == [OTHER]
    assert not has_policies([OTHER])
    assert has_policies(with_condition_probes([OTHER, rbac("a", METHOD)]))


def test_headers_that_conditions_name_are_recorded_and_secrets_are_not() -> None:
    recorder, *_ = with_condition_probes([rbac("a", SECRET, TIER)])
    names = [each["header"] for each in recorder["typedConfig"]["requestRules"]]
    assert names == [":method", ":authority", ":path", "x-tier"]


MESH = mesh_of(
    DOOR_AND_CART,
    namespace("bank"),
    app("db", "bank", "{containerPort: 6379}"),
    service("db", "bank", "{name: tcp, port: 6379}"),
    app("web", "shop", account="web"),
    """\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec: {jwtRules: [{issuer: "https://idp.example", jwksUri: "https://idp.example/keys"}]}
""",
    """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules:
    - from:
        - source: {principals: [cluster.local/ns/edge/sa/door]}
        - source: {requestPrincipals: ["https://idp.example/*"], notNamespaces: [bank]}
      to:
        - operation: {methods: [POST], notPaths: [/admin*]}
        - operation: {paths: ["/cart/{*}"], hosts: [cart.shop]}
      when:
        - {key: "request.headers[x-tier]", values: [gold], notValues: [lead]}
        - {key: destination.port, values: ["8080"]}
        - {key: "request.auth.claims[scope]", values: [read]}
    - to: [{operation: {methods: [PUT]}}]
""",
    """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  action: DENY
  rules: [{to: [{operation: {methods: [DELETE]}}]}]
""",
    """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: audit, namespace: shop}
spec: {action: AUDIT, rules: [{to: [{operation: {methods: [GET]}}]}]}
""",
    """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: dry, namespace: shop, annotations: {istio.io/dry-run: "true"}}
spec: {action: DENY, rules: [{from: [{source: {principals: ["*"]}}]}]}
""",
    """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: db, namespace: bank}
spec:
  rules:
    - {from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}], to: [{operation: {ports: ["6379"]}}]}
    - {to: [{operation: {methods: [GET]}}]}
""",
)
CASES = """
defaults: {from: {workload: shop/web}}
cases:
- name: allowed
  token: {claims: {sub: a, scope: read write}}
  request: {url: "http://cart.shop/cart/1", headers: {x-tier: gold}}
  expect: 200
- name: not allowed
  token: {claims: {sub: a, scope: write}}
  request: {method: POST, url: "http://cart.shop/admin/1", headers: {x-tier: [gold, lead]}}
  expect: 403
- {name: denied, request: DELETE http://cart.shop/, expect: 403}
- {name: a bad token, token: {flaw: expired}, request: PUT http://cart.shop/, expect: 401}
- {name: a connection, request: {tcp: "db.bank:6379"}, expect: answered}
- {name: another, from: {workload: shop/cart}, request: {tcp: "db.bank:6379"}, expect: refused}
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """Each case's last line, and what Envoy said of the policies there."""
    file: Path = tmp_path_factory.mktemp("mesh") / "mesh.yaml"
    file.write_text(MESH)
    with closing(LocalBench(condition_probes=True)) as bench:
        loaded = bench.load(Sources((str(file),)))
        cases = parse_case_file(CASES, "cases.yaml").cases
        with bench.running(loaded, Setup(), cases, 0) as engine:
            results = {}
            for outcome in engine.run(cases):
                assert outcome.state == "passed", outcome
                assert outcome.verdict is not None
                last = outcome.verdict.hops[-1]
                bootstrap = engine.under_test.bootstraps[last.workload]
                results[outcome.case.name] = last.line, policy_results(last, engine.mesh, bootstrap)
        yield results


def verdicts(results: list[PolicyResult]) -> dict[str, list[bool | None]]:
    return {each.name: [rule.matched for rule in each.rules] for each in results}


def conditions(results: list[PolicyResult], name: str, rule: int = 0) -> dict[str, bool | None]:
    (policy,) = [each for each in results if each.name == name]
    return {
        str(each.where.manifest.problem(each.where.keys, "").path).removeprefix(
            f"spec.rules[{rule}]."
        ): each.holds
        for each in policy.rules[rule].conditions
    }


def test_each_rule_and_condition_of_an_allowed_request_is_known(found: Found) -> None:
    _, results = found["allowed"]
    assert [each.name for each in results] == ["shop/audit", "shop/deny", "shop/dry", "shop/allow"]
    assert verdicts(results) == {
        "shop/audit": [True],
        "shop/deny": [False],
        "shop/dry": [True],
        "shop/allow": [True, False],
    }
    assert conditions(results, "shop/allow") == {
        "to[0].operation.methods": False,
        "to[0].operation.notPaths": True,
        "when[1].values": True,
        "to[1].operation.hosts": True,
        "to[1].operation.paths": True,
        "from[0].source.principals": False,
        "when[0].values": True,
        "when[0].notValues": True,
        "when[2].values": True,
        "from[1].source.requestPrincipals": True,
        "from[1].source.notNamespaces": True,
    }


def test_each_condition_that_fails_is_known(found: Found) -> None:
    _, results = found["not allowed"]
    assert verdicts(results)["shop/allow"] == [False, False]
    failing = [name for name, holds in conditions(results, "shop/allow").items() if holds is False]
    assert failing == [
        "to[0].operation.notPaths",
        "to[1].operation.paths",
        "from[0].source.principals",
        # Envoy looks at each value of a header that was sent twice.
        "when[0].notValues",
        "when[2].values",
    ]


def test_what_an_allow_rule_says_of_a_denied_request_is_known_too(found: Found) -> None:
    _, results = found["denied"]
    assert verdicts(results) == {
        "shop/audit": [False],
        "shop/deny": [True],
        "shop/dry": [True],
        "shop/allow": [False, False],
    }


def test_a_request_that_ends_before_the_policies_has_no_result(found: Found) -> None:
    _, results = found["a bad token"]
    assert {matched for each in verdicts(results).values() for matched in each} == {None}
    assert {each for name in ("shop/deny", "shop/allow") for each in conditions(results, name).values()} == {
        None
    }


def test_connections_have_results_too_and_rules_on_http_are_dropped(found: Found) -> None:
    _, results = found["a connection"]
    assert verdicts(results) == {"bank/db": [True, False]}
    assert not results[0].rules[1].written
    assert conditions(results, "bank/db") == {
        "to[0].operation.ports": True,
        "from[0].source.principals": True,
    }
    _, results = found["another"]
    assert verdicts(results) == {"bank/db": [False, False]}
    assert conditions(results, "bank/db") == {
        "to[0].operation.ports": True,
        "from[0].source.principals": False,
    }


def test_the_line_says_what_the_policies_saw(found: Found) -> None:
    line, _ = found["not allowed"]
    seen = {name: line.seen_headers.get(seen_key(0, name)) for name in (":method", ":path", "x-tier")}
    assert seen == {":method": "POST", ":path": "/admin/1", "x-tier": "gold,lead"}
    assert (line.claims["iss"], line.claims["sub"]) == ("https://idp.example", "a")
    assert line.tls_version == "TLSv1.3"
    assert line.peer == "spiffe://cluster.local/ns/shop/sa/web"
    assert "gold" not in repr(line)


def test_a_whole_rule_is_what_its_conditions_make_of_it(found: Found) -> None:
    """The results of rules and of conditions are asked for one by one, and have to fit together."""
    for _, results in found.values():
        for rule in (rule for each in results for rule in each.rules if rule.matched is not None):
            sides = [
                any(all(condition.holds for condition in part.conditions) for part in side)
                for side in (rule.operations, rule.sources)
            ]
            assert all(sides) is rule.matched
