"""`meshlab init`: the file that it writes is a case file, and holds the verdicts of today."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case import FromBypass, FromOutside, HttpRequest, TcpRequest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.first_cases import draft_of, questions, written
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.mesh_survey import survey_of
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.bench.survey import ClientCertificate, Endpoint, Entrance, Issuer, PolicyRule, Survey
from meshlab.istio import load_mesh
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.manifest import parse_manifests

from tests.lab.bench.fakes import CART, GATEWAY, FakeMesh, answered, refused
from tests.lab.door_and_cart import DOOR_AND_CART

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.bench.verdicts.verdict import Verdict

ORDERS = WorkloadRef("orders", "orders")
SURVEY = Survey(
    entrances=(
        Entrance(GATEWAY, "https", "shop.example", 443, ("/orders", "/")),
        Entrance(GATEWAY, "http", "shop.example", 8080),
    ),
    endpoints=(
        Endpoint(ORDERS, "orders.orders.svc.cluster.local", 80, 8080, http=True),
        Endpoint(CART, "redis.shop.svc.cluster.local", 6379, 6379, http=False),
    ),
    senders=(ORDERS, CART),
    issuers=(Issuer("https://idp.example", (GATEWAY,)),),
    rules=(
        PolicyRule("orders/readers", ORDERS, ("GET", "HEAD"), ("/orders/",)),
        PolicyRule(
            "istio-ingress/callers",
            GATEWAY,
            ("GET",),
            ("/orders/1",),
            "https://idp.example",
            (("sub", "a"), ("scope", "read: all")),
        ),
    ),
)


def first_file(every: Verdict | str) -> str:
    draft = draft_of(SURVEY)
    asked = questions(draft, "first-cases.yaml")
    mesh = FakeMesh({case.name: every for case in asked.cases})
    return written(draft, run_cases(mesh, [asked], Choice()).outcomes)


def test_every_part_of_the_mesh_is_asked_about() -> None:
    asked = questions(draft_of(SURVEY), "first-cases.yaml")
    assert all(case.expect is None for case in asked.cases)
    by_name = {case.name: case for case in asked.cases}
    entrance = by_name["from outside to istio-ingress/gateway: no token / GET shop.example/orders"]
    assert entrance.sender == FromOutside(GATEWAY)
    assert entrance.request == HttpRequest("https://shop.example/orders")
    row = "from outside to istio-ingress/gateway: token for callers"
    (token,) = by_name[f"{row} / GET shop.example/orders/1"].tokens
    assert (token.issuer, token.claims) == ("https://idp.example", {"sub": "a", "scope": "read: all"})
    (token,) = by_name[f"{row} expired / GET shop.example:8080/orders/1"].tokens
    assert (token.issuer, token.flaw) == ("https://idp.example", "expired")
    tcp = by_name["between workloads: orders/orders / redis.shop:6379"]
    assert tcp.request == TcpRequest("redis.shop.svc.cluster.local", 6379)
    rule = by_name["rules of orders/orders: shop/cart / HEAD /orders/"]
    assert rule.request == HttpRequest("http://orders.orders.svc.cluster.local/orders/", "HEAD")
    around = by_name["plaintext to orders/orders, without a sidecar"]
    assert around.sender == FromBypass(None, ORDERS, 8080, "plaintext")


def test_the_file_holds_the_verdicts_of_today_and_passes_when_it_is_run_again() -> None:
    name = "from outside to istio-ingress/gateway: no token / GET shop.example/orders"
    redirect = answered(301, app="orders/orders")
    verdicts = {
        name: refused(403),
        "between workloads: shop/cart / orders.orders:80": redirect,
        "plaintext to orders/orders, without a sidecar": refused(None, ORDERS),
    }
    draft = draft_of(SURVEY)
    asked = questions(draft, "first-cases.yaml")
    tcp = {case.name: refused(None, CART) for case in asked.cases if isinstance(case.request, TcpRequest)}
    mesh = FakeMesh({**verdicts, **tcp})
    text = written(draft, run_cases(mesh, [asked], Choice()).outcomes)
    again = parse_case_file(text, "first-cases.yaml")
    assert {case.name for case in again.cases} == {case.name for case in asked.cases}
    assert run_cases(mesh, [again], Choice()).counts["passed"] == len(asked.cases)
    assert "403 istio-ingress/gateway" in text
    assert "301 app orders/orders" in text
    assert "expect: refused orders/orders" in text


def test_where_several_workloads_stand_behind_a_service_any_of_them_may_answer() -> None:
    host = "orders.orders.svc.cluster.local"
    canary = CART
    survey = Survey(
        endpoints=(Endpoint(ORDERS, host, 80, 8080, http=True), Endpoint(canary, host, 80, 8080, http=True)),
        senders=(CART,),
    )
    draft = draft_of(survey)
    asked = questions(draft, "first-cases.yaml")
    hops = answered(200).hops
    verdict = replace(answered(200), hops=(*hops, *hops))
    mesh = FakeMesh({case.name: verdict for case in asked.cases})
    text = written(draft, run_cases(mesh, [asked], Choice()).outcomes)

    assert "{status: 200, app: [orders/orders, shop/cart]}" in text
    assert parse_case_file(text, "first-cases.yaml").cases


def test_where_several_workloads_stand_behind_a_service_any_of_their_proxies_may_refuse() -> None:
    host = "orders.orders.svc.cluster.local"
    survey = Survey(
        endpoints=(Endpoint(ORDERS, host, 80, 8080, http=True), Endpoint(CART, host, 80, 8080, http=True)),
        senders=(CART,),
    )
    draft = draft_of(survey)
    asked = questions(draft, "first-cases.yaml")
    verdict = refused(403, CART)
    verdict = replace(verdict, hops=(*answered(200).hops, *verdict.hops))
    mesh = FakeMesh({case.name: verdict for case in asked.cases})
    text = written(draft, run_cases(mesh, [asked], Choice()).outcomes)

    assert "{status: 403, policy: none}" in text
    assert "403 shop/cart" not in text.partition("matrix:")[2]
    assert parse_case_file(text, "first-cases.yaml").cases


def test_an_issuer_that_no_rule_names_gets_a_token_too() -> None:
    draft = draft_of(Survey(SURVEY.entrances, issuers=SURVEY.issuers))
    assert draft.tokens == {"token of issuer 1": "{issuer: https://idp.example, claims: {sub: alice}}"}


def test_a_token_that_two_policies_ask_for_is_written_once() -> None:
    one = PolicyRule("a/one", ORDERS, issuer="https://i", claims=(("sub", "s"),))
    other = PolicyRule("b/one", CART, issuer="https://i", claims=(("sub", "t"),))
    same = PolicyRule("c/two", CART, issuer="https://i", claims=(("sub", "s"),))
    tokens = draft_of(Survey(rules=(one, other, same))).tokens
    assert list(tokens) == ["token for one", "token for b/one"]


def test_what_cannot_be_judged_is_no_case_and_says_why() -> None:
    text = first_file("mesh.yaml:7: EnvoyFilter a/b: is\nnot supported")
    assert "not judged: mesh.yaml:7: EnvoyFilter a/b: is not supported" in text
    assert "expect: 200" not in text


def test_the_header_teaches_the_format_and_its_example_is_a_case() -> None:
    header = first_file(refused(403)).split("tokens:")[0]
    assert all(line.startswith("#") for line in header.splitlines() if line)
    example = [
        line.removeprefix("#   ") for line in header.splitlines() if line.startswith(("#   - ", "#     "))
    ]
    (case,) = parse_case_file("cases:\n" + "\n".join(f"  {line}" for line in example), "header").cases
    assert case.name == "an expired token"


def test_a_large_mesh_gives_a_short_file_that_says_what_it_left_out() -> None:
    many = tuple(
        Endpoint(WorkloadRef("ns", f"w{number}"), f"w{number}.ns.svc.cluster.local", 80, 8080, http=True)
        for number in range(40)
    )
    draft = draft_of(Survey(endpoints=many, senders=tuple(endpoint.workload for endpoint in many)))
    assert any("34 more workloads" in sentence for sentence in draft.left_out)
    assert "34 more workloads" in written(draft, [])


def test_a_mesh_with_nothing_to_ask_about_has_an_empty_draft() -> None:
    assert draft_of(Survey()).empty


POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: shop}
spec:
  rules:
    - from: [{source: {requestPrincipals: [https://idp.example/alice]}}]
      to: [{operation: {methods: [GET, "*"], paths: ["/orders/{*}", "/a*", "/b/*", "*/c", "*"]}}]
      when:
        - {key: "request.auth.claims[scope]", values: ["*x", read]}
        - {key: "request.auth.claims[a][b]", values: [c]}
"""


def rules_of(text: str) -> tuple[PolicyRule, ...]:
    service = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart, namespace: shop}\n"
    service += (
        "spec: {template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: a, image: a}]}}}\n"
    )
    return survey_of(load_mesh(parse_manifests(f"{service}---\n{text}", "mesh.yaml"))).rules


def test_a_survey_takes_a_token_and_concrete_paths_from_the_rules_of_a_mesh() -> None:
    assert rules_of(POLICY) == (
        PolicyRule(
            "shop/callers",
            CART,
            ("GET",),
            ("/orders/1", "/a1", "/b/", "/any/c", "/"),
            "https://idp.example",
            (("sub", "alice"), ("scope", "read")),
        ),
    )


def test_a_survey_takes_no_token_from_a_rule_that_denies() -> None:
    (rule,) = rules_of(POLICY.replace("spec:\n", "spec:\n  action: DENY\n", 1))
    assert (rule.issuer, rule.claims) == ("", ())


_AWKWARD = ["/a\nb", "/a\tb", "/a b", "/a\x00", "/a\x85b", "/a\u2028b", "/a\u200bb", "/a\x1b[1m", "/\xe9"]


@pytest.mark.parametrize("path", _AWKWARD)
def test_a_path_that_no_request_can_have_is_left_out_and_said(path: str) -> None:
    mesh = load_mesh(
        parse_manifests(
            f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: public, namespace: edge}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [shop.example]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop, namespace: edge}}
spec:
  hosts: [shop.example]
  gateways: [edge/public]
  http: [{{match: [{{uri: {{exact: {json.dumps(path)}}}}}], route: [{{destination: {{host: shop}}}}]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: door, namespace: edge}}
spec:
  rules: [{{to: [{{operation: {{methods: [GET], paths: [{json.dumps(path)}, /good]}}}}]}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: door, namespace: edge}}
spec:
  template:
    metadata: {{labels: {{istio: ingressgateway}}, annotations: {{inject.istio.io/templates: gateway}}}}
    spec: {{containers: [{{name: istio-proxy, image: auto}}]}}
""",
            "mesh.yaml",
        )
    )
    draft = draft_of(survey_of(mesh))
    asked = [case.name for case in questions(draft, "cases.yaml").cases]
    assert asked
    assert all(name.endswith(("GET shop.example/", "GET shop.example/good")) for name in asked), asked
    assert draft.left_out == (
        f"the path {path!r} of routes of edge/shop, which no request can have",
        f"the path {path!r} of rules of edge/door, which no request can have",
    )
    assert written(draft, ()).isprintable() or set(
        filter(lambda c: not c.isprintable(), written(draft, ()))
    ) == {"\n"}


def test_a_server_that_redirects_to_https_is_asked_in_plaintext() -> None:
    mesh = load_mesh(
        parse_manifests(
            """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example], tls: {httpsRedirect: true}}
""",
            "mesh.yaml",
        )
    )
    assert [(entrance.scheme, entrance.port) for entrance in survey_of(mesh).entrances] == [("http", 80)]


CLIENT_CERTIFICATES = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - port: {number: 443, name: mutual, protocol: HTTPS}
      hosts: [mutual.example]
      tls: {mode: MUTUAL, credentialName: partner-tls, subjectAltNames: [good.example]}
    - port: {number: 443, name: optional, protocol: HTTPS}
      hosts: [optional.example]
      tls: {mode: OPTIONAL_MUTUAL, credentialName: partner-tls}
    - port: {number: 443, name: istio, protocol: HTTPS}
      hosts: [istio.example]
      tls: {mode: ISTIO_MUTUAL}
    - port: {number: 443, name: files, protocol: HTTPS}
      hosts: [files.example]
      tls: {mode: MUTUAL, serverCertificate: /c/cert.pem, privateKey: /c/key.pem, caCertificates: /c/ca.pem}
    - port: {number: 443, name: pinned, protocol: HTTPS}
      hosts: [pinned.example]
      tls: {mode: MUTUAL, credentialName: pinned, verifyCertificateHash: [HASH]}
    - {port: {number: 80, name: plain, protocol: HTTP}, hosts: [plain.example]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: everything, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [edge/door]
  http: [{route: [{destination: {host: cart.shop.svc.cluster.local, port: {number: 80}}}]}]
""".replace("HASH", "ab" * 32)


def test_a_gateway_is_asked_with_the_client_certificate_that_it_takes_and_without_one(tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(f"{DOOR_AND_CART}---{CLIENT_CERTIFICATES}")
    bench = LocalBench()
    try:
        mesh = bench.load(Sources((str(file),), "default", None))
        draft = draft_of(mesh.survey())
        text = written(draft, run_cases(mesh, [questions(draft, "first-cases.yaml")], Choice()).outcomes)
        cases = parse_case_file(text, "first-cases.yaml")
        again = run_cases(mesh, [cases], Choice())
    finally:
        bench.close()

    assert again.counts["passed"] == len(cases.cases)
    found: dict[str, dict[bool, object]] = {}
    for case in cases.cases:
        if isinstance(case.sender, FromOutside) and case.expect:
            assert isinstance(case.request, HttpRequest)
            ends = found.setdefault(case.request.url.partition("://")[2].rstrip("/"), {})
            ends[case.sender.certificate is not None] = case.expect.status or "refused"
    with_and_without = {True: 200, False: "refused"}
    assert found == {
        "mutual.example": with_and_without,
        "optional.example": {True: 200, False: 200},
        "istio.example": with_and_without,
        "files.example": with_and_without,
        "pinned.example": {False: "refused"},
        "plain.example": {False: 200},
    }
    assert (
        "# Not asked about: pinned.example:443 of edge/door takes client certificates by their hash" in text
    )


def test_a_client_certificate_has_the_names_that_the_gateway_asks_for() -> None:
    text = f"{DOOR_AND_CART}---{CLIENT_CERTIFICATES.replace('[good.example]', '[spiffe://a.example/b, c]')}"
    entrances = survey_of(load_mesh(parse_manifests(text, "mesh.yaml"))).entrances
    assert {entrance.host: entrance.certificate for entrance in entrances} == {
        "mutual.example": ClientCertificate("partner-tls", uris=("spiffe://a.example/b",)),
        "optional.example": ClientCertificate("partner-tls", dns=("client.example",)),
        "istio.example": ClientCertificate("mesh", uris=("spiffe://cluster.local/ns/shop/sa/cart",)),
        "files.example": ClientCertificate("/c/ca.pem", dns=("client.example",)),
        "pinned.example": None,
        "plain.example": None,
    }
