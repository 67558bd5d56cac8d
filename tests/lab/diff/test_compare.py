"""Two meshes compared on real Envoys: each kind of change, and what is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from meshlab.battery.battery import Question
from meshlab.bench.case import (
    AppSpec,
    Case,
    CasePlace,
    FromBypass,
    FromWorkload,
    HttpRequest,
    Sender,
    TokenSpec,
)
from meshlab.bench.local_bench import LocalBench, LocalMesh
from meshlab.bench.protocol import Setup
from meshlab.diff.compare_meshes import Baseline, Compared, differences
from meshlab.diff.effect import Kind
from meshlab.inputs import Inputs
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.manifest import parse_manifests

from tests.lab.kube import app, mesh_of, namespace, service, service_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshlab.diff.compare_meshes import Difference

    Compare = Callable[..., Compared]

CALLER, CART, OTHER = (WorkloadRef("shop", name) for name in ("caller", "cart", "other"))
ISSUER = "https://idp.example"

POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules:
    - from: [{source: {principals: ["*/ns/shop/sa/caller"]}}]
      to: [{operation: {methods: [GET]}}]
"""
STRICT = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""
ROUTE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http: [{route: [{destination: {host: cart}}]}]
"""
MESH = mesh_of(
    namespace("shop"),
    service_account("caller", "shop"),
    app("caller", "shop", account="caller"),
    app("cart", "shop"),
    service("cart", "shop"),
    app("other", "shop"),
    service("other", "shop"),
    POLICY,
    STRICT,
    ROUTE,
)
WEIGHTS = "{route: [{destination: {host: cart}, weight: 50}, {destination: {host: other}, weight: 50}]}"
WEIGHTED = MESH.replace("{route: [{destination: {host: cart}}]}", WEIGHTS)
TWINS = mesh_of(
    MESH,
    app("left", "shop", labels="twin: a"),
    app("right", "shop", labels="twin: a"),
    service("twins", "shop", selector="twin: a"),
)
PLAINTEXT = """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: plain, namespace: shop}
spec: {host: cart, trafficPolicy: {tls: {mode: DISABLE}}}
"""
TOKENS = """\
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  selector: {matchLabels: {app: other}}
  jwtRules: [{issuer: "https://idp.example", jwksUri: "https://idp.example/keys", audiences: [before]}]
"""
FILTER = """\
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: lua, namespace: shop}
spec: {workloadSelector: {labels: {app: cart}}, priority: 1, configPatches: []}
"""
PARTNER = """\
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec:
  hosts: [partner.example]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: partner, namespace: shop}
spec: {host: partner.example, trafficPolicy: {tls: {mode: SIMPLE, sni: partner.example}}}
"""
FAULT = "{fault: {abort: {httpStatus: 429, percentage: {value: 50}}}, route: [{destination: {host: cart}}]}"


def question(
    name: str,
    url: str = "http://cart/",
    method: str = "GET",
    sender: Sender | None = None,
    tokens: tuple[TokenSpec, ...] = (),
) -> Question:
    request = HttpRequest(url, method, headers=(("x-client", "a"),))
    case = Case(name, sender or FromWorkload(CALLER), request, None, CasePlace("questions", 1), tokens)
    return Question(case, "the caller", "shop/cart", name)


QUESTIONS = (
    question("read"),
    question("write", method="POST"),
    question("the other", "http://other/"),
    question("plaintext", sender=FromBypass(None, CART, 8080, "plaintext")),
    question("with a token", "http://other/", tokens=(TokenSpec(ISSUER),)),
)


@pytest.fixture(scope="module")
def bench() -> Iterator[LocalBench]:
    bench = LocalBench()
    yield bench
    bench.close()


def mesh_from(bench: LocalBench, text: str) -> LocalMesh:
    return LocalMesh(bench, Inputs(tuple(parse_manifests(text, "mesh.yaml")), (), (), ()), None)


@pytest.fixture
def compare(bench: LocalBench) -> Compare:
    """Compare two texts of manifests, and return all that is found."""

    def compare(old: str, new: str, *questions: Question, setup: Setup | None = None) -> Compared:
        meshes = [mesh_from(bench, text) for text in (old, new)]
        baseline = Baseline(bench, meshes[0], questions or QUESTIONS, setup or Setup(), others=meshes[1:])
        return baseline.against(meshes[1])

    return compare


def kinds(compared: Compared) -> dict[str, Kind | None]:
    return {
        each.question.case.name: each.change.kind if each.change else None for each in compared.differences
    }


def only(compared: Compared) -> Difference:
    (found,) = compared.differences
    return found


def test_what_is_the_same_differs_in_nothing_and_is_not_sent_again(compare: Compare) -> None:
    found = compare(MESH, MESH)
    assert (found.differences, found.asked, found.sent_again) == ((), 5, 0)


def test_a_method_more_lets_in(compare: Compare) -> None:
    found = only(compare(MESH, MESH.replace("[GET]", "[GET, POST]")))
    assert found.question.case.name == "write"
    assert found.change is not None
    assert found.change.kind is Kind.NOW_ALLOWED
    assert found.old.summary == "403 by the proxy of shop/cart: no ALLOW policy matched"
    assert found.new.summary == "200 by the application of shop/cart"


def test_only_what_meets_the_changed_proxy_is_sent_again(compare: Compare) -> None:
    found = compare(MESH, MESH.replace("[GET]", "[GET, POST]"))
    assert found.sent_again == 3


def test_a_method_less_keeps_out(compare: Compare) -> None:
    assert kinds(compare(MESH, MESH.replace("[GET]", "[PUT]"))) == {"read": Kind.NOW_REFUSED}


def test_a_policy_written_in_other_words_is_no_change(compare: Compare) -> None:
    same = MESH.replace("[GET]", '["GET"]').replace("*/ns/shop/sa/caller", "cluster.local/ns/shop/sa/caller")
    found = compare(MESH, same)
    assert (found.differences, found.sent_again) == ((), 3)


def test_another_destination_answers(compare: Compare) -> None:
    found = compare(MESH, MESH.replace("{host: cart}}]}]", "{host: other}}]}]"))
    assert kinds(found) == {"read": Kind.ANOTHER_WORKLOAD, "write": Kind.NOW_ALLOWED}


def test_mtls_that_is_lost_and_gained_is_named(compare: Compare) -> None:
    with_mtls = MESH.replace("[GET]", "[GET], paths: [/]").replace(
        '    - from: [{source: {principals: ["*/ns/shop/sa/caller"]}}]\n      to:', "    - to:"
    )
    without = with_mtls.replace("STRICT", "PERMISSIVE") + PLAINTEXT
    lost = {each.question.case.name: each for each in compare(with_mtls, without).differences}
    assert lost["read"].change is not None
    assert lost["read"].change.kind is Kind.WITHOUT_MTLS
    identity = "spiffe://cluster.local/ns/shop/sa/caller"
    assert f"shop/cart saw {identity}, now no client certificate" in lost["read"].change.details
    assert kinds(compare(without, with_mtls))["read"] is Kind.WITH_MTLS


def test_tls_to_a_host_outside_that_is_no_longer_begun_is_named(compare: Compare) -> None:
    asked = question("partner", "http://partner.example/")
    found = only(
        compare(
            MESH + PARTNER,
            MESH + PARTNER.replace("mode: SIMPLE, sni: partner.example", "mode: DISABLE"),
            asked,
        )
    )
    assert found.change is not None
    assert found.change.kind is Kind.REACHES_DIFFERENTLY
    assert found.change.details == ("the server name: partner.example, now none",)


def test_plaintext_that_is_permitted_is_refused_differently_where_a_policy_still_refuses_it(
    compare: Compare,
) -> None:
    found = compare(MESH, MESH.replace("STRICT", "PERMISSIVE"))
    assert kinds(found) == {"plaintext": Kind.REFUSED_DIFFERENTLY}


def test_a_route_that_answers_itself_refuses_differently(compare: Compare) -> None:
    direct = MESH.replace("{route: [{destination: {host: cart}}]}", "{directResponse: {status: 418}}")
    assert kinds(compare(MESH, direct)) == {"read": Kind.NOW_REFUSED, "write": Kind.REFUSED_DIFFERENTLY}


@pytest.mark.parametrize(
    ("more", "kind", "detail"),
    [
        ("rewrite: {uri: /v2/}", Kind.REACHES_DIFFERENTLY, "the path: /, now /v2/"),
        (
            "headers: {request: {set: {x-team: shop}}}",
            Kind.REACHES_DIFFERENTLY,
            "the header x-team: absent, now 'shop'",
        ),
        (
            "headers: {request: {remove: [x-client]}}",
            Kind.REACHES_DIFFERENTLY,
            "the header x-client: 'a', now absent",
        ),
        (
            "headers: {response: {set: {x-frame-options: DENY}}}",
            Kind.ANSWERED_DIFFERENTLY,
            "the response header x-frame-options: absent, now 'DENY'",
        ),
    ],
)
def test_what_a_route_changes_of_request_and_response_is_named(
    compare: Compare, more: str, kind: Kind, detail: str
) -> None:
    found = only(
        compare(
            MESH,
            MESH.replace(
                "{route: [{destination: {host: cart}}]}",
                f"{{{more}, route: [{{destination: {{host: cart}}}}]}}",
            ),
            QUESTIONS[0],
        )
    )
    assert found.change is not None
    assert found.change.kind is kind
    assert detail in found.change.details


def test_a_sender_that_is_gone_is_not_there(compare: Compare) -> None:
    gone = MESH.replace(app("caller", "shop", account="caller") + "---\n", "")
    found = {each.question.case.name: each for each in compare(MESH, gone).differences}
    assert set(found) == {"read", "the other", "with a token"}
    assert found["read"].new.summary == "not there: there is no workload shop/caller"
    back = compare(gone, MESH)
    assert kinds(back) == dict.fromkeys(found, Kind.NOW_ALLOWED)


def test_a_service_that_is_gone_does_not_resolve(compare: Compare) -> None:
    gone = MESH.replace(service("other", "shop") + "---\n", "")
    found = {each.question.case.name: each for each in compare(MESH, gone).differences}
    assert set(found) == {"the other", "with a token"}
    assert found["the other"].new.summary.startswith("not there: other does not resolve for shop/caller")


def test_what_neither_side_has_is_counted_and_no_change(compare: Compare) -> None:
    stranger = question("an absent caller", sender=FromWorkload(WorkloadRef("shop", "absent")))
    found = compare(MESH, MESH.replace("[GET]", "[PUT]"), stranger)
    assert (found.differences, [each.case.name for each in found.nowhere]) == ((), ["an absent caller"])


def test_weights_that_both_sides_have_are_chance_and_no_change(compare: Compare) -> None:
    found = compare(WEIGHTED, WEIGHTED.replace("hosts: [cart]", "hosts: [cart, cart.shop]"), QUESTIONS[0])
    assert found.differences == ()


def test_one_of_several_workloads_behind_a_service_answers_by_chance_and_that_is_no_change(
    compare: Compare,
) -> None:
    # The caller's proxy differs, so each question is sent again.
    other = TWINS.replace("hosts: [cart]", "hosts: [cart, cart.shop]")
    asked = [question(f"number {number}", "http://twins/") for number in range(12)]
    found = compare(TWINS, other, *asked)
    assert (found.differences, found.sent_again) == ((), 12)


def test_a_destination_that_is_new_by_weight_is_a_change_with_its_frequency(compare: Compare) -> None:
    found = only(compare(MESH, WEIGHTED, QUESTIONS[0]))
    assert found.change is not None
    assert found.change.kind is Kind.ANOTHER_WORKLOAD
    assert found.chance.startswith("in ")
    assert found.chance.endswith("before in 0 of 65")


def test_a_request_that_another_route_takes_by_weight_is_a_change_though_the_host_has_the_same_weights(
    compare: Compare,
) -> None:
    split = WEIGHTS.replace("weight: 50", "weight: 80", 1).replace("weight: 50", "weight: 20")
    routes = (
        f"[{{match: [{{uri: {{exact: /split}}}}], {split[1:]}, {{route: [{{destination: {{host: cart}}}}]}}]"
    )
    old = MESH.replace("[{route: [{destination: {host: cart}}]}]", routes)
    found = compare(
        old, old.replace("exact: /split", "prefix: /split"), question("beside", "http://cart/split/1")
    )
    assert kinds(found) == {"beside": Kind.ANOTHER_WORKLOAD}


def test_a_fault_in_half_of_the_requests_is_no_change_where_both_sides_have_it(compare: Compare) -> None:
    faulty = MESH.replace("{route: [{destination: {host: cart}}]}", FAULT)
    found = compare(faulty, faulty.replace("hosts: [cart]", "hosts: [cart, cart.shop]"), QUESTIONS[0])
    assert found.differences == ()


def test_a_fault_in_half_of_the_requests_is_a_change_where_one_side_has_it(compare: Compare) -> None:
    faulty = MESH.replace("{route: [{destination: {host: cart}}]}", FAULT)
    assert kinds(compare(MESH, faulty, QUESTIONS[0])) == {"read": Kind.NOW_REFUSED}


def test_a_caller_goes_on_with_its_token_when_the_audience_changes(compare: Compare) -> None:
    found = only(compare(MESH + TOKENS, MESH + TOKENS.replace("[before]", "[now]")))
    assert found.question.case.name == "with a token"
    assert found.change is not None
    assert (found.change.kind, found.new.status) == (Kind.NOW_REFUSED, 403)


def test_a_server_that_failed_once_is_not_ejected_for_the_next_request(compare: Compare) -> None:
    eject = PLAINTEXT.replace(
        "tls: {mode: DISABLE}", "outlierDetection: {consecutive5xxErrors: 1, interval: 10ms}"
    )
    broken = Setup(apps=(AppSpec("shop/other", status=503, body="out of order"),))
    asked = [question(f"number {number}", "http://other/") for number in range(8)]
    old = MESH + eject.replace("host: cart", "host: other")
    found = compare(old, old.replace("10ms", "20ms"), *asked, setup=broken)
    assert [each.new.unknown for each in found.differences] == []


def test_what_is_not_judged_is_listed_and_never_dropped(compare: Compare) -> None:
    filtered = MESH + FILTER
    found = compare(MESH, filtered)
    listed = {each.question.case.name: each for each in found.differences}
    assert {"read", "write", "plaintext"} <= set(listed)
    assert listed["read"].change is None
    assert "EnvoyFilter" in listed["read"].new.unknown[0]
    assert not listed["read"].new.failed


def test_a_workload_that_cannot_be_read_is_not_judged_and_never_taken_for_gone(compare: Compare) -> None:
    objects = list(yaml.safe_load_all(MESH))
    cart = next(
        each for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == "cart"
    )
    cart["spec"]["template"]["metadata"]["annotations"] = {
        "traffic.sidecar.istio.io/excludeInboundPorts": "8080"
    }
    listed = {
        each.question.case.name: each for each in compare(MESH, yaml.safe_dump_all(objects)).differences
    }
    assert listed["plaintext"].change is None
    assert "excludeInboundPorts" in listed["plaintext"].new.unknown[0]
    assert not listed["plaintext"].new.failed


def test_what_is_not_judged_on_both_sides_is_listed_only_where_something_that_it_meets_differs(
    compare: Compare,
) -> None:
    filtered = MESH + FILTER
    assert compare(filtered, filtered).differences == ()
    changed = compare(filtered, filtered.replace("[GET]", "[GET, POST]"))
    assert kinds(changed) == {"read": None, "write": None, "plaintext": None}
    other = compare(filtered, filtered.replace("priority: 1", "priority: 2"))
    assert {"read", "write", "plaintext"} <= set(kinds(other))
    assert set(kinds(other).values()) == {None}


def test_a_server_that_only_one_side_has_a_place_for_is_left_out_on_the_other(compare: Compare) -> None:
    extra = mesh_of(MESH, app("extra", "shop"), service("extra", "shop"))
    teapot = Setup(apps=(AppSpec("shop/extra", status=418, body="short and stout"),))
    found = only(compare(MESH, extra, question("the new one", "http://extra/"), setup=teapot))
    assert found.change is not None
    assert (found.change.kind, found.new.status) == (Kind.NOW_ALLOWED, 418)


def test_one_baseline_serves_for_many_meshes(bench: LocalBench) -> None:
    baseline = Baseline(bench, mesh_from(bench, MESH), QUESTIONS, Setup())
    wider, narrower = (
        mesh_from(bench, MESH.replace("[GET]", methods)) for methods in ("[GET, POST]", "[PUT]")
    )
    assert kinds(baseline.against(wider)) == {"write": Kind.NOW_ALLOWED}
    assert kinds(baseline.against(narrower)) == {"read": Kind.NOW_REFUSED}
    assert kinds(baseline.against(wider, confirm=False)) == {"write": Kind.NOW_ALLOWED}
    assert baseline.against(mesh_from(bench, MESH)).differences == ()
    assert not baseline.can_differ(mesh_from(bench, MESH))
    assert baseline.can_differ(wider)


def test_the_list_of_differences_is_that_of_the_comparison(bench: LocalBench) -> None:
    old, new = mesh_from(bench, MESH), mesh_from(bench, MESH.replace("[GET]", "[GET, POST]"))
    (found,) = differences(bench, old, new, QUESTIONS, Setup())
    assert found.question.case.name == "write"
