"""DENY rules that leave out callers with a token, a header or an identity: what the caller could send is proposed."""

from __future__ import annotations

from contextlib import closing

import pytest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.explain.run import explain_cases

from tests.lab.door_and_cart import DOOR_AND_CART

MESH = (
    DOOR_AND_CART
    + """---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec: {jwtRules: [{issuer: "https://idp.example", jwksUri: "https://idp.example/keys"}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: left-out, namespace: shop}
spec:
  action: DENY
  rules:
  - from: [{source: {notRequestPrincipals: ["https://idp.example/alice"]}}]
    to: [{operation: {paths: [/principal]}}]
  - when: [{key: "request.auth.claims[role]", notValues: [admin, owner]}]
    to: [{operation: {paths: [/claim]}}]
  - when: [{key: "request.auth.audiences", notValues: [shop]}]
    to: [{operation: {paths: [/audience]}}]
  - when: [{key: "request.headers[x-tier]", notValues: ["gold*"]}]
    to: [{operation: {paths: [/header]}}]
  - when:
    - {key: "request.headers[x-tier]", notValues: [gold]}
    - {key: "request.auth.claims[role]", notValues: [admin]}
    to: [{operation: {paths: [/either]}}]
"""
)
CASES = "defaults: {from: {bypass: none, to: shop/cart, port: 8080}}\ncases:\n" + "".join(
    f"- {{name: {name}, request: GET http://cart.shop/{name}, expect: 403}}\n"
    for name in ("principal", "claim", "audience", "header", "either")
)
TOKEN = "the caller sends a valid token of https://idp.example with"


@pytest.fixture(scope="module")
def proposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    manifests = tmp_path_factory.mktemp("mesh") / "mesh.yaml"
    manifests.write_text(MESH)
    files = [parse_case_file(CASES, "cases.yaml")]
    with closing(LocalBench(condition_probes=True)) as bench:
        loaded = bench.load(Sources((str(manifests),)))
        found = list(explain_cases(bench, loaded, files, files[0].cases, with_widening=False))
    return {each.name: [part.text for part in each.changes[0].parts] for each in found}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("principal", f"{TOKEN} sub alice"),
        ("claim", f"{TOKEN} role admin"),
        ("audience", f"{TOKEN} aud shop"),
        ("header", "the caller sends the header x-tier: goldsomeone"),
        # One of the two values is enough.
        ("either", f"{TOKEN} role admin"),
    ],
)
def test_the_first_change_is_what_the_rule_leaves_out(
    proposed: dict[str, list[str]], name: str, words: str
) -> None:
    assert proposed[name] == [words]
