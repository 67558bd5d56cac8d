"""Requests that a change cannot concern: what is sure is left out, and everything else is sent again."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from meshlab.bench.case import Case, CasePlace, FromWorkload, HttpRequest, TcpRequest, TokenSpec
from meshlab.bench.evidence.line import EvidenceLine
from meshlab.bench.verdicts.hop import Hop
from meshlab.istio import WorkloadRef
from meshlab.manifest import parse_manifests
from meshlab.mutate.concern import concerns
from meshlab.mutate.mutants import Mutant, mutants_of
from meshlab.mutate.seen import PRINCIPALS, Seen

PROXY = WorkloadRef("shop", "cart")
POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec:
  action: ACTION
  rules:
  - to:
    - operation: {methods: [GET], hosts: ["shop.example", "*.shop.example"], paths: [/a, /b]}
    - operation: {methods: [PUT], paths: [/c]}
"""
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec: {hosts: [cart, shop.example], http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: cart}}]}]}
"""
FIRST = "spec.rules.0.to.0.operation"


def mutant(text: str, path: str, change: str) -> Mutant:
    (manifest,) = parse_manifests(text, "m.yaml")
    (found,) = (one for one in mutants_of(manifest) if (one.path, one.change) == (path, change))
    return found


def seen(
    method: str = "GET", host: str = "shop.example", principal: str | None = None, *, denied: bool = True
) -> Seen:
    token = frozenset({(PRINCIPALS, principal)} if principal else ())
    return Seen(PROXY, method, host, principal, denied, token=token)


def test_a_wider_allow_rule_concerns_what_was_denied_and_may_meet_its_methods_and_hosts() -> None:
    concerned = concerns(mutant(POLICY.replace("ACTION", "ALLOW"), f"{FIRST}.paths", "any value"))
    assert concerned(seen())
    assert concerned(seen(host="a.shop.example"))
    assert concerned(seen("PUT", "elsewhere.example"))  # the second operation
    assert not concerned(seen(denied=False))
    assert not concerned(seen("POST"))
    assert not concerned(seen(host="elsewhere.example"))


def test_the_field_that_is_widened_leaves_nothing_out() -> None:
    text = POLICY.replace("ACTION", "ALLOW")
    assert concerns(mutant(text, f"{FIRST}.methods", "POST added"))(seen("POST"))
    assert concerns(mutant(text, f"{FIRST}.hosts", "any value"))(seen(host="elsewhere.example"))
    assert concerns(mutant(text, "spec.rules.0.to", "removed"))(seen("OPTIONS", "elsewhere.example"))


def test_a_narrower_allow_rule_concerns_what_was_let_in() -> None:
    concerned = concerns(mutant(POLICY.replace("ACTION", "ALLOW"), f"{FIRST}.paths.0", "/a removed"))
    assert concerned(seen(denied=False))
    assert not concerned(seen())


def test_a_narrower_deny_rule_concerns_what_was_denied() -> None:
    text = POLICY.replace("ACTION", "DENY")
    narrower = concerns(mutant(text, f"{FIRST}.paths.0", "/a removed"))
    assert narrower(seen())
    assert not narrower(seen(denied=False))
    wider = concerns(mutant(text, f"{FIRST}.paths", "any value"))
    assert wider(seen(denied=False))
    assert not wider(seen())


@pytest.mark.parametrize(
    ("action", "path", "change"),
    [
        ("ALLOW", "the object", "removed"),
        ("DENY", "the object", "removed"),
        ("CUSTOM", f"{FIRST}.paths.0", "/a removed"),
    ],
)
def test_what_may_turn_over_either_way_concerns_everything(action: str, path: str, change: str) -> None:
    concerned = concerns(mutant(POLICY.replace("ACTION", action), path, change))
    for method, host, denied in product(("GET", "POST"), ("shop.example", "x"), (True, False)):
        assert concerned(seen(method, host, denied=denied))


def test_what_is_no_http_is_compared_by_the_verdict_alone() -> None:
    concerned = concerns(mutant(POLICY.replace("ACTION", "ALLOW"), f"{FIRST}.paths", "any value"))
    assert concerned(seen("", ""))
    assert not concerned(seen("", "", denied=False))


def test_routes_concern_their_hosts_alone_short_names_included() -> None:
    concerned = concerns(mutant(ROUTES, "spec.http.0.match", "removed"))
    assert concerned(seen(host="shop.example", denied=False))
    assert concerned(seen(host="cart.shop.svc.cluster.local"))
    assert concerned(seen("", ""))
    assert not concerned(seen(host="ledger.bank"))


TOKENS = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec:
  rules:
  - from: [{source: {requestPrincipals: [i/alice, "j/*"], principals: [x]}}]
    to: [{operation: {paths: [/a]}}]
"""
OF = "spec.rules.0.from.0.source"


def test_a_rule_for_tokens_concerns_those_of_its_subjects_and_those_that_are_not_sure() -> None:
    concerned = concerns(mutant(TOKENS, "spec.rules.0.to", "removed"))
    assert concerned(seen(principal="i/alice"))
    assert concerned(seen(principal="j/bob"))
    assert concerned(seen(principal=None))
    assert concerns(mutant(TOKENS, f"{OF}.requestPrincipals", "removed"))(seen(principal="i/bob"))


def test_without_a_wildcard_another_subject_and_no_token_are_left_out() -> None:
    text = TOKENS.replace(', "j/*"', "")
    concerned = concerns(mutant(text, "spec.rules.0.to", "removed"))
    assert not concerned(seen(principal="i/bob"))
    assert not concerned(seen(principal=""))
    wider = concerns(mutant(text, f"{OF}.requestPrincipals.0", "i/alice becomes */alice"))
    assert wider(seen(principal="evil-i/alice"))
    assert not wider(seen(principal="i/alice"))  # the rule takes it with and without the change
    assert not wider(seen(principal="i/alice-2"))
    longer = concerns(mutant(text, f"{OF}.requestPrincipals.0", "i/alice becomes i/alice*"))
    assert longer(seen(principal="i/alice-2"))
    assert not longer(seen(principal="evil-i/alice"))
    assert not longer(seen(principal="i/alice"))
    anyone = concerns(mutant(text, f"{OF}.requestPrincipals", "any value"))
    assert anyone(seen(principal="i/bob"))
    assert not anyone(seen(principal="i/alice"))


def test_another_rule_for_the_same_subject_leaves_what_is_widened() -> None:
    wider = concerns(mutant(TOKENS, f"{OF}.requestPrincipals", "any value"))
    assert wider(seen(principal="j/bob"))  # a wildcard is not decided here
    assert not wider(seen(principal="i/alice"))


def test_a_source_without_tokens_leaves_nothing_out() -> None:
    text = TOKENS.replace("from: [", "from: [{source: {principals: [y]}}, ")
    assert concerns(mutant(text, "spec.rules.0.to", "removed"))(seen(principal="i/bob"))


AUDIENCE = "request.auth.audiences"
CONDITIONS = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec:
  rules:
  - when:
    - {key: request.auth.audiences, values: [api]}
    - {key: "request.auth.claims[email]", values: [a@example], notValues: [b@example]}
"""


def says(*token: tuple[str, str]) -> Seen:
    return replace(seen(), token=frozenset(token))


def test_wider_values_of_a_condition_concern_no_token_whose_value_it_takes_already() -> None:
    for change in ("api becomes api*", "api becomes *api"):
        wider = concerns(mutant(CONDITIONS, "spec.rules.0.when.0.values.0", change))
        assert not wider(says((AUDIENCE, "api")))
        assert wider(says((AUDIENCE, "api-2")))
        assert wider(says(("request.auth.claims[email]", "api")))
        assert wider(says())


def test_a_condition_that_is_gone_or_has_exceptions_concerns_every_token() -> None:
    gone = concerns(mutant(CONDITIONS, "spec.rules.0.when.0", f"{AUDIENCE} removed"))
    assert gone(says((AUDIENCE, "api")))  # which may not have been verified
    email = "request.auth.claims[email]"
    excepted = concerns(mutant(CONDITIONS, "spec.rules.0.when.1.values.0", "a@example becomes a@example*"))
    assert excepted(says((email, "a@example")))
    denying = CONDITIONS.replace("  rules:", "  action: DENY\n  rules:")
    assert concerns(mutant(denying, "spec.rules.0.when.0.values", "any value"))(
        replace(says((AUDIENCE, "api")), denied=False)
    )


NAMED_ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec:
  hosts: [cart]
  http:
  - {name: first, match: [{uri: {exact: /a}, method: {exact: GET}}], route: [{destination: {host: cart}}]}
  - {name: second, match: [{uri: {exact: /b}, method: {exact: GET}}], route: [{destination: {host: cart}}]}
  - {name: third, route: [{destination: {host: cart}}]}
"""


def routed(route: str) -> Seen:
    return replace(seen(host="cart", denied=False), route=route)


def test_a_change_of_a_route_concerns_no_request_that_an_earlier_route_takes() -> None:
    concerned = concerns(mutant(NAMED_ROUTES, "spec.http.1.match.0.method", "removed"))
    assert not concerned(routed("first"))
    for route in ("third", "", "unknown", "second.match"):
        assert concerned(routed(route))
    gone = concerns(mutant(NAMED_ROUTES, "spec.http.1", "removed"))
    assert [gone(routed(route)) for route in ("first", "second", "third")] == [False, True, True]


def test_a_wider_match_concerns_no_request_that_its_own_route_takes_unless_the_path_is_rewritten() -> None:
    change = ("spec.http.1.match.0.method", "removed")
    assert not concerns(mutant(NAMED_ROUTES, *change))(routed("second"))
    for action in ("rewrite: {uri: /x}", "redirect: {uri: /x}"):
        rewritten = NAMED_ROUTES.replace("name: second,", f"name: second, {action},")
        assert concerns(mutant(rewritten, *change))(routed("second"))
    without = NAMED_ROUTES.replace("method: {exact: GET}", "withoutHeaders: {x: {exact: a}}")
    narrower = concerns(mutant(without, "spec.http.1.match.0.withoutHeaders.x", "any value"))
    assert narrower(routed("second"))


def test_routes_of_one_name_and_routes_that_others_are_joined_with_are_not_sure() -> None:
    change = ("spec.http.1.match.0.method", "removed")
    twice = mutant(NAMED_ROUTES.replace("name: third", "name: first"), *change)
    assert concerns(twice)(routed("first"))
    assert not concerns(twice)(routed("second"))
    once = mutant(NAMED_ROUTES, *change)
    for hosts, is_joined in (
        ("[cart]", True),
        ("['*']", True),
        ("[cart.shop.svc.cluster.local]", True),
        ("[till]", False),
    ):
        (other,) = parse_manifests(
            NAMED_ROUTES.replace("name: v", "name: w").replace("[cart]", hosts), "w.yaml"
        )
        assert concerns(once, [once.manifest, other])(routed("first")) is is_joined


URL = "http://a.example/"
ALICE = TokenSpec("i", {"sub": "alice"})


@pytest.mark.parametrize(
    ("request_", "tokens", "principal"),
    [
        (HttpRequest(URL), (ALICE,), "i/alice"),
        (HttpRequest(URL), (), ""),
        (HttpRequest(URL), (ALICE, ALICE), None),
        (HttpRequest(URL), (TokenSpec("i", {"sub": "alice", "iss": "j"}),), "j/alice"),
        (HttpRequest(URL), (TokenSpec("i", {"sub": "alice"}, flaw="tampered"),), None),
        (HttpRequest(URL), (TokenSpec("i"),), None),
        (HttpRequest(URL), (TokenSpec(None, {"sub": "alice"}),), None),
        (HttpRequest(URL), (TokenSpec("i", {"sub": "a/b"}),), None),
        (HttpRequest(URL), (TokenSpec(literal="x"),), None),
        (HttpRequest(URL, headers=(("authorization", "Bearer x"),)), (), None),
        (HttpRequest(f"{URL}?access_token=x"), (), None),
        (TcpRequest("h", 1), (), None),
    ],
)
def test_whose_token_a_case_shows_is_known_or_not_sure(
    request_: HttpRequest | TcpRequest, tokens: tuple[TokenSpec, ...], principal: str | None
) -> None:
    case = Case("c", FromWorkload(PROXY), request_, None, CasePlace("c", 1), tokens)
    hop = Hop(PROXY, "inbound", 80, EvidenceLine(PROXY, "http", method="GET", authority="A.example:80"))
    found = Seen.of(hop, case)
    host = "a.example" if isinstance(request_, HttpRequest) else ""
    assert (found.principal, found.method, found.host) == (principal, "GET", host)


def test_a_proxy_that_writes_another_host_saw_that_of_the_case_and_the_next_one_what_it_wrote() -> None:
    case = Case("c", FromWorkload(PROXY), HttpRequest("http://a.example/"), None, CasePlace("c", 1))
    door = Hop(PROXY, "gateway", 80, EvidenceLine(PROXY, "http", method="GET", authority="inner.example:80"))
    cart = replace(door, direction="inbound")
    assert Seen.of(door, case).host == "a.example"
    assert Seen.of(cart, case, before=door).host == "inner.example"


def test_a_host_that_is_not_known_may_be_any_that_a_rule_asks_for() -> None:
    concerned = concerns(mutant(POLICY.replace("ACTION", "ALLOW"), f"{FIRST}.paths", "any value"))
    assert concerned(Seen(PROXY, "GET", "", None, denied=True))
    assert not concerned(Seen(PROXY, "GET", "elsewhere.example", None, denied=True))


API = {(AUDIENCE, "api"), ("request.auth.claims[aud]", "api")}
OF_ALICE = {(PRINCIPALS, "i/alice"), ("request.auth.claims[sub]", "alice")}


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (ALICE, API | OF_ALICE),
        (TokenSpec(None, {"sub": "alice"}), API | OF_ALICE),
        (TokenSpec("i", {"aud": "web"}), {(AUDIENCE, "web"), ("request.auth.claims[aud]", "web")}),
        (TokenSpec("i", {"aud": None}), set()),
        (TokenSpec("i", {"aud": ["api"]}), set()),
        (TokenSpec("i", {"aud": None, "scope": "read"}), {("request.auth.claims[scope]", "read")}),
        (TokenSpec("i", {"aud": None, "scope": "read write"}), set()),
    ],
)
def test_what_a_token_says_to_conditions_is_known_where_it_has_one_value(
    token: TokenSpec, said: set[tuple[str, str]]
) -> None:
    case = Case("c", FromWorkload(PROXY), HttpRequest(URL), None, CasePlace("c", 1), (token,))
    hop = Hop(PROXY, "inbound", 80, EvidenceLine(PROXY, "http"))
    assert Seen.of(hop, case, {"i": ("api", "web")}).token == said | {("request.auth.claims[iss]", "i")}
    flawed = replace(case, tokens=(replace(token, flaw="wrong audience"),))
    assert Seen.of(hop, flawed, {"i": ("api", "web")}).token == frozenset()


@pytest.mark.parametrize(
    ("line", "denied"),
    [
        (EvidenceLine(PROXY, "http", details="rbac_access_denied_matched_policy[none]"), True),
        (EvidenceLine(PROXY, "http", details="jwt_authn_access_denied{Jwt_is_expired}"), False),
        (EvidenceLine(PROXY, "http", details="via_upstream"), False),
        (EvidenceLine(PROXY, "tcp", upstream="127.0.0.1:1"), False),
        (EvidenceLine(PROXY, "connection", details="filter_chain_not_found"), True),
    ],
)
def test_a_refusal_by_a_policy_is_seen_and_one_without_http_is_taken_for_it(
    line: EvidenceLine, *, denied: bool
) -> None:
    case = Case("c", FromWorkload(PROXY), HttpRequest(URL), None, CasePlace("c", 1))
    assert Seen.of(Hop(PROXY, "inbound", 80, line), case).denied is denied


@pytest.mark.parametrize(("action", "change"), [("ALLOW", "any value"), ("DENY", "any value")])
def test_a_request_whose_verdict_is_not_known_is_concerned_by_every_change_at_a_proxy_that_it_met(
    action: str, change: str
) -> None:
    line = EvidenceLine(PROXY, "http", method="POST", authority="elsewhere.example", details="via_upstream")
    case = Case("c", FromWorkload(PROXY), HttpRequest("http://elsewhere.example/"), None, CasePlace("f", 1))
    unknown = Seen.of(Hop(PROXY, "inbound", 8080, line), case, judged=False)
    assert concerns(mutant(POLICY.replace("ACTION", action), f"{FIRST}.paths", change))(unknown)
    assert not concerns(mutant(POLICY.replace("ACTION", action), f"{FIRST}.paths", change))(
        Seen.of(Hop(PROXY, "inbound", 8080, line), case)
    )
