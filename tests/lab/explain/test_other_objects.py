"""Explanations of routes of the Gateway API, external authorizers, dry runs and headers without a value."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.explain.run import explain_cases

from tests.lab.explain.town import policy, rule, step
from tests.lab.kube import app, mesh_of, namespace, service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.explain.explanation import Explanation

MESH = mesh_of(
    namespace("shop"),
    app("cart", "shop"),
    service("cart", "shop"),
    service("ext", "shop", "{name: http, port: 8000}"),
    """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: door, namespace: shop}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: "*.shop.example"}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{name: door}]
  hostnames: [a.shop.example]
  rules:
    - matches: [{path: {type: Exact, value: /asked}}]
      backendRefs: [{name: cart, port: 80}]
    - matches: [{path: {type: PathPrefix, value: /cart}, headers: [{name: x-a, value: "1"}]}]
      backendRefs: [{name: cart, port: 80}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: asked, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  action: CUSTOM
  provider: {name: ext}
  rules: [{to: [{operation: {paths: [/asked]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: dry, namespace: shop, annotations: {istio.io/dry-run: "true"}}
spec:
  selector: {matchLabels: {app: cart}}
  action: DENY
  rules: [{when: [{key: "request.headers[x-b]", notValues: ["1"]}]}]
""",
)
CASES = """
authorizers: {ext: [{allow: false, status: 418}]}
defaults: {from: {outside: shop/door-istio}}
cases:
- {name: asked, request: GET http://a.shop.example/asked, expect: 418}
- {name: let in, request: {url: "http://a.shop.example/cart/1", headers: {x-a: "1", x-b: ""}}, expect: 200}
- {name: no header, request: {url: "http://a.shop.example/cart/1", headers: {x-a: "1"}}, expect: 200}
- {name: no route, request: {url: "http://a.shop.example/cart/1", headers: {x-a: "2"}}, expect: 404}
- {name: no host, request: GET http://b.shop.example/cart, expect: 404}
"""


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Explanation]]:
    folder = tmp_path_factory.mktemp("mesh")
    (folder / "mesh.yaml").write_text(MESH)
    settings = folder / "mesh-config.yaml"
    settings.write_text(
        "extensionProviders:\n- name: ext\n"
        "  envoyExtAuthzHttp: {service: ext.shop.svc.cluster.local, port: 8000}\n"
    )
    files = [parse_case_file(CASES, "cases.yaml")]
    with closing(LocalBench(condition_probes=True)) as bench:
        loaded = bench.load(Sources((str(folder / "mesh.yaml"),), mesh_config=settings))
        found = explain_cases(bench, loaded, files, files[0].cases, with_widening=False)
        yield {each.name: each for each in found}


def test_a_route_of_the_gateway_api_is_named_by_its_rule(explained: dict[str, Explanation]) -> None:
    (place,) = step(explained["let in"], "route", 0).places
    assert (place.subject, place.path) == ("HTTPRoute shop/cart", "spec.rules[1]")
    (place,) = step(explained["let in"], "listener", 0).places
    assert (place.subject, place.path) == ("Gateway shop/door", "spec.listeners[0]")


def test_of_a_route_that_does_not_match_the_header_is_named(explained: dict[str, Explanation]) -> None:
    details = step(explained["no route"], "route", 0).details
    assert any("spec.rules[1]" in each and each.endswith("wants header x-a") for each in details)
    assert any("spec.rules[0]" in each and each.endswith("wants path /asked") for each in details)
    assert (
        "HTTPRoute of these servers has the host 'b.shop.example'" in step(explained["no host"], "route").text
    )


def test_what_an_external_authorizer_denies_is_its_own_refusal(explained: dict[str, Explanation]) -> None:
    found = explained["asked"]
    assert found.decision is not None
    assert (found.decision.status, found.decision.policy, found.decision.rule) == (418, "shop/asked", 0)
    assert "the external authorizer that shop/asked, rule 0, asks denied it" in step(found, "policies").text
    assert policy(found, "shop/asked").text == "asks the authorizer ext (rule 0 matches)"
    # Istio asks before anything else is decided.
    assert policy(found, "shop/dry").matched is None
    first, *_ = found.changes
    assert first.verified
    assert first.parts[0].place is not None
    assert first.parts[0].place.path == "spec.rules[0].to[0].operation.notPaths"


def test_a_dry_run_says_what_it_would_do(explained: dict[str, Explanation]) -> None:
    found = policy(explained["no header"], "shop/dry")
    assert (found.dry_run, found.text) == (True, "would do so, but is a dry run: denies (rule 0 matches)")


def test_an_empty_header_is_not_a_missing_one(explained: dict[str, Explanation]) -> None:
    (empty,) = rule(explained["let in"], "shop/dry").conditions
    (missing,) = rule(explained["no header"], "shop/dry").conditions
    assert (empty.saw, missing.saw) == ("an empty value, or one of more than 8 KiB", "none")
