"""Requests that a change cannot concern: what is sure is left out, and everything else is sent again."""

from __future__ import annotations

from itertools import product

import pytest
from meshlab.istio import WorkloadRef
from meshlab.manifest import parse_manifests
from meshlab.mutate.concern import Seen, concerns
from meshlab.mutate.mutants import Mutant, mutants_of

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


def seen(method: str = "GET", host: str = "shop.example", *, denied: bool = True) -> Seen:
    return Seen(PROXY, method, host, denied)


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
