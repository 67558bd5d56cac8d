"""The questions of a comparison: those of the battery and of case files, by what they need around them."""

from __future__ import annotations

import pytest
from meshlab.battery.battery import Battery
from meshlab.bench.case import TokenSpec
from meshlab.bench.case_file import CaseFileError, parse_case_file
from meshlab.bench.protocol import MeshNames, Setup
from meshlab.diff.questions import check_names, groups_of, question_of
from meshlab.diff.shared_setup import pinned, shared_setup
from meshlab.istio import load_mesh
from meshlab.manifest import parse_manifests

CASES = """\
cases:
  - {name: one, from: {workload: shop/cart}, request: 'GET http://orders.orders/', expect: 200 orders/orders}
  - {name: two, from: {bypass: none, to: shop/cart, mode: plaintext}, request: 'GET http://cart/', expect: refused}
"""
WITH_APP = CASES.replace("cases:", "apps: {shop/cart: {status: 418, body: tea}}\ncases:")
TOKENS = """\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: tokens, namespace: shop}}
spec: {{jwtRules: [{{issuer: {issuer}, jwksUri: "https://idp.example/keys", audiences: [{audience}]}}]}}
"""


def names(*texts: str, battery: Battery | None = None) -> list[list[str]]:
    files = [parse_case_file(text, f"{number}.yaml") for number, text in enumerate(texts)]
    groups = groups_of(battery or Battery(), files)
    return [[question.case.name for question in group.questions] for group in groups]


def test_files_that_need_the_same_share_a_run_and_others_run_apart() -> None:
    other = (
        CASES.replace("GET", "POST").replace("name: one", "name: three").replace("name: two", "name: four")
    )
    assert names(CASES, other, WITH_APP) == [["one", "two", "three", "four"], ["one", "two"]]


def test_a_request_is_sent_once_whatever_it_is_called() -> None:
    assert names(CASES, CASES.replace("name: one", "name: again")) == [["one", "two"]]


def test_other_requests_of_one_name_get_names_of_their_own() -> None:
    ((first, second, *others),) = names(CASES, CASES.replace("GET", "POST"))
    assert (first, second) == ("one", "two")
    assert others == ["one (1.yaml:2)", "two (1.yaml:3)"]


def test_the_battery_comes_first_and_shares_a_run_with_cases_that_need_the_same() -> None:
    asked = tuple(map(question_of, parse_case_file(CASES, "battery").cases))
    battery = Battery(asked[:1], Setup())
    assert names(CASES, battery=battery) == [["one", "two"]]
    apart = Battery(asked[:1], Setup(authorities=("stranger",)))
    assert names(CASES, battery=apart) == [["one"], ["one", "two"]]


def test_a_question_has_no_expectation_and_says_who_asks_what_of_whom() -> None:
    one, two = map(question_of, parse_case_file(CASES, "cases.yaml").cases)
    assert (one.case.expect, one.caller, one.target, one.request_class) == (
        None,
        "shop/cart",
        "orders.orders",
        "GET http://orders.orders/",
    )
    assert (two.caller, two.target) == ("a stranger past its sidecar, plaintext", "shop/cart")


def test_a_name_has_to_be_in_one_of_the_two_meshes() -> None:
    file = parse_case_file(CASES, "cases.yaml")
    cart, orders = MeshNames(frozenset({"shop/cart"})), MeshNames(frozenset({"orders/orders"}))
    check_names([file], cart, orders)
    with pytest.raises(CaseFileError, match="no workload shop/cart"):
        check_names([file], orders, orders)


def pin(token: TokenSpec, *meshes: tuple[str, str]) -> TokenSpec:
    """What a token is to meshes, each with one issuer and its audience."""
    text = CASES.replace("cases:", "tokens: {t: {literal: x}}\ndefaults: {token: t}\ncases:")
    question = question_of(parse_case_file(text, "cases.yaml").cases[0])
    case = question.case.__class__(**{**question.case.__dict__, "tokens": (token,)})
    loaded = [
        load_mesh(parse_manifests(TOKENS.format(issuer=issuer, audience=audience), "mesh.yaml"))
        for issuer, audience in meshes
    ]
    (found,) = pinned([question.__class__(case, "", "", "")], loaded)
    return found.case.tokens[0]


def test_a_token_is_the_same_for_both_meshes_and_keeps_the_audience_of_the_old_one() -> None:
    found = pin(TokenSpec(), ("a.example", "before"), ("a.example", "now"))
    assert (found.issuer, found.claims["aud"]) == ("a.example", "before")


def test_an_issuer_that_only_the_new_mesh_knows_has_its_audience() -> None:
    found = pin(TokenSpec("b.example"), ("a.example", "before"), ("b.example", "now"))
    assert found.claims["aud"] == "now"


def test_what_a_case_writes_into_a_token_stays() -> None:
    assert pin(TokenSpec("a.example", {"aud": "mine"}), ("a.example", "before")).claims == {"aud": "mine"}
    assert pin(TokenSpec("a.example", {"aud": None}), ("a.example", "before")).claims == {"aud": None}
    assert pin(TokenSpec(literal="x"), ("a.example", "before")) == TokenSpec(literal="x")


def test_a_token_without_an_issuer_has_the_only_one_of_the_old_mesh() -> None:
    assert pin(TokenSpec(), ("a.example", "before"), ("b.example", "now")).issuer == "a.example"
    assert pin(TokenSpec()).issuer is None


def test_both_meshes_get_the_authorities_of_both() -> None:
    gateway = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: public, namespace: edge}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: 443, name: https, protocol: HTTPS}}
      tls: {{mode: MUTUAL, credentialName: {name}}}
      hosts: [shop.example]
"""
    meshes = [load_mesh(parse_manifests(gateway.format(name=name), "mesh.yaml")) for name in ("one", "two")]
    assert shared_setup(Setup(authorities=("mine",)), meshes).authorities == ("mine", "one", "two")


def test_the_claims_of_a_token_are_shown_as_they_are_written() -> None:
    text = CASES.replace(
        "cases:", "tokens: {t: {claims: {sub: a, aud: [x, two], non: null, f: {ok: true}}}}\ncases:"
    )
    text = text.replace("cases:", "defaults: {token: t}\ncases:")
    caller = question_of(parse_case_file(text, "cases.yaml").cases[0]).caller
    assert caller.endswith('token (sub a, aud ["x", "two"], non null, f {"ok": true})')
