"""Mutants on running Envoys: caught, survived with the case that is missing, equivalent, refused."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_file import CaseFileError, parse_case_file
from meshlab.mutate.changed_objects import Objects
from meshlab.mutate.group import Group
from meshlab.mutate.run import CasesFailError, MutationRun, check_names, mutation_run

from tests.lab.kube import app, mesh_of, namespace, service
from tests.lab.mutate.shop import CASES, cases, mutant, shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.bench.case import CaseFile
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.mutate.results import Result


@pytest.fixture(scope="module")
def run() -> Iterator[MutationRun]:
    with mutation_run(shop(), cases(), find=True) as started:
        yield started


def result(run: MutationRun, kind: str, path: str, change: str) -> Result:
    (found,) = run.run([mutant(run, kind, path, change)])
    return found


OPERATION = "spec.rules.0.to.0.operation"


def test_a_condition_that_a_case_asks_for_is_caught_by_it(run: MutationRun) -> None:
    found = result(run, "AuthorizationPolicy", f"{OPERATION}.paths", "any value")
    assert (found.state, found.caught_by) == ("caught", "closed")


def test_what_only_breaks_is_caught_by_a_case_that_is_let_in(run: MutationRun) -> None:
    found = result(run, "AuthorizationPolicy", "spec.rules.0", "removed")
    assert (found.state, found.caught_by) == ("caught", "open")


def test_mutual_tls_that_a_case_asks_for_is_caught(run: MutationRun) -> None:
    found = result(run, "PeerAuthentication", "spec.mtls.mode", "DISABLE")
    assert found.state == "caught"


def test_a_survivor_has_a_case_that_the_reader_takes_that_passes_today_and_fails_on_the_mutant(
    run: MutationRun,
) -> None:
    found = result(run, "AuthorizationPolicy", f"{OPERATION}.methods", "PUT added")
    assert (found.state, found.effect) == ("survived", "now allowed")
    assert found.missing is not None
    assert "request: PUT http://" in found.missing.text
    assert found.missing.needs == ""
    assert "expect: 403 shop/cart" in found.missing.text
    pasted = f"{found.missing.needs}{CASES}{found.missing.text}"
    (added,) = parse_case_file(pasted, "cases.yaml").cases[3:]
    with mutation_run(run.objects, [parse_case_file(pasted, "cases.yaml")]) as again:
        (caught,) = again.run([found.mutant])
    assert (caught.state, caught.caught_by) == ("caught", added.name)


def test_a_mutant_under_which_every_request_ends_as_before_is_equivalent(run: MutationRun) -> None:
    # The rule takes /open alone, which is not /secret.
    found = result(run, "AuthorizationPolicy", f"{OPERATION}.notPaths", "removed")
    assert (found.state, found.missing) == ("equivalent", None)
    assert re.fullmatch(r"[1-9]\d* requests that can meet it, sent to both meshes, ended alike", found.reason)


def test_a_header_that_may_have_any_value_shows_with_another_one_and_not_only_without_it() -> None:
    objects = shop()
    match = [{"headers": {"x-canary": {"exact": "yes"}}}]
    manifests = tuple(
        replace(
            one,
            body={
                **one.body,
                "spec": {**one.body["spec"], "http": [{**one.body["spec"]["http"][0], "match": match}]},
            },
        )
        if one.kind == "VirtualService"
        else one
        for one in objects.manifests
    )
    asked = """
cases:
  - name: canary
    from: {outside: edge/door}
    request: {url: "http://shop.example/open", headers: {x-canary: "yes"}}
    expect: 200 shop/cart
"""
    with mutation_run(Objects(manifests), cases(asked), find=True) as run:
        found = result(run, "VirtualService", "spec.http.0.match.0.headers.x-canary", "any value")
    assert (found.state, found.effect) == ("survived", "now allowed")
    assert found.missing is not None
    assert "x-canary" in found.missing.text


def test_a_mutant_is_no_equivalent_where_requests_that_can_meet_it_were_not_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_the_file = {case.name for case in cases()[0].cases}
    send = Group.send

    def not_judged(outcome: Outcome) -> Outcome:
        if outcome.case.name in of_the_file:
            return outcome
        return replace(outcome, state="not judged", reasons=("nothing says which address it comes from",))

    monkeypatch.setattr(
        Group, "send", lambda *words: ([not_judged(each) for each in part] for part in send(*words))
    )
    with mutation_run(shop(), cases(), find=True) as run:
        found = result(run, "AuthorizationPolicy", f"{OPERATION}.notPaths", "removed")
    assert (found.state, found.missing) == ("not judged", None)
    assert re.fullmatch(r"[1-9]\d* requests that can meet it were not judged", found.reason)


ADDRESSES = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: office, namespace: NAMESPACE}
spec:
  action: DENY
  rules:
  - from: [{source: {notIpBlocks: [203.0.113.0/24]}}]
    to: [{operation: {paths: [/open]}}]
"""
FROM_THE_OFFICE = """
cases:
  - name: open
    from: {outside: edge/door, address: 203.0.113.7}
    request: GET http://shop.example:8080/open
    expect: EXPECT
"""
WIDER = (
    "AuthorizationPolicy",
    "spec.rules.0.from.0.source.notIpBlocks.0",
    "203.0.113.0/24 becomes 203.0.112.0/23",
)


def test_a_range_that_no_stated_address_tells_from_another_one_is_asked_with_an_address_in_between() -> None:
    with mutation_run(
        shop(ADDRESSES.replace("NAMESPACE", "edge")), of_the_office("200 shop/cart"), find=True
    ) as run:
        found = result(run, *WIDER)
    assert (found.state, found.effect) == ("survived", "now allowed")
    assert found.missing is not None
    assert "address: 203.0.112." in found.missing.text


def test_a_range_at_a_sidecar_is_asked_by_clients_past_it_that_state_their_address() -> None:
    # The gateway's pod has no stated address, so what the policy makes of its requests is not known.
    objects = shop(ADDRESSES.replace("NAMESPACE", "shop"))
    with mutation_run(objects, of_the_office("404 edge/door", "http://x.example:8080/"), find=True) as run:
        found = result(run, *WIDER)
    assert (found.state, found.effect) == ("survived", "now allowed")
    assert found.missing is not None
    assert "to: shop/cart" in found.missing.text
    assert "address: 203.0.112." in found.missing.text


def of_the_office(expect: str, url: str = "http://shop.example:8080/open") -> list[CaseFile]:
    text = FROM_THE_OFFICE.replace("EXPECT", expect).replace("http://shop.example:8080/open", url)
    return cases(text)


def test_a_gateway_that_is_assumed_for_a_selector_is_gone_without_it_and_a_case_notices() -> None:
    assumed = [
        replace(one, body={**one.body, "spec": {**one.body["spec"], "selector": {"istio": "ingressgateway"}}})
        if one.kind == "Gateway"
        else one
        for one in shop().manifests
    ]
    text = """
cases:
  - name: open
    from: {outside: istio-system/istio-ingressgateway}
    request: GET http://shop.example:8080/open
    expect: 403 shop/cart
"""
    with mutation_run(Objects(tuple(assumed)), cases(text)) as run:
        found = result(run, "Gateway", "spec.selector.istio", "selects nothing")
    assert (found.state, found.caught_by) == ("caught", "open")


TWO_AUDIENCES = """---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  jwtRules:
  - {issuer: "https://idp.example", jwksUri: "https://idp.example/keys", audiences: [shop, till]}
  - {issuer: "https://other.example", jwksUri: "https://other.example/keys", audiences: [till]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: staff, namespace: shop}
spec:
  rules:
  - from: [{source: {requestPrincipals: ["https://idp.example/alice"]}}]
    when: [{key: "request.auth.audiences", values: [shop]}]
"""


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("spec.rules.0.when.0.values.0", "shop becomes shop*"),
        ("spec.rules.0.when.0.values.0", "shop becomes *shop"),
        ("spec.rules.0.from.0.source.requestPrincipals.0", "https://idp.example/alice becomes */alice"),
    ],
)
def test_a_token_for_two_audiences_shows_what_a_rule_takes_for_one_and_a_policy_for_the_other(
    path: str, change: str
) -> None:
    with mutation_run(shop(TWO_AUDIENCES), cases(), find=True) as run:
        found = result(run, "AuthorizationPolicy", path, change)
        assert (found.state, found.effect) == ("survived", "now allowed")
        assert found.missing is not None
        assert found.missing.text.count("aud: [") == 1


def test_a_server_for_a_host_of_a_wildcard_is_known_on_every_mutant() -> None:
    wildcard = """---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partners, namespace: shop}
spec: {hosts: ["*.partner.example"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}
"""
    text = f"apps: {{a.partner.example: {{status: 418}}}}\n{CASES}"
    with mutation_run(shop(wildcard), cases(text)) as run:
        found = result(run, "AuthorizationPolicy", f"{OPERATION}.notPaths", "removed")
    assert (found.state, found.reason) == ("survived", "")


def test_a_mutant_that_changes_no_proxy_sends_nothing() -> None:
    nothing_selected = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nowhere, namespace: empty}
spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}
"""
    with mutation_run(shop(nothing_selected), cases()) as run:
        mutants = [one for one in run.objects.mutants() if one.name == "nowhere"]
        assert {found.state for found in run.run(mutants)} == {"same configuration"}


def test_another_workload_of_the_same_service_answers_by_chance_and_shows_no_mutant() -> None:
    from meshlab.mutate.edits import Change, Edit
    from meshlab.mutate.mutants import Mutant

    twin = f"---\n{app('twin', 'shop', '{name: web, containerPort: 8080}', account='cart')}".replace(
        "app: twin", "app: cart"
    )
    asked = [
        parse_case_file(CASES.replace("200 shop/cart", "200").replace("403 shop/cart", "403"), "cases.yaml")
    ]
    with mutation_run(shop(twin), asked, find=True) as run:
        (route,) = (one for one in run.objects.manifests if one.kind == "VirtualService")
        slower = Edit(("spec", "http", 0, "timeout"), "77s")
        (found,) = run.run([Mutant(route, Change(slower.path, "set", (slower,), weakens=True))])
    assert found.state == "equivalent"
    assert found.reason.endswith("ended alike")


def test_a_match_of_a_route_by_weight_that_is_wider_shows_though_one_answer_may_be_as_before() -> None:
    route = """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: by-weight, namespace: stock}
spec:
  hosts: [blue]
  http:
    - match: [{uri: {exact: /open}}]
      route: [{destination: {host: blue}, weight: 80}, {destination: {host: green}, weight: 20}]
    - route: [{destination: {host: blue}}]
"""
    parts = [
        namespace("stock"),
        *(each for name in ("blue", "green") for each in (app(name, "stock"), service(name, "stock"))),
    ]
    with mutation_run(shop(f"---\n{mesh_of(*parts)}{route}"), cases(), find=True) as run:
        (wider,) = (
            one
            for one in run.objects.mutants()
            if one.name == "by-weight" and one.change == "/open becomes a prefix"
        )
        (found,) = run.run([wider])
    assert (found.state, found.effect) == ("survived", "answered by another workload")


def test_what_istio_refuses_is_not_judged(run: MutationRun) -> None:
    # A DENY policy without a rule is no object that a cluster takes.
    from meshlab.mutate.edits import Change, Edit
    from meshlab.mutate.mutants import Mutant

    policy = mutant(run, "AuthorizationPolicy", "spec.rules.0", "removed").manifest
    edits = (Edit(("spec", "rules"), []), Edit(("spec", "action"), "DENY"))
    (found,) = run.run([Mutant(policy, Change(("spec", "rules"), "emptied", edits, weakens=True))])
    assert found.state == "not judged"
    assert "Istio refuses DENY without rules" in found.reason


def test_nothing_that_a_mutant_did_is_left(run: MutationRun) -> None:
    assert run.failures() == []


def test_cases_that_fail_before_anything_is_changed_end_the_run() -> None:
    wrong = CASES.replace("200 shop/cart", "404 shop/cart")
    with pytest.raises(CasesFailError, match=r"cases\.yaml:4.*: open: failed"):
        MutationRun(shop(), cases(wrong))


def test_a_case_file_that_names_what_the_mesh_does_not_have_is_refused() -> None:
    with pytest.raises(CaseFileError, match="no gateway edge/gate"):
        check_names(shop(), cases(CASES.replace("edge/door", "edge/gate")))
