"""Every admission rule lets its good objects pass and refuses its bad ones, by itself, wherever a pod may stand."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
from meshlab.kustomize import build

from tests.infra.access.admission import Admission, Request, compiled, expressions
from tests.infra.access.admission_cases import ADMISSION, GATEWAYS, OWN_OBJECTS, RULES, Case, cases, requests

if TYPE_CHECKING:
    from collections.abc import Iterator

KUBERNETES_VERSION = "1.33"
_MANIFESTS = build(ADMISSION)
_POLICIES = {
    found.name: dict(found.body) for found in _MANIFESTS if found.kind == "ValidatingAdmissionPolicy"
}
_GOOD = [case for rule in RULES for case in cases(rule, good=True)]
_BAD = [case for rule in RULES for case in cases(rule, good=False)]


@pytest.fixture(scope="module")
def admission() -> Admission:
    return Admission(_MANIFESTS)


@pytest.mark.parametrize("case", _GOOD, ids=str)
def test_a_good_object_passes_every_rule(case: Case, admission: Admission) -> None:
    refused = [(sent.body["kind"], admission.refusals(sent)) for sent in requests(case)]
    assert [(kind, refusals) for kind, refusals in refused if refusals] == []


@pytest.mark.parametrize("case", _BAD, ids=str)
def test_a_bad_object_is_refused_by_its_rule_alone_and_says_why(case: Case, admission: Admission) -> None:
    sent = requests(case)
    assert sent
    for request in sent:
        refusals = admission.refusals(request)
        assert [found.policy for found in refusals] == [case.rule], (request.body["kind"], refusals)
        assert case.value["says"] in refusals[0].message


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_good_and_bad_objects(rule: str) -> None:
    assert cases(rule, good=True)
    assert cases(rule, good=False)


def test_every_rule_is_part_of_the_kustomization_and_bound() -> None:
    assert sorted(_POLICIES) == RULES
    bound = [found.body["spec"]["policyName"] for found in _MANIFESTS if found.kind.endswith("Binding")]
    assert sorted(bound) == RULES


@pytest.mark.parametrize("policy", _POLICIES.values(), ids=_POLICIES.keys())
def test_every_validation_is_needed(policy: dict[str, Any]) -> None:
    for number, validation in enumerate(policy["spec"]["validations"]):
        without = _admission_with(_without(policy, number))
        admitted = [
            case
            for case in _BAD
            if case.rule == policy["metadata"]["name"]
            and any(not without.refusals(request) for request in requests(case))
        ]
        assert admitted, validation["message"]


def _literals() -> Iterator[tuple[str, int, str, str]]:
    for name, policy in _POLICIES.items():
        for number, validation in enumerate(policy["spec"]["validations"]):
            for literal in sorted(set(re.findall(r"'[^']*'|\b1337\b", validation["expression"]))):
                yield name, number, literal, "4242" if literal == "1337" else "'something-else'"


@pytest.mark.parametrize(("name", "number", "literal", "other"), list(_literals()))
def test_a_value_that_is_changed_is_noticed(name: str, number: int, literal: str, other: str) -> None:
    policy = copy.deepcopy(_POLICIES[name])
    validation = policy["spec"]["validations"][number]
    validation["expression"] = validation["expression"].replace(literal, other)
    changed = _admission_with(policy)
    assert any(
        bool(changed.refusals(request)) == case.good
        for case in (*_GOOD, *_BAD)
        if case.rule == name
        for request in (requests(case)[0], requests(case)[-1])  # a template and a pod
    ), f"{literal} in {validation['message']}"


def test_an_expression_that_fails_refuses(admission: Admission) -> None:
    (request,) = [
        sent for sent in requests(_GOOD[0]) if (sent.resource, sent.operation) == ("deployments", "CREATE")
    ]
    broken = copy.deepcopy(request.body)
    del broken["spec"]["template"]["spec"]["containers"]
    refusals = admission.refusals(Request("apps", "deployments", broken, "team-x"))
    assert any(found.message.startswith("error: ") for found in refusals)


def test_an_object_that_is_being_deleted_may_lose_its_finalizers(admission: Admission) -> None:
    case = next(case for case in _BAD if case.rule == "host-network")
    for request in requests(case):
        going = copy.deepcopy(request.body)
        going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        sent = Request(request.group, request.resource, going, request.namespace, "UPDATE")
        assert admission.refusals(sent) == []


def test_a_debug_container_is_judged_in_a_pod_that_is_being_deleted(admission: Admission) -> None:
    case = next(case for case in _BAD if case.rule == "capabilities" and case.value.get("only") == "debug")
    (request,) = requests(case)
    request.body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert [found.policy for found in admission.refusals(request)] == ["capabilities"]


@pytest.mark.parametrize("namespace", ["kube-system", "istio-system", "gke-managed-system"])
def test_the_clusters_own_namespaces_are_left_alone(namespace: str, admission: Admission) -> None:
    for case in _BAD:
        assert admission.refusals(replace(requests(case)[0], namespace=namespace)) == []


@pytest.mark.parametrize("namespace", ["kube-system-2", "my-gke-managed-system", "default", "gmp"])
def test_a_namespace_with_a_similar_name_is_judged(namespace: str, admission: Admission) -> None:
    for rule in RULES:
        request = requests(cases(rule, good=False)[0])[0]
        assert admission.refusals(replace(request, namespace=namespace)), rule


@pytest.mark.parametrize("policy", _POLICIES.values(), ids=_POLICIES.keys())
def test_cels_own_checker_takes_every_expression(policy: dict[str, Any]) -> None:
    for expression in expressions(policy):
        compiled(expression)


def test_every_rule_judges_creation_and_change() -> None:
    for policy in _POLICIES.values():
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]:
            assert rule["operations"] == ["CREATE", "UPDATE"]


@pytest.mark.parametrize("case", [*_GOOD, *_BAD], ids=str)
def test_every_object_of_a_case_could_be_sent(case: Case) -> None:
    request = requests(case)[-1]  # one object that holds the pod is like another
    kubernetes_validate.validate(copy.deepcopy(request.body), KUBERNETES_VERSION, strict=True)


_RESOURCES = {"Deployment": ("apps", "deployments"), "Service": ("", "services")}


@pytest.mark.parametrize("name", OWN_OBJECTS)
def test_the_projects_own_workloads_and_services_are_admitted(name: str, admission: Admission) -> None:
    body = OWN_OBJECTS[name]
    request = Request(*_RESOURCES[body["kind"]], body, body["metadata"]["namespace"])
    assert admission.refusals(request) == []


def test_the_projects_own_workloads_are_those_of_all_meshes() -> None:
    names = {body["metadata"]["name"] for body in OWN_OBJECTS.values() if body["kind"] == "Deployment"}
    assert names >= {
        "istio-internal-gateway",
        "istio-egressgateway",
        "istio-lambda-egress",
        "istio-lambda-ingress",
    }
    assert names >= {"orders", "user-profile", "greeter"}


EXEMPT = ("injection", "proxy-identity", "proxy-settings", "services")
"""The rules that a gateway could not keep."""


def test_the_namespaces_that_some_rules_leave_out_are_those_of_the_gateways() -> None:
    for name, policy in _POLICIES.items():
        selector = policy["spec"]["matchConstraints"].get("namespaceSelector")
        assert (selector is not None) is (name in EXEMPT), name
        if selector is not None:
            (expression,) = selector["matchExpressions"]
            assert (expression["key"], expression["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
            assert expression["values"] == GATEWAYS, name


@pytest.mark.parametrize("namespace", GATEWAYS)
def test_a_gateways_namespace_is_left_out_of_these_rules_alone_and_no_similar_name(
    namespace: str, admission: Admission
) -> None:
    for rule in RULES:
        request = requests(cases(rule, good=False)[0])[0]
        refused = [found.policy for found in admission.refusals(replace(request, namespace=namespace))]
        assert refused == ([] if rule in EXEMPT else [rule])
        for similar in (f"{namespace}-2", f"my-{namespace}", namespace.removesuffix("gress")):
            assert [found.policy for found in admission.refusals(replace(request, namespace=similar))] == [
                rule
            ]


def test_every_rule_says_why_it_is_there() -> None:
    for rule in RULES:
        first = (ADMISSION / rule / "policy.yaml").read_text().splitlines()[0]
        assert first.startswith("# "), rule


def _without(policy: dict[str, Any], number: int) -> dict[str, Any]:
    left = copy.deepcopy(policy)
    del left["spec"]["validations"][number]
    return left


def _admission_with(policy: dict[str, Any]) -> Admission:
    """Return the cluster's admission with one policy in another form."""
    changed = Admission(_MANIFESTS)
    changed.policies = {**changed.policies, policy["metadata"]["name"]: policy}
    return changed
