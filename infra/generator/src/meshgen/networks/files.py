"""Which files follow from the environments, the teams and the callers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshgen.contract_file import contract_values
from meshgen.egress.gateway import read_gateway
from meshgen.generated import GeneratedFile, objects_file
from meshgen.networks.bindings import administrator_bindings, team_bindings
from meshgen.networks.environment import (
    ROOT_NAMESPACE,
    read_environments,
    read_teams,
)
from meshgen.networks.key_servers import read_key_servers
from meshgen.networks.policies import control_plane_policies, gateway_policies, team_policies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from meshgen.egress.gateway import Gateway
    from meshgen.generated import Object
    from meshgen.networks.environment import Environment, Team
    from meshgen.networks.key_servers import KeyServer

__all__ = ["generate_networks"]

_TEAMS = "infra/mesh/egress/teams"
_CALLERS = "infra/mesh/callers"
_SERVICE = "infra/mesh/egress/gateway/service.yaml"


def generate_networks(root: Path) -> list[GeneratedFile]:
    """Return the NetworkPolicies and RoleBindings of every environment.

    Raises:
        DescriptionError: A description, or the egress gateway's Service, is wrong.
        LabError: The contract cannot be read.
    """
    environments = read_environments(root)
    if not environments:
        return []
    teams = read_teams(root)
    servers = read_key_servers(root, contract_values(root))
    gateway = read_gateway(root / _SERVICE)
    files = []
    for environment in environments:
        policies = root / "infra/mesh/egress/network-policies" / environment.name
        source = f"{environment.source}, {_TEAMS}, {_CALLERS} and {_SERVICE}"
        files += _directory(policies, source, _policies(environment, teams, gateway, servers))
        bindings = root / "infra/mesh/access/bindings" / environment.name
        source = f"{environment.source} and {_TEAMS}"
        files += _directory(bindings, source, _bindings(environment, teams, gateway))
    return files


def _policies(
    environment: Environment, teams: Sequence[Team], gateway: Gateway, servers: Sequence[KeyServer]
) -> dict[str, list[Object]]:
    namespaces = [team.namespace for team in teams]
    return {
        gateway.namespace: gateway_policies(environment, teams, gateway),
        ROOT_NAMESPACE: control_plane_policies(environment, namespaces, gateway, servers),
        **{team.namespace: team_policies(environment, team, gateway) for team in teams},
    }


def _bindings(environment: Environment, teams: Sequence[Team], gateway: Gateway) -> dict[str, list[Object]]:
    return {
        "administrators": administrator_bindings(environment, gateway),
        **{team.namespace: team_bindings(environment, team.namespace) for team in teams},
    }


def _directory(directory: Path, source: str, objects: Mapping[str, Sequence[Object]]) -> list[GeneratedFile]:
    """Return one file for each name, and the kustomization that holds them."""
    files = [objects_file(directory / f"{name}.yaml", source, found) for name, found in objects.items()]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(file.path.name for file in files),
    }
    return [*files, objects_file(directory / "kustomization.yaml", source, [kustomization])]
