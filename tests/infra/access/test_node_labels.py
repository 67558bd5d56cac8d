"""A node that is taken over cannot give itself the label that the egress gateway's pods look for."""

from __future__ import annotations

import copy
from typing import Any

import kubernetes_validate
import pytest
import yaml
from meshlab.kustomize import build

from tests.infra.access.admission import Admission, Refusal, Request
from tests.infra.access.admission_cases import MESH

GATEWAY = yaml.safe_load((MESH / "egress/gateway/deployment.yaml").read_text())
(TERM,) = GATEWAY["spec"]["template"]["spec"]["affinity"]["nodeAffinity"][
    "requiredDuringSchedulingIgnoredDuringExecution"
]["nodeSelectorTerms"]
LABEL = TERM["matchExpressions"][0]["key"]
KUBELET = "system:node:gke-meshpass-applications-1"
MANIFESTS = build(MESH / "access")


def node(labels: dict[str, str] | None) -> dict[str, Any]:
    metadata = {"name": "gke-meshpass-applications-1", **({} if labels is None else {"labels": labels})}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def refusals(
    before: dict[str, str] | None,
    now: dict[str, str] | None,
    user: str = KUBELET,
    operation: str = "UPDATE",
    subresource: str = "",
) -> list[Refusal]:
    request = Request("", "nodes", node(now), "", operation, subresource, user, node(before), labels=None)
    return Admission(MANIFESTS).refusals(request)


@pytest.mark.parametrize("subresource", ["", "status"])
@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, {LABEL: "true"}),
        ({}, {LABEL: "true"}),
        ({"zone": "a"}, {"zone": "a", LABEL: "true"}),
        ({LABEL: "false"}, {LABEL: "true"}),
        ({LABEL: "true"}, {}),
        ({LABEL: "true"}, None),
    ],
)
def test_a_kubelet_may_not_change_the_label_of_the_gateways_nodes(
    before: dict[str, str] | None, now: dict[str, str] | None, subresource: str
) -> None:
    (found,) = refusals(before, now, subresource=subresource)
    assert found.policy == "node-labels"
    assert LABEL in found.message


@pytest.mark.parametrize(
    ("before", "now"),
    [(None, None), ({"zone": "a"}, {"zone": "b"}), ({LABEL: "true"}, {LABEL: "true", "x": "y"})],
)
def test_a_kubelet_may_change_what_else_it_reports(
    before: dict[str, str] | None, now: dict[str, str] | None
) -> None:
    assert refusals(before, now) == []


@pytest.mark.parametrize(
    "user", ["system:node-controller", "admin@example.com", "system:cloud-controller-manager"]
)
def test_others_than_kubelets_are_left_to_rbac(user: str) -> None:
    assert refusals({}, {LABEL: "true"}, user=user) == []


def test_a_node_of_the_gateways_pool_registers_with_its_label() -> None:
    assert refusals(None, {LABEL: "true"}, operation="CREATE") == []


def test_the_policy_and_its_binding_are_valid_objects() -> None:
    found = [manifest for manifest in MANIFESTS if manifest.name == "node-labels"]
    assert len(found) == 2
    for manifest in found:
        kubernetes_validate.validate(copy.deepcopy(dict(manifest.body)), "1.33", strict=True)
