"""Which callers are accepted and which are not, by real Envoys on small meshes: each hole beside what is not one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from meshlab.battery.derive import derive
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.verdicts.compare_expected import compare
from meshlab.reach.battery_file import cases_text
from meshlab.reach.run import ask

from tests.lab.battery.meshes import ISSUER, ROUTE, policy, tokens, written
from tests.lab.kube import app, service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from meshlab.battery.battery import Battery
    from meshlab.bench.report.run import Run
    from meshlab.reach.outcome import Answer

    Asked = Callable[..., "Found"]

PERMISSIVE_BUT_KNOWN = {"from": [{"source": {"principals": ["cluster.local/ns/edge/sa/door"]}}]}


class Found:
    """The answers of one mesh, by what a person looks for."""

    def __init__(self, battery: Battery, run: Run, answers: tuple[Answer, ...]) -> None:
        self.battery, self.outcomes, self.answers = battery, run.outcomes, answers

    def at(self, caller: str, request: str, target: str = "shop/cart") -> str:
        """How the one request ended whose caller and class begin so: `200 app` or `403 shop/cart`."""
        found = [
            answer
            for answer in self.answers
            if answer.question.target == target
            and answer.question.caller == caller
            and answer.question.request_class == request
        ]
        known = [(answer.question.caller, answer.question.request_class) for answer in self.answers]
        assert len(found) == 1, f"{len(found)} of {known}"
        (answer,) = found
        return (
            f"{answer.word} app {answer.by}" if answer.access == "allowed" else f"{answer.word} {answer.by}"
        )

    def let_in(self, target: str = "shop/cart") -> set[tuple[str, str]]:
        """Which caller was accepted with what."""
        return {
            (answer.question.caller, answer.question.request_class)
            for answer in self.answers
            if answer.access == "allowed" and answer.question.target == target
        }


@pytest.fixture(scope="module")
def bench() -> Iterator[LocalBench]:
    with closing(LocalBench()) as running:
        yield running


@pytest.fixture
def asked(bench: LocalBench, tmp_path: Path) -> Asked:
    def run(*objects: str | Mapping[str, object]) -> Found:
        file = tmp_path / "mesh.yaml"
        file.write_text(written(*objects))
        mesh = bench.load(Sources((str(file),)))
        battery = derive([mesh.mesh])
        return Found(battery, *ask(mesh, battery))

    return run


OUTSIDE = "outside edge/door"
PLAINTEXT = "plaintext past the sidecar"


def test_a_deny_for_a_folder_leaves_the_name_of_the_folder_open(asked: Asked) -> None:
    found = asked(
        ROUTE, policy({"to": [{"operation": {"paths": ["/admin/*"]}}]}, action="DENY", namespace="shop")
    )
    assert found.at(OUTSIDE, "GET shop.example/admin/1") == "403 shop/cart"
    assert found.at(OUTSIDE, "GET shop.example/admin") == "200 app shop/cart"


def test_a_deny_for_the_words_at_the_beginning_closes_it(asked: Asked) -> None:
    found = asked(
        ROUTE, policy({"to": [{"operation": {"paths": ["/admin*"]}}]}, action="DENY", namespace="shop")
    )
    assert found.at(OUTSIDE, "GET shop.example/admin1") == "403 shop/cart"
    assert found.at(OUTSIDE, "GET shop.example/") == "200 app shop/cart"


def test_a_host_in_a_policy_does_not_take_the_same_host_with_its_port(asked: Asked) -> None:
    found = asked(
        ROUTE, policy({"to": [{"operation": {"hosts": ["shop.example"]}}]}, action="DENY", namespace="edge")
    )
    assert found.at(OUTSIDE, "GET shop.example/") == "403 edge/door"
    assert found.at(OUTSIDE, "GET shop.example:80/") == "200 app shop/cart"


def test_a_principal_that_begins_with_a_star_takes_the_account_of_every_namespace(asked: Asked) -> None:
    found = asked(ROUTE, policy({"from": [{"source": {"principals": ["*/sa/door"]}}]}))
    let_in = {caller for caller, _ in found.let_in()}
    assert "edge/door past its sidecar" in let_in
    assert "mTLS as spiffe://cluster.local/ns/any/sa/door" in let_in
    assert PLAINTEXT not in let_in
    assert "stranger/stranger" not in let_in


def test_what_a_rule_leaves_out_is_refused_and_what_lies_beside_it_is_not(asked: Asked) -> None:
    rule = {"to": [{"operation": {"paths": ["/cart*"], "notPaths": ["/cart/admin"]}}]}
    found = asked(ROUTE, policy(rule))
    assert found.at(OUTSIDE, "GET shop.example/cart/admin") == "403 shop/cart"
    assert found.at(OUTSIDE, "GET shop.example/cart1") == "200 app shop/cart"
    assert found.at(OUTSIDE, "GET shop.example/cart/admin/") == "200 app shop/cart"
    assert found.at(OUTSIDE, "GET shop.example/car") == "403 shop/cart"


def test_a_claim_is_missed_by_another_value_and_by_none(asked: Asked) -> None:
    rule = {
        "from": [{"source": {"requestPrincipals": [f"{ISSUER}/alice"]}}],
        "when": [{"key": "request.auth.claims[role]", "values": ["admin*"]}],
    }
    found = asked(ROUTE, tokens("shop"), policy(rule))
    words = f"token with sub alice, issued by {ISSUER}"
    let_in = {
        caller for caller, request in found.let_in() if caller.startswith(OUTSIDE) and request.endswith("/")
    }
    assert f"{OUTSIDE}, {words}" in let_in
    assert not any("another role" in caller or "no role" in caller for caller in let_in)
    assert not any("another subject" in caller or "expired" in caller for caller in let_in)
    assert OUTSIDE not in let_in
    refused = {answer.question.caller: answer.word for answer in found.answers if answer.access == "refused"}
    assert any("another role" in caller and word == "403" for caller, word in refused.items())
    assert any("expired" in caller and word == "401" for caller, word in refused.items())


def test_plaintext_past_the_sidecar_gets_in_unless_mtls_is_strict_or_a_policy_names_callers(
    asked: Asked,
) -> None:
    strict = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""
    assert (PLAINTEXT, "GET :8080/") in asked().let_in()
    assert (PLAINTEXT, "GET :8080/") not in asked(strict).let_in()
    assert (PLAINTEXT, "GET :8080/") not in asked(policy(PERMISSIVE_BUT_KNOWN)).let_in()


def test_a_service_that_is_exported_to_its_own_namespace_is_unknown_to_others(asked: Asked) -> None:
    neighbour = app("basket", "shop")
    other = service("basket", "shop")
    hidden = """
apiVersion: v1
kind: Service
metadata: {name: hidden, namespace: shop, annotations: {networking.istio.io/exportTo: .}}
spec: {selector: {app: basket}, ports: [{name: http, port: 81, targetPort: 8080}]}
"""
    closed = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: istio-system}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
"""
    found = asked(neighbour, other, hidden, closed)
    request = "GET hidden.shop.svc.cluster.local:81/"
    assert ("shop/cart", request) in found.let_in("shop/basket")
    assert ("stranger/stranger", request) not in found.let_in("shop/basket")
    assert ("stranger/stranger", "GET basket.shop.svc.cluster.local:80/") in found.let_in("shop/basket")


def test_a_route_that_leads_to_another_workload_is_seen(asked: Asked) -> None:
    route = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.shop.svc.cluster.local]
  http:
    - match: [{uri: {prefix: /old}}]
      route: [{destination: {host: basket.shop.svc.cluster.local}}]
    - route: [{destination: {host: cart.shop.svc.cluster.local}}]
"""
    found = asked(app("basket", "shop"), service("basket", "shop"), route)
    old = "GET cart.shop.svc.cluster.local:80/old1"
    assert found.at("stranger/stranger", old, "shop/basket") == "200 app shop/basket"
    request = "GET cart.shop.svc.cluster.local:80/"
    assert found.at("stranger/stranger", request, "shop/cart") == "200 app shop/cart"


GATEWAY_WITH_CERTIFICATES = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: [shop.example]
      tls: {mode: MUTUAL, credentialName: partner-tls, subjectAltNames: [partner.example]}
"""


def test_a_gateway_with_client_certificates_takes_its_authority_and_names_alone(asked: Asked) -> None:
    found = asked(ROUTE.replace(ROUTE.partition("---")[0], GATEWAY_WITH_CERTIFICATES))
    let_in = {caller for caller, request in found.let_in() if request == "GET shop.example/"}
    outside = {caller for caller in let_in if caller.startswith(OUTSIDE)}
    assert outside == {f"{OUTSIDE}, certificate of partner-tls for partner.example"}
    asked_for = {answer.question.caller for answer in found.answers}
    assert f"{OUTSIDE}, certificate of stranger for partner.example" in asked_for
    assert f"{OUTSIDE}, certificate of partner-tls for partner.examplex" in asked_for
    assert OUTSIDE in asked_for


def test_addresses_are_stated_where_a_policy_of_a_gateway_looks_at_them(asked: Asked) -> None:
    rule = {"from": [{"source": {"ipBlocks": ["203.0.113.0/28"]}}]}
    found = asked(ROUTE, policy(rule, namespace="edge"))
    request = "GET shop.example/"
    assert found.at(f"{OUTSIDE}, at 203.0.113.1", request) == "200 app shop/cart"
    assert found.at(f"{OUTSIDE}, at 203.0.113.16", request) == "403 edge/door"
    # The address of a pod is not known, so whether it gets in through the gateway's Service cannot be judged.
    inside = [answer for answer in found.answers if answer.question.request_class.startswith("GET door.edge")]
    assert {answer.access for answer in inside} == {"not judged"}


TLS_TWICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec: {hosts: [partner.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: partner, namespace: shop}
spec: {host: partner.example, trafficPolicy: {tls: {mode: SIMPLE}}}
"""


def test_a_host_outside_that_ends_the_connection_without_an_answer_is_no_way_in(asked: Asked) -> None:
    # The sidecar begins TLS in which the client begins TLS once more, and the server does not speak that.
    found = asked(TLS_TWICE)
    assert found.at("shop/cart", "TLS partner.example:443", "partner.example") == "refused partner.example"
    assert found.let_in("partner.example") == set()
    (text,) = {
        cases_text(found.battery, found.outcomes, [answer])
        for answer in found.answers
        if answer.question.target == "partner.example" and answer.question.caller == "shop/cart"
    }
    (case,) = parse_case_file(text, "cases.yaml").cases
    assert case.expect is not None
    assert case.expect.refused


VERSIONS = "---\n".join(
    app(name, "shop", "{name: web, containerPort: 8080}", labels="paper: news")
    for name in ("first", "second")
)
SUBSETS = f"""{VERSIONS}
---
{service("news", "shop", selector="paper: news")}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: news, namespace: shop}}
spec:
  host: news
  subsets:
  - {{name: one, labels: {{app: first}}}}
  - {{name: two, labels: {{app: second}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: news, namespace: shop}}
spec:
  hosts: [news]
  http:
  - match: [{{uri: {{exact: /both}}}}]
    route:
    - {{destination: {{host: news, subset: one}}, weight: 97}}
    - {{destination: {{host: news, subset: two}}, weight: 3}}
  - route: [{{destination: {{host: news, subset: two}}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: second, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: second}}}}
  action: DENY
  rules: [{{to: [{{operation: {{paths: [/both]}}}}]}}]
"""


def test_every_destination_of_a_route_by_weight_is_asked_and_a_subset_has_its_own_servers(
    asked: Asked,
) -> None:
    found = asked(SUBSETS)
    answers = {
        answer.question.request_class: answer
        for answer in found.answers
        if answer.question.caller == "shop/cart" and "news" in answer.question.request_class
    }
    both = answers["GET news.shop.svc.cluster.local:80/both"]
    assert (both.access, both.word, both.varies) == ("allowed", "200 or 403, by weight", True)
    assert both.reason == "by weight: 200 by shop/first, 403 by shop/second"
    rest = answers["GET news.shop.svc.cluster.local:80/"]
    assert (rest.word, rest.by, rest.question.answerers) == ("200", "shop/second", ())
    text = cases_text(found.battery, found.outcomes, found.answers)
    assert "name: 'shop/cart: GET news.shop.svc.cluster.local:80/both'" not in text
    assert "name: 'shop/cart: GET news.shop.svc.cluster.local:80/'" in text
    assert "decided by chance" in text


LEFT_TO_CHANCE = f"""{VERSIONS}
---
{service("news", "shop", selector="paper: news")}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: news, namespace: shop}}
spec:
  hosts: [news]
  http:
  - match: [{{uri: {{exact: /fault}}}}]
    fault: {{abort: {{httpStatus: 418, percentage: {{value: 50}}}}}}
    route: [{{destination: {{host: news}}}}]
  - route: [{{destination: {{host: news}}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: second, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: second}}}}
  action: DENY
  rules: [{{to: [{{operation: {{paths: [/both]}}}}]}}]
"""


def test_what_one_of_several_servers_or_a_fault_refuses_by_chance_is_asked_until_both_ends_are_seen(
    asked: Asked,
) -> None:
    answers = {
        answer.question.request_class: answer
        for answer in asked(LEFT_TO_CHANCE).answers
        if answer.question.caller == "shop/cart" and "news" in answer.question.request_class
    }
    both = answers["GET news.shop.svc.cluster.local:80/both"]
    assert (both.access, both.word, both.varies) == ("allowed", "200 or 403, by chance", True)
    assert answers["GET news.shop.svc.cluster.local:80/fault"].word == "200 or 418, by chance"


WILD = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild, namespace: shop}
spec: {hosts: ["*.wild.example"], ports: [{number: 443, name: tls, protocol: TLS}], resolution: NONE}
"""


def test_a_host_of_a_wildcard_is_a_case_that_is_read_and_passes(asked: Asked) -> None:
    found = asked(WILD)
    (answer,) = [
        each
        for each in found.answers
        if each.question.target == "any.wild.example" and each.question.caller == "shop/cart"
    ]
    (case,) = parse_case_file(cases_text(found.battery, found.outcomes, [answer]), "cases.yaml").cases
    (verdict,) = [outcome.verdict for outcome in found.outcomes if outcome.case is answer.question.case]
    assert case.expect is not None
    assert verdict is not None
    assert compare(case.expect, verdict) == []
