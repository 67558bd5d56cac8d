"""Who gets which role: RoleBindings of the network's administrators and of the teams' members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshgen.ingress.model import GATEWAY
from meshgen.networks.environment import ROOT_NAMESPACE

if TYPE_CHECKING:
    from meshgen.egress.gateway import Gateway
    from meshgen.generated import Object
    from meshgen.networks.environment import Environment

__all__ = ["administrator_bindings", "team_bindings"]


def administrator_bindings(environment: Environment, egress: Gateway) -> list[Object]:
    """Return what the network's administrators get; a gateway's workloads and Secrets are theirs too."""
    group = environment.administrators
    return [
        _binding(
            "ClusterRoleBinding",
            "network-administrators",
            "",
            "network-administrator",
            group,
            "In every namespace: a team's Sidecar, ServiceEntry or NetworkPolicy is theirs too.",
        ),
        *(
            _binding(
                "RoleBinding",
                "network-administrators",
                namespace,
                "gateway-administrator",
                group,
                "Workloads and Secrets of a gateway, in its own namespace alone.",
            )
            for namespace in (egress.namespace, GATEWAY.namespace)
        ),
        _binding(
            "RoleBinding",
            "network-administrators",
            ROOT_NAMESPACE,
            "mesh-viewer",
            group,
            "The mesh's settings, to read: Istio's installation changes them.",
        ),
    ]


def team_bindings(environment: Environment, namespace: str) -> list[Object]:
    """Return what a team's members get, in their own namespace alone."""
    group = environment.team_group.replace("{namespace}", namespace)
    return [
        _binding(
            "RoleBinding",
            "team-members",
            namespace,
            "team-member",
            group,
            "In this namespace alone. Never bind edit or admin here: both may write NetworkPolicies.",
        )
    ]


def _binding(kind: str, name: str, namespace: str, role: str, group: str, reason: str) -> Object:
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    metadata["annotations"] = {"kubernetes.io/description": reason}
    api = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{api}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "Group", "name": group}],
    }
