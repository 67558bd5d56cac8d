"""RequestAuthentication: what a proxy verifies, and what it lets pass."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.istio.envoy.jwt_authn import jwt_filter
from meshlab.istio.envoy.unheld_key import UNHELD_JWKS
from meshlab.istio.read.fields import Where
from meshlab.istio.read.jwks import check_jwks
from meshlab.manifest import parse_manifests

from tests import yaml_text

if TYPE_CHECKING:
    from meshlab.istio.read.request_authentication import RequestAuthentication

    from tests.lab.istio.conftest import Compiled, SmallMesh

POLICY = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {app}}}}}
  jwtRules: [{{issuer: {issuer}, jwks: '{jwks}'{more}}}]
"""


def policy(
    small: SmallMesh,
    *,
    app: str = "cart",
    namespace: str = "shop",
    issuer: str = "me",
    name: str = "p",
    more: str = "",
) -> str:
    return POLICY.format(
        name=name,
        namespace=namespace,
        app=app,
        issuer=issuer,
        jwks=small.jwks,
        more=f", {more}" if more else "",
    )


def jwt(compiled: Compiled, port: int) -> dict[str, Any]:
    config: dict[str, Any] = compiled.filters(port)[0]["typedConfig"]
    assert config["@type"].endswith("JwtAuthentication")
    return config


def provider(small: SmallMesh, more: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt(small.app(policy(small, more=more)), 8080)["providers"]["origins-0"]
    return found


def test_a_token_is_verified_with_the_inline_keys_of_its_issuer(small: SmallMesh) -> None:
    found = provider(small, "")

    assert found["issuer"] == "me"
    assert json.loads(found["localJwks"]["inlineString"]) == json.loads(small.jwks)


def test_a_request_without_a_token_passes_this_filter(small: SmallMesh) -> None:
    (rule,) = jwt(small.app(policy(small)), 8080)["rules"]

    assert rule["match"] == {"prefix": "/"}
    assert rule["requires"] == {
        "requiresAny": {"requirements": [{"providerName": "origins-0"}, {"allowMissing": {}}]}
    }


def test_with_several_rules_any_may_accept_else_none_may_find_a_token(small: SmallMesh) -> None:
    compiled = small.app(
        policy(small, name="b", issuer="a-issuer"), policy(small, name="a", issuer="b-issuer")
    )
    config = jwt(compiled, 8080)

    # Sorted by issuer, whatever the policies are called.
    assert [config["providers"][name]["issuer"] for name in ("origins-0", "origins-1")] == [
        "a-issuer",
        "b-issuer",
    ]
    first, second, neither = config["rules"][0]["requires"]["requiresAny"]["requirements"]
    assert (first, second) == ({"providerName": "origins-0"}, {"providerName": "origins-1"})
    assert [entry["requiresAny"]["requirements"][1] for entry in neither["requiresAll"]["requirements"]] == [
        {"allowMissing": {}},
        {"allowMissing": {}},
    ]


def test_claims_are_left_where_policies_look_for_them_with_scopes_split(small: SmallMesh) -> None:
    found = provider(small, "")

    assert found["payloadInMetadata"] == "payload"
    assert found["normalizePayloadInMetadata"] == {"spaceDelimitedClaims": ["permission", "scope"]}


def test_further_claims_are_split_beside_those_that_always_are(small: SmallMesh) -> None:
    found = provider(small, "spaceDelimitedClaims: [zones, groups, scope]")

    assert found["normalizePayloadInMetadata"] == {
        "spaceDelimitedClaims": ["groups", "permission", "scope", "zones"]
    }


def rules_of(small: SmallMesh, *texts: str) -> list[RequestAuthentication]:
    mesh = small.mesh(*texts)
    return mesh.attached_to(mesh.workload(small.app_ref), mesh.request_authentications)


def keys_of(filter_: dict[str, Any] | None) -> list[str]:
    assert filter_ is not None
    providers = filter_["typedConfig"]["providers"].values()
    return [provider["localJwks"]["inlineString"] for provider in providers]


@pytest.mark.parametrize(
    "rule",
    [
        "{issuer: me, jwksUri: 'https://keys.example/jwks', timeout: 2s}",
        "{issuer: me, jwks_uri: 'http://keys.example/jwks'}",
        "{issuer: me}",
        "{issuer: me, jwks: ''}",
    ],
)
def test_keys_behind_an_address_verify_nothing_until_the_run_gives_some(small: SmallMesh, rule: str) -> None:
    policies = rules_of(small, small.changed(policy(small), "spec.jwtRules", [yaml_text.read(rule)]))

    assert keys_of(jwt_filter(policies, clear_route_cache=False)) == [UNHELD_JWKS]
    assert keys_of(jwt_filter(policies, clear_route_cache=False, keys={"me": "run", "you": "x"})) == ["run"]


def test_keys_of_a_run_replace_those_of_their_issuer_and_no_others(small: SmallMesh) -> None:
    policies = rules_of(small, policy(small), policy(small, name="q", issuer="you"))

    made = keys_of(jwt_filter(policies, clear_route_cache=False, keys={"you": "run"}))
    assert [json.loads(keys) if keys != "run" else keys for keys in made] == [json.loads(small.jwks), "run"]


def test_the_key_that_verifies_nothing_is_one_that_envoy_takes(small: SmallMesh) -> None:
    assert check_jwks(UNHELD_JWKS, Where(parse_manifests(policy(small), "x")[0]))


def test_rules_of_one_issuer_stand_side_by_side_with_the_workloads_own_namespace_first(
    small: SmallMesh,
) -> None:
    rule = {"issuer": "me", "jwks": small.jwks}
    root = small.changed(policy(small, namespace="istio-system", name="a"), "spec", {"jwtRules": [rule]})
    own = small.changed(policy(small, name="b"), "spec.jwtRules", [{**rule, "audiences": ["own"]}])
    config = jwt(small.app(root, own), 8080)

    assert [found.get("audiences") for found in config["providers"].values()] == [["own"], None]


def test_a_rule_may_leave_the_issuer_open_where_it_says_where_the_keys_are(small: SmallMesh) -> None:
    text = small.changed(policy(small), "spec.jwtRules", [{"jwksUri": "https://keys.example"}])

    assert "issuer" not in jwt(small.app(text), 8080)["providers"]["origins-0"]


def test_a_policy_for_a_gateway_of_the_gateway_api_reaches_no_sidecar(small: SmallMesh) -> None:
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "cart"}
    text = small.changed(
        policy(small), "spec", {"targetRefs": [target], "jwtRules": [{"issuer": "me", "jwks": small.jwks}]}
    )

    assert "envoy.filters.http.jwt_authn" not in [entry["name"] for entry in small.app(text).filters(8080)]


def test_an_empty_list_is_absent(small: SmallMesh) -> None:
    lists = ("audiences", "fromHeaders", "fromParams", "fromCookies", "outputClaimToHeaders")
    more = ", ".join(["presence: OPTIONAL", *(f"{name}: []" for name in lists)])

    assert provider(small, more) == provider(small, "")


def test_nothing_is_set_that_istiod_leaves_to_envoy(small: SmallMesh) -> None:
    # The default skew of 60 s, no demand for exp, Bearer header and access_token parameter as default places.
    assert set(provider(small, "")) == {
        "issuer",
        "localJwks",
        "payloadInMetadata",
        "normalizePayloadInMetadata",
    }


@pytest.mark.parametrize(
    ("written", "envoy"),
    [
        ("audiences: [one, two]", {"audiences": ["one", "two"]}),
        ("forwardOriginalToken: true", {"forward": True}),
        ("outputPayloadToHeader: x-payload", {"forwardPayloadHeader": "x-payload"}),
        (
            "fromHeaders: [{name: x-token, prefix: 'Token '}, {name: x-raw}]",
            {"fromHeaders": [{"name": "x-token", "valuePrefix": "Token "}, {"name": "x-raw"}]},
        ),
        ("fromParams: [token]", {"fromParams": ["token"]}),
        ("fromCookies: [session]", {"fromCookies": ["session"]}),
        (
            "outputClaimToHeaders: [{header: x-sub, claim: sub}]",
            {"claimToHeaders": [{"headerName": "x-sub", "claimName": "sub"}]},
        ),
    ],
)
def test_a_rules_setting_reaches_the_provider(small: SmallMesh, written: str, envoy: dict[str, Any]) -> None:
    assert provider(small, written).items() >= envoy.items()


def test_routes_of_a_gateway_are_chosen_again_after_verification(small: SmallMesh) -> None:
    at_gateway = jwt(small.gateway(policy(small, app="door", namespace="edge")), 8443)

    assert at_gateway["providers"]["origins-0"]["clearRouteCache"] is True
    assert "clearRouteCache" not in provider(small, "")


def jwt_names(compiled: Compiled) -> list[str]:
    return [entry["name"] for entry in compiled.filters(8080) if "jwt" in entry["name"]]


def test_the_root_namespace_reaches_every_proxy_and_another_namespace_none(small: SmallMesh) -> None:
    everywhere = small.changed(policy(small), "metadata.namespace", "istio-system")
    everywhere = small.changed(everywhere, "spec", {"jwtRules": [{"issuer": "me", "jwks": small.jwks}]})
    beside = small.changed(everywhere, "metadata.namespace", "edge")

    assert jwt(small.app(everywhere), 8080)
    assert jwt(small.gateway(everywhere), 8443)
    assert jwt_names(small.app(beside)) == []


@pytest.mark.parametrize(
    ("jwks", "says"),
    [
        ("not json", "not JSON"),
        ('{"keys": []} # comment', "not JSON"),
        ("{}", "holds no keys"),
        ('{"keys": []}', "holds no keys"),
        ('{"keys": ["x"]}', "keys[0]: is not a JSON object"),
        ('{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', "private members (k)"),
        (
            '{"keys": [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": "S3CR3T"}]}',
            "private members (d)",
        ),
        (
            '{"keys": [{"kty": "EC", "crv": "P-256", "x": "aaaa", "y": "bbbb"}]}',
            "incomplete, malformed or too short",
        ),
        ('{"keys": [{"kty": "EC", "crv": "secp256k1", "x": "aaaa", "y": "bbbb"}]}', "crv: is none of P-256"),
        ('{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}', "incomplete, malformed or too short"),
        ('{"keys": [{"kty": "OKP", "crv": "X25519", "x": "aaaa"}]}', "incomplete, malformed or too short"),
        ('{"keys": [{"kty": "??"}]}', "kty: is none of"),
    ],
)
def test_keys_that_envoy_could_not_use_and_private_keys_are_refused(
    small: SmallMesh, jwks: str, says: str
) -> None:
    message = small.refusal(small.changed(policy(small), "spec.jwtRules.0.jwks", jwks))

    assert says in message
    assert "spec.jwtRules[0].jwks" in message
    assert "S3CR3T" not in message


def test_two_keys_with_one_id_are_refused(small: SmallMesh) -> None:
    (key,) = json.loads(small.jwks)["keys"]
    twice = json.dumps({"keys": [key, key]})

    assert "same kid" in small.refusal(small.changed(policy(small), "spec.jwtRules.0.jwks", twice))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("jwksUri: 'ftp://keys.example'", "jwksUri: 'ftp://keys.example' is not an http"),
        ("jwksUri: 'http://a', jwks_uri: 'http://a'", "another spelling"),
        ("timeout: soon", "timeout: 'soon'"),
        ("presence: REQUIRED", "presence: istiod does not act on it yet"),
        ("outputClaimToHeaders: [{header: 'x y', claim: sub}]", "is not the name of a header"),
        ("audiences: ['']", "audiences[0]"),
        ("forwardOriginalToken: 'true'", "expected true or false"),
        ("unknown: 1", "this field is not known"),
    ],
)
def test_a_setting_that_the_lab_cannot_honour_is_refused(small: SmallMesh, more: str, says: str) -> None:
    assert says in small.refusal(policy(small, more=more))


def test_a_rule_without_issuer_and_address_is_refused(small: SmallMesh) -> None:
    assert "jwtRules[0].issuer: missing" in small.refusal(policy(small, issuer="''"))
