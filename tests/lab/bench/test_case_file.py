"""Reading case files: typed cases, and errors that say where, what and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case import (
    AppSpec,
    Authorizer,
    AuthorizerRule,
    Case,
    Certificate,
    DeclaredWorkload,
    Expectation,
    FromBypass,
    FromForeignMesh,
    FromOutside,
    FromWorkload,
    HttpRequest,
    Received,
    TcpRequest,
    TlsRequest,
    TokenSpec,
)
from meshlab.bench.case_file import CaseFileError, check_against, parse_case_file, read_case_file
from meshlab.bench.protocol import MeshNames
from meshlab.istio.read.workload_ref import WorkloadRef

from tests.lab.bench.case_texts import GOOD

if TYPE_CHECKING:
    from pathlib import Path

GATEWAY, CART, ORDERS = (
    WorkloadRef.parse(name) for name in ("istio-ingress/gateway", "shop/cart", "orders/orders")
)
OUTSIDE = FromOutside(GATEWAY)
FILE = parse_case_file(GOOD, "cases.yaml")
CASES = {case.name: case for case in FILE.cases}


def refusal(text: str) -> str:
    with pytest.raises(CaseFileError) as caught:
        parse_case_file(text, "cases.yaml")
    return str(caught.value)


def one_case(expect: str, request: str = "GET https://a.example/") -> Case:
    text = f"cases: [{{name: x, from: {{outside: a/b}}, request: {request}, expect: {expect}}}]"
    (case,) = parse_case_file(text, "cases.yaml").cases
    return case


def test_a_case_has_its_sender_token_request_and_expectation() -> None:
    case = CASES["alice reads an order"]
    assert case.sender == OUTSIDE
    assert case.tokens == (
        TokenSpec("https://idp.example", {"sub": "alice", "scope": "read", "roles": ["a", "b"]}),
    )
    assert case.request == HttpRequest("https://shop.example/orders/1", headers=(("x-trace", "1"),))
    assert case.expect == Expectation(
        status=200,
        app="orders/orders",
        headers={"x-app": "orders", "x-gone": None},
        received=Received(path="/orders/1"),
    )
    assert str(case.place) == "cases.yaml:22: cases[0]"


def test_a_request_takes_the_words_that_it_does_not_write_from_the_defaults() -> None:
    assert CASES["an expired token"].request == HttpRequest(
        "https://shop.example/", "POST", (("x-trace", "1"),), "text", "2", "/orders#1", "shop.example"
    )


def test_a_request_of_another_kind_takes_nothing_from_the_defaults() -> None:
    assert CASES["bare TCP"].request == TcpRequest("redis.shop", 6379, "PING")
    assert CASES["a certificate"].request == TlsRequest("api.partner.example", 443, "api.partner.example")


def test_a_token_that_uses_another_joins_its_claims_one_by_one() -> None:
    (token,) = CASES["an expired token"].tokens
    assert token.claims == {"sub": "alice", "scope": None, "roles": ["a", "b"]}
    assert (token.flaw, token.issuer) == ("expired", "https://idp.example")


@pytest.mark.parametrize(
    ("base", "own", "token"),
    [
        ("name: x-token, prefix: 'JWT '", "in: query", TokenSpec(placement="query", prefix="")),
        (
            "name: x-token, prefix: 'JWT '",
            "in: cookie, name: t",
            TokenSpec(placement="cookie", name="t", prefix=""),
        ),
        ("in: query, name: jwt", "in: header", TokenSpec()),
        ("in: query, name: jwt", "in: query", TokenSpec(placement="query", name="jwt", prefix="")),
        ("name: x-token, prefix: 'JWT '", "in: header", TokenSpec(name="x-token", prefix="JWT ")),
        ("issuer: 'https://a', flaw: expired", "literal: x", TokenSpec(literal="x")),
        ("literal: x", "issuer: 'https://a'", TokenSpec(issuer="https://a")),
    ],
)
def test_a_token_that_is_sent_otherwise_inherits_no_words_of_the_other_way(
    base: str, own: str, token: TokenSpec
) -> None:
    text = f"""
tokens: {{first: {{{base}}}}}
cases:
  - {{name: a, from: {{workload: shop/cart}}, token: {{use: first, {own}}}, request: GET http://b/, expect: 200}}
"""
    (case,) = parse_case_file(text, "f").cases
    assert case.tokens == (token,)


def test_a_list_sends_several_tokens_and_none_sends_no_token() -> None:
    assert [token.literal for token in CASES["two tokens"].tokens] == [None, "x"]
    text = GOOD.replace("defaults: {from: internet,", "defaults: {from: internet, token: alice,")
    by_name = {case.name: case for case in parse_case_file(text, "f").cases}
    assert len(by_name["bare TCP"].tokens) == 1
    text = text.replace("name: bare TCP", "name: bare TCP\n    token: none")
    assert {case.name: case for case in parse_case_file(text, "f").cases}["bare TCP"].tokens == ()


def test_a_token_outside_a_header_has_no_prefix() -> None:
    text = GOOD.replace("token: [alice, {literal: x}]", "token: raw")
    (token,) = {case.name: case for case in parse_case_file(text, "f").cases}["two tokens"].tokens
    assert token == TokenSpec(placement="query", name="access_token", prefix="", literal="not.a.token")


def test_every_kind_of_caller_is_read() -> None:
    certificate = Certificate("partner", dns=("office.example",))
    assert CASES["two tokens"].sender == FromOutside(GATEWAY, "192.0.2.1", certificate)
    assert CASES["bare TCP"].sender == FromWorkload(CART)
    assert CASES["around the sidecar"].sender == FromBypass(CART, ORDERS, 8080, "mtls")
    assert CASES["without identity"].sender == FromBypass(None, ORDERS, None, "plaintext")
    assert CASES["from another mesh"].sender == FromForeignMesh(
        "spiffe://other.example/ns/x/sa/y", "partner", ORDERS, None
    )


def test_what_the_cases_need_around_them_is_read() -> None:
    assert FILE.workloads == {
        WorkloadRef("team-y", "caller"): DeclaredWorkload(
            {"app": "caller"}, "caller", "sidecar", {8080: "http"}
        ),
        WorkloadRef("team-y", "bare"): DeclaredWorkload(),
    }
    assert FILE.apps == (
        AppSpec("orders/orders", 200, {"x-app": "orders"}, '{"ok": true}'),
        AppSpec("api.partner.example", command=("python", "app.py")),
    )
    denies = AuthorizerRule(
        allow=False, path="/admin", method="GET", headers={"x-a": "b"}, status=401, body="no entry"
    )
    assert FILE.authorizers == (Authorizer("my-authz", (denies, AuthorizerRule(allow=True))),)
    assert FILE.authorities == ("partner",)


def test_a_matrix_makes_one_case_for_each_cell_but_a_dash() -> None:
    (matrix,) = FILE.matrices
    assert (matrix.rows, matrix.columns) == (("cart", "alice", "anonymous"), ("read", "write"))
    assert ("alice", "write") not in matrix.cells
    assert list(matrix.cells.values()) == [
        "orders: cart / read",
        "orders: cart / write",
        "orders: alice / read",
        "orders: anonymous / read",
        "orders: anonymous / write",
    ]
    case = CASES["orders: cart / write"]
    assert case.sender == FromWorkload(CART)
    assert case.request == HttpRequest("https://shop.example/orders", "POST", (("x-trace", "1"),))
    assert case.expect == Expectation(status=403, proxy=ORDERS)
    assert str(case.place) == "cases.yaml:55: matrix[0].expect.cart[1]"


@pytest.mark.parametrize("dash", ["- '-'", '- "-"', "- -x"])
def test_only_a_dash_alone_asks_for_no_case(dash: str) -> None:
    text = f"""
matrix:
  - name: m
    from: {{workload: a/b}}
    columns: {{one: GET https://a.example/, two: GET https://b.example/}}
    rows: {{r: {{}}}}
    expect:
      r:
        - 200
        {dash}
"""
    if "x" in dash:
        assert "is not a verdict" in refusal(text)
    else:
        assert len(parse_case_file(text, "f").cases) == 1


@pytest.mark.parametrize(
    ("short", "meaning"),
    [
        ("200", Expectation(status=200)),
        ("'404'", Expectation(status=404)),
        ("200 orders/orders", Expectation(status=200, app="orders/orders")),
        ("200 api.partner.example", Expectation(status=200, app="api.partner.example")),
        ("403 orders/orders", Expectation(status=403, proxy=ORDERS)),
        ("503   orders/orders", Expectation(status=503, proxy=ORDERS)),
        ("404 app orders/orders", Expectation(status=404, app="orders/orders")),
        ("200 proxy orders/orders", Expectation(status=200, proxy=ORDERS)),
        ("301 proxy orders/orders", Expectation(status=301, proxy=ORDERS)),
        ("refused", Expectation(refused=True)),
        ("refused orders/orders", Expectation(refused=True, proxy=ORDERS)),
        ("refused proxy orders/orders", Expectation(refused=True, proxy=ORDERS)),
    ],
)
def test_a_short_verdict_says_that_an_application_succeeds_and_a_proxy_refuses(
    short: str, meaning: Expectation
) -> None:
    assert one_case(short).expect == meaning


@pytest.mark.parametrize(
    ("short", "meaning"),
    [("answered", Expectation(answered=True)), ("answered a/b", Expectation(answered=True, app="a/b"))],
)
def test_a_short_verdict_for_tcp_says_who_answers(short: str, meaning: Expectation) -> None:
    assert one_case(short, "{tcp: 'redis.shop:6379'}").expect == meaning


@pytest.mark.parametrize(
    "url",
    [
        "http://a/",
        "https://a.example:8443/x?y=1#z",
        "http://[::1]:80/",
        "http://a.example",
        "https://a.example/%2e%2E/b",
    ],
)
def test_a_url_is_taken_as_it_is_written(url: str) -> None:
    request = one_case("200", f"'{url}'").request
    assert request == HttpRequest(url)


def test_headers_may_repeat_and_keep_their_order() -> None:
    request = one_case("200", "{url: 'http://a/', headers: {B: [1, two], a: x}}").request
    assert isinstance(request, HttpRequest)
    assert request.headers == (("B", "1"), ("B", "two"), ("a", "x"))


def test_every_problem_of_a_file_is_shown_at_once_with_its_line() -> None:
    text = """\
callers: {door: {outside: gateway}}
cases:
  - name: one
    from: dor
    request: GET /
    expect: 2000
  - nam: two
    expect: 200
"""
    assert refusal(text).splitlines() == [
        "cases.yaml:1: callers.door.outside: 'gateway' is not a workload; write NAMESPACE/NAME",
        "cases.yaml:4: cases[0].from: no caller is named 'dor'; did you mean 'door'?",
        "cases.yaml:5: cases[0].request: 'GET /' is not a request; write METHOD URL, such as GET https://shop.example/",
        "cases.yaml:6: cases[0].expect: 2000 is out of range; write a number from 100 to 599",
        "cases.yaml:7: cases[1].nam: unknown word 'nam'; did you mean 'name'?",
    ]


def test_a_fault_that_many_cases_inherit_is_shown_once() -> None:
    text = "defaults: {from: {workload: cart}, request: 'http://a/'}\ncases:\n"
    text += "".join(f"  - {{name: case {number}, expect: 200}}\n" for number in range(3))
    assert refusal(text) == (
        "cases.yaml:1: defaults.from.workload: 'cart' is not a workload; write NAMESPACE/NAME"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cases: [", "cases.yaml:1: not YAML: "),
        ("a: b: c", "cases.yaml:1: not YAML: mapping values are not allowed"),
        ("cases:\n  - name: \x01", "cases.yaml:2: not YAML: "),
        ("", "cases.yaml:1: the file is empty"),
        ("# only words\n", "cases.yaml:1: the file is empty"),
        ("cases: []\n---\ncases: []", "cases.yaml:3: a second YAML document begins here"),
        ("- a", "cases.yaml:1: expected a mapping, found a list"),
        ("words", "cases.yaml:1: expected a mapping, found 'words'"),
        ("callers: {}", "cases.yaml:1: a case file needs `cases:` or `matrix:`"),
        ("cases: []", "cases.yaml:1: the file holds no case"),
        ("cases:", "cases.yaml:1: cases: expected a list, found nothing"),
        ("tokens: {a: {literal: yes}}\ncases: []", "tokens.a.literal: yes is read differently by different YAML"),
        ("tokens: {on: {literal: x}}\ncases: []", "on is read differently by different YAML readers; quote it"),
        ("tokens: {a: {claims: {n: 1_0}}}\ncases: []", "1_0 is read differently"),
        ("cases: []\ncases: []", "cases.yaml:2: cases: 'cases' stands here twice; the first would be lost"),
        ("defaults: &d {token: none}\ncases:\n  - {<<: *d}", "the merge key << is not read"),
        ("tokens: &t {a: *t}\ncases: []", "an alias refers to what it stands in"),
        ("tokens: {a: !!binary aGk=}\ncases: []", "is not read; remove it"),
        ("tokens: {a: !!python/object:os.system {}}\ncases: []", "is not read; remove it"),
        ("tokens: {[a]: b}\ncases: []", "a key is no text; quote it"),
        ("tokens: {1.5: {literal: x}}\ncases: []", "the key '1.5' is no text; quote it"),
        ("cases: " + "[" * 60 + "]" * 60, "nested too deeply"),
        (
            "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20)),
            "aliases make the file too large",
        ),
        (
            "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60)),
            "aliases make the file too large",
        ),
        ("cases: " + "[" * 90_000 + "]" * 90_000, "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_no_case_file_is_refused_with_its_line(text: str, problem: str) -> None:
    assert problem in refusal(text)


def test_an_alias_may_stand_for_what_was_written_before() -> None:
    text = "tokens: {a: &a {literal: x}, b: *a}\n"
    text += "cases: [{name: x, from: {workload: a/b}, request: 'http://a/', expect: 200}]"
    assert len(parse_case_file(text, "f").cases) == 1


@pytest.mark.parametrize("content", [None, b"cases: \xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "cases.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CaseFileError, match=r"cases\.yaml:1: (cannot be read: No such file|not UTF-8 text)"):
        read_case_file(file)
    with pytest.raises(CaseFileError, match="Is a directory"):
        read_case_file(tmp_path)


MESH = MeshNames(
    workloads=frozenset({"shop/cart", "orders/orders", "shop/redis"}),
    gateways=frozenset({"istio-ingress/gateway"}),
    issuers=frozenset({"https://idp.example"}),
    hosts=frozenset({"*.partner.example"}),
    authorizers=frozenset({"my-authz"}),
)


def against(text: str, names: MeshNames = MESH) -> str:
    case_file = parse_case_file(text, "cases.yaml")
    try:
        check_against(case_file, names)
    except CaseFileError as error:
        return str(error)
    return ""


def test_a_file_whose_names_the_mesh_has_passes() -> None:
    assert against(GOOD) == ""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("cart: {workload: shop/cart}", "cart: {workload: shop/crat}",
         "cases.yaml:16: callers.cart.workload: no workload shop/crat; did you mean 'shop/cart'? Declare a"),
        ("internet: {outside: istio-ingress/gateway}", "internet: {outside: istio-ingress/gatewy}", "did you mean"),
        ("internet: {outside: istio-ingress/gateway}", "internet: {outside: shop/cart}", "shop/cart is no gateway"),
        ("anonymous: {bypass: none, to: orders/orders}", "anonymous: {bypass: none, to: x/y}", "no workload x/y"),
        ("expect: answered shop/redis", "expect: answered shop/rediss", "did you mean 'shop/redis'?"),
        ("  api.partner.example: {command", "  api.other.example: {command", "no ServiceEntry has the host api.other"),
        ("refused orders/orders}", "refused orders/order}", "did you mean 'orders/orders'?"),
        ("  api.partner.example: {command", "  shop/unknown: {command", "cases.yaml:6: apps.shop/unknown: no workload"),
        ("{shop/cart: 10.8.1.7,", "{shop/crat: 10.8.1.7,",
         "cases.yaml:58: addresses.shop/crat: no workload shop/crat; did you mean 'shop/cart'?"),
        ("sa/y, authority: partner", "sa/y, authority: parter", "did you mean 'partner'? Declare another one under"),
        ("sa/y, authority: partner", "sa/y, authority: q", "no certificate authority is named 'q'; there are"),
        ("{command: [python, app.py]}", "{certificate: {authority: q}}", "no certificate authority is named 'q'"),
        ("team-y/bare:", "shop/cart:", "cases.yaml:3: workloads.shop/cart: the manifests have the workload shop/cart"),
    ],
)  # fmt: skip
def test_a_name_that_the_mesh_does_not_have_is_refused(old: str, new: str, problem: str) -> None:
    assert GOOD.count(old) == 1
    assert problem in against(GOOD.replace(old, new))


@pytest.mark.parametrize("name", ["partner-tls", "/etc/istio/ca.pem"])
def test_the_authority_of_a_gateway_s_clients_needs_no_declaration(name: str) -> None:
    text = GOOD.replace("sa/y, authority: partner", f"sa/y, authority: {name}")
    assert against(text, replace(MESH, authorities=frozenset({name}))) == ""
    assert f"no certificate authority is named {name!r}" in against(text)


def test_a_declared_workload_or_gateway_may_be_named() -> None:
    assert against(GOOD.replace("cart: {workload: shop/cart}", "cart: {workload: team-y/caller}")) == ""
    declared = "workloads: {edge/door: {proxy: gateway}}\n"
    case = "cases: [{name: x, from: {outside: edge/door}, request: 'http://a/', expect: 200}]"
    assert against(declared + case) == ""
    assert "edge/door is no gateway" in against(declared.replace("gateway", "sidecar") + case)


def test_a_token_without_an_issuer_needs_a_mesh_with_one_issuer() -> None:
    text = GOOD.replace("alice: {issuer: https://idp.example, claims", "alice: {claims")
    assert against(text) == ""
    two = MeshNames(MESH.workloads, MESH.gateways, frozenset({"a", "b"}), MESH.hosts)
    assert "the manifests have several: write one of a, b" in against(text, two)
    none = MeshNames(MESH.workloads, MESH.gateways, frozenset(), MESH.hosts)
    assert "the manifests have no RequestAuthentication" in against(text, none)


SILENT = replace(
    MESH,
    without_ports=frozenset({"shop/redis"}),
    authorizers=frozenset({"opa"}),
    aliases={"shop/bank": "bank.example", "bank.shop.svc.cluster.local": "bank.example"},
)


@pytest.mark.parametrize(
    ("setup", "problem"),
    [
        ("apps: {shop/redis: {status: 500}}", "apps.shop/redis: the workload shop/redis lists no port"),
        ("workloads: {shop/job: {}}\napps: {shop/job: {status: 500}}", "the workload shop/job lists no port"),
        ("apps: {shop/bank: {status: 500}}", "shop/bank is an ExternalName Service, which stands for bank.example"),
        ("apps: {bank.shop.svc.cluster.local: {status: 500}}", "which stands for bank.example; name what answers"),
        ("authorizers: {opaa: [{allow: true}]}",
         "cases.yaml:1: authorizers.opaa: no extension provider of the MeshConfig has an external authorizer"),
        ("authorizers: {opa: [{allow: true}]}\napps: {shop/cart: {status: 500}}", ""),
        ("workloads: {shop/job: {ports: {80: http}}}\napps: {shop/job: {status: 500}}", ""),
    ],
)  # fmt: skip
def test_what_nothing_answers_for_is_refused_with_its_place(setup: str, problem: str) -> None:
    case = "cases: [{name: x, from: {workload: shop/cart}, request: 'http://a/', expect: 200}]"
    found = against(f"{setup}\n{case}", SILENT)
    assert problem in found
    assert bool(found) is bool(problem)


def test_a_workload_without_a_port_has_an_application_where_a_case_connects_to_one() -> None:
    case = "{name: x, from: {bypass: none, to: shop/redis, port: 6379}, request: 'http://a/', expect: 200}"
    assert against(f"apps: {{shop/redis: {{status: 500}}}}\ncases: [{case}]", SILENT) == ""


def test_of_two_meshes_a_workload_has_no_port_where_none_of_them_lists_one() -> None:
    with_port = MeshNames(frozenset({"a/a", "b/b"}), without_ports=frozenset({"a/a"}))
    other = MeshNames(frozenset({"a/a", "b/b", "c/c"}), without_ports=frozenset({"a/a", "b/b", "c/c"}))
    assert with_port.either(other).without_ports == {"a/a", "c/c"}


def test_an_answer_may_come_from_any_host_outside() -> None:
    assert (
        against(
            GOOD.replace("{answered: true, app: api.partner.example", "{answered: true, app: httpbin.org")
        )
        == ""
    )


def test_an_issuer_may_be_foreign() -> None:
    assert against(GOOD.replace("issuer: https://idp.example,", "issuer: https://foreign.example,")) == ""


def test_a_client_past_the_sidecars_states_its_address_where_it_is_no_workload() -> None:
    text = """
cases:
  - name: a
    from: {bypass: none, to: orders/orders, address: 10.1.2.3}
    request: GET http://b/
    expect: 200
  - name: b
    from: {mesh: 'spiffe://a/ns/b/sa/c', authority: mesh, to: orders/orders, address: 'fd00::2'}
    request: GET http://b/
    expect: 200
"""
    one, other = (case.sender for case in parse_case_file(text, "f").cases)
    assert one == FromBypass(None, ORDERS, None, "plaintext", "10.1.2.3")
    assert other == FromForeignMesh("spiffe://a/ns/b/sa/c", "mesh", ORDERS, None, "fd00::2")
    with pytest.raises(CaseFileError, match="state it under `addresses`"):
        parse_case_file(text.replace("bypass: none", "bypass: shop/cart"), "f")


def test_a_connection_is_asked_for_the_identity_that_arrives_and_for_no_word_of_http() -> None:
    text = """
cases:
  - name: a
    from: {bypass: none, to: orders/orders}
    request: {tcp: "redis.shop:6379"}
    expect: {answered: true, received: {identity: none}}
"""
    (case,) = parse_case_file(text, "f").cases
    assert case.expect == Expectation(answered=True, received=Received(identity="none"))
    with pytest.raises(
        CaseFileError, match=r"`received\.path` is for HTTP requests; a tcp or tls request has"
    ):
        parse_case_file(text.replace("identity: none", "path: /"), "f")
    for place in ("from: {", "request: {", "expect: {"):
        with pytest.raises(
            CaseFileError, match="unknown word 'mtls'; a client past its sidecar has `mode: mtls`"
        ):
            parse_case_file(text.replace(place, f"{place}mtls: true, "), "f")
