"""Environments, and namespaces that have one owner: what would be wider than it reads is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from meshgen.networks import generate_networks
from meshgen.plan import generate
from meshgen.sources import DescriptionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.infra.generator.conftest import Change

EXAMPLE = "infra/mesh/environments/example.yaml"
TEAM = """\
namespace: {namespace}
hosts:
  - host: api.payments.example
    tls: passthrough
"""


def problems(root: Path, read: Callable[[Path], object] = generate_networks) -> list[str]:
    with pytest.raises(DescriptionError) as caught:
        read(root)
    return [problem.replace(f"{root}/infra/mesh/", "") for problem in caught.value.problems]


def described(root: Path, name: str, namespace: str) -> None:
    (root / f"infra/mesh/egress/teams/{name}.yaml").write_text(TEAM.format(namespace=namespace))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.0.0.0/0", "is wider than /24"),
        ("10.0.0.0/8", "is wider than /24"),
        ("10.5.0.0/23", "is wider than /24"),
        ("10.5.0.1/28", "has host bits set"),
        ("127.0.0.0/28", "holds no address that a machine on a network can have"),
        ("169.254.169.254/32", "holds no address that a machine on a network can have"),
        ("224.0.0.0/24", "holds no address that a machine on a network can have"),
        ("0.0.0.0/32", "holds no address that a machine on a network can have"),
        ("255.255.255.255/32", "holds no address that a machine on a network can have"),
    ],
)
def test_a_range_of_the_api_server_that_holds_more_than_one_is_refused(
    root: Path, change: Change, text: str, says: str
) -> None:
    change(EXAMPLE, "[10.5.0.0/28]", f"[10.5.0.0/28, {text}]")
    (problem,) = problems(root)
    assert problem.startswith(f"environments/example.yaml:12: controlPlane.apiServer.1: {text} {says}")


@pytest.mark.parametrize("text", ["10.5.0.0/24", "172.16.0.32/28", "34.70.1.2/32"])
def test_a_range_of_one_control_plane_is_taken(root: Path, change: Change, text: str) -> None:
    change(EXAMPLE, "[10.5.0.0/28]", f"[{text}]")
    assert generate_networks(root)


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "0.0.0.0", "127.0.0.1", "169.254.169.254", "224.0.0.1", "10.2.0.300"]
)
def test_an_address_that_no_service_of_the_cluster_has_is_refused(
    root: Path, change: Change, text: str
) -> None:
    change(EXAMPLE, "  mode: node-local", f"  serviceAddress: {text}\n  mode: node-local")
    (problem,) = problems(root)
    assert problem.startswith(f"environments/example.yaml:5: dns.serviceAddress: {text} ")


@pytest.mark.parametrize("text", ["10.2.0.10", "34.118.224.10", "240.1.0.10", "100.64.0.10"])
def test_an_address_of_the_clusters_services_is_taken(root: Path, change: Change, text: str) -> None:
    change(EXAMPLE, "  mode: node-local", f"  serviceAddress: {text}\n  mode: node-local")
    assert generate_networks(root)


@pytest.mark.parametrize(
    "group",
    [
        "system:masters",
        "system:authenticated",
        "system:unauthenticated",
        "system:serviceaccounts",
        "system:serviceaccounts:team-x",
        "system:nodes",
        "gke-security-groups@example.com",
        "allUsers",
        "allAuthenticatedUsers",
        "*",
        "two groups",
        "{namespace}@example.com",
    ],
)
def test_administrators_that_are_no_one_group_are_refused(root: Path, change: Change, group: str) -> None:
    change(EXAMPLE, "administrators: network-administrators@example.com", f'administrators: "{group}"')
    (problem,) = problems(root)
    assert problem.startswith("environments/example.yaml:14: administrators: ")
    assert group in problem


@pytest.mark.parametrize(
    "group",
    [
        "system:serviceaccounts:{namespace}",
        "system:{namespace}",
        "{namespace}@{domain}",
        "* {namespace}",
        "all-teams@example.com",
    ],
)
def test_a_group_that_is_no_teams_own_is_refused(root: Path, change: Change, group: str) -> None:
    change(EXAMPLE, '"{namespace}@example.com"', f'"{group}"')
    (problem,) = problems(root)
    assert problem.startswith("environments/example.yaml:15: teamGroup: ")


def test_a_namespace_whose_group_is_that_of_the_administrators_is_refused(root: Path) -> None:
    described(root, "admins", "network-administrators")
    assert problems(root) == [
        (
            "environments/example.yaml:15: teamGroup: with the namespace network-administrators this is"
            " network-administrators@example.com, the administrators' group; rename one of them."
        )
    ]


def test_a_namespace_whose_group_is_one_of_kubernetes_is_refused(root: Path, change: Change) -> None:
    change(EXAMPLE, '"{namespace}@example.com"', '"{namespace}:masters"')
    described(root, "ops", "system")
    (problem,) = problems(root)
    assert problem.startswith("environments/example.yaml:15: teamGroup: system:masters ")


def test_every_service_and_both_gateways_reach_istiod_without_being_named(root: Path, change: Change) -> None:
    change("infra/mesh/services/orders/service.yaml", "namespace: orders", "namespace: shop")
    for file in (root / "infra/mesh/services/orders").glob("*.yaml"):
        file.write_text(file.read_text().replace("namespace: orders", "namespace: shop"))
    change(EXAMPLE, "administrators: n", "namespaces: [batch]\nadministrators: n")
    (written,) = (
        file
        for file in generate_networks(root)
        if file.path == root / "infra/mesh/egress/network-policies/example/istio-system.yaml"
    )
    (istiod,) = (body for body in yaml.safe_load_all(written.text) if body["metadata"]["name"] == "istiod")
    (peer,) = istiod["spec"]["ingress"][0]["from"]
    assert peer["namespaceSelector"]["matchExpressions"][0]["values"] == [
        "batch", "istio-egress", "istio-ingress", "shop", "team-x", "team-y", "user-profile",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("namespace", "says"),
    [
        ("orders", "is that of the service orders"),
        ("team-x", "is that of the team team-x"),
        ("istio-ingress", "is that of the ingress gateway"),
        ("istio-egress", "is that of the egress gateway"),
        ("istio-system", "is one of Kubernetes, GKE or Istio's control plane"),
        ("kube-system", "is one of Kubernetes, GKE or Istio's control plane"),
    ],
)
def test_further_namespaces_are_those_that_no_description_has(
    root: Path, change: Change, namespace: str, says: str
) -> None:
    change(EXAMPLE, "administrators: n", f"namespaces: [batch, {namespace}]\nadministrators: n")
    (problem,) = problems(root)
    assert problem.startswith(f"environments/example.yaml:14: namespaces.1: {namespace} {says}")


@pytest.mark.parametrize(
    "namespace", ["istio-system", "istio-ingress", "istio-egress", "kube-system", "gke-x", "default"]
)
def test_a_team_has_no_namespace_and_no_name_of_the_cluster_itself(root: Path, namespace: str) -> None:
    described(root, "billing", namespace)
    described(root, namespace, "finance")
    found = problems(root, generate)
    assert f"egress/teams/billing.yaml:1: namespace: {namespace} is no team's namespace." in found
    (named,) = [problem for problem in found if problem.startswith(f"egress/teams/{namespace}.yaml:1: ")]
    assert f"{namespace} is no name of a team" in named


def test_a_team_and_a_service_have_different_namespaces_and_all_problems_are_shown_at_once(
    root: Path, change: Change
) -> None:
    described(root, "billing", "orders")
    described(root, "user-profile", "profiles")
    described(root, "team-y", "team-y")
    described(root, "audit", "audit")
    described(root, "profiles-team", "team-z")
    described(root, "team-z", "team-q")
    change(EXAMPLE, "[10.5.0.0/28]", "[10.0.0.0/8]")
    change(EXAMPLE, "administrators: network-administrators@example.com", "administrators: system:masters")
    assert sorted(problems(root, generate)) == [
        "egress/teams/billing.yaml:1: namespace: orders is that of the service orders; give the team another.",
        "egress/teams/team-z.yaml:1: team-z is the namespace of the team profiles-team; name the file otherwise.",
        (
            "egress/teams/user-profile.yaml:1: user-profile is the namespace of the service user-profile; name the file"
            " otherwise."
        ),
        (
            "environments/example.yaml:12: controlPlane.apiServer.0: 10.0.0.0/8 is wider than /24; name the range of"
            " one control plane."
        ),
        (
            "environments/example.yaml:14: administrators: system:masters is a group of Kubernetes itself; name a group"
            " of your own."
        ),
    ]


def test_the_namespace_of_a_gateway_that_was_renamed_is_no_teams(root: Path) -> None:
    service = root / "infra/mesh/egress/gateway/service.yaml"
    service.write_text(service.read_text().replace("istio-egress\n", "outgoing\n"))
    described(root, "billing", "outgoing")
    assert problems(root, generate) == [
        "egress/teams/billing.yaml:1: namespace: outgoing is that of the egress gateway; give the team another."
    ]
