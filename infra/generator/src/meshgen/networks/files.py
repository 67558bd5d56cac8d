"""Which files follow from the environments and the teams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshgen.generated import GeneratedFile, objects_file
from meshgen.networks.bindings import administrator_bindings, team_bindings
from meshgen.networks.environment import (
    EGRESS_NAMESPACE,
    ROOT_NAMESPACE,
    read_environments,
    team_namespaces,
)
from meshgen.networks.policies import control_plane_policies, gateway_policies, team_policies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from meshgen.generated import Object
    from meshgen.networks.environment import Environment

__all__ = ["generate_networks"]

_TEAMS = "infra/mesh/egress/teams"


def generate_networks(root: Path) -> list[GeneratedFile]:
    """Return the NetworkPolicies and RoleBindings of every environment.

    Raises:
        DescriptionError: A description is wrong.
    """
    environments = read_environments(root)
    teams = team_namespaces(root) if environments else ()
    files = []
    for environment in environments:
        source = f"{environment.source} and {_TEAMS}"
        policies = root / "infra/mesh/egress/network-policies" / environment.name
        files += _directory(policies, source, _policies(environment, teams))
        bindings = root / "infra/mesh/access/bindings" / environment.name
        files += _directory(bindings, source, _bindings(environment, teams))
    return files


def _policies(environment: Environment, teams: Sequence[str]) -> dict[str, list[Object]]:
    return {
        EGRESS_NAMESPACE: gateway_policies(environment, teams),
        ROOT_NAMESPACE: control_plane_policies(environment, teams),
        **{namespace: team_policies(environment, namespace) for namespace in teams},
    }


def _bindings(environment: Environment, teams: Sequence[str]) -> dict[str, list[Object]]:
    return {
        "administrators": administrator_bindings(environment),
        **{namespace: team_bindings(environment, namespace) for namespace in teams},
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
