"""Namespaces of the mesh: each has one owner, which a service, a team or a gateway describes.

A shared namespace would give the pods of one owner what was written for the other: policies, routes, roles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshgen.ingress.model import GATEWAY
from meshgen.sources import is_reserved, read_loosely

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshgen.sources import Description

__all__ = ["namespace_owners", "namespace_problems", "service_namespaces", "team_descriptions"]

_EGRESS_SERVICE = "infra/mesh/egress/gateway/service.yaml"


def team_descriptions(root: Path) -> list[Description]:
    """Return the teams' files that can be read; `meshgen.egress` reports what is wrong with the others."""
    return read_loosely(sorted((root / "infra/mesh/egress/teams").glob("*.yaml")))


def service_namespaces(root: Path) -> dict[str, str]:
    """Return the namespaces of the services behind the internal gateway, each with a service of it."""
    files = sorted((root / "infra/mesh/services").glob("*/service.yaml"))
    return {_namespace(found): found.file.parent.name for found in read_loosely(files) if _namespace(found)}


def namespace_owners(root: Path) -> dict[str, str]:
    """Return what each namespace of the mesh belongs to, in words."""
    return {
        **{_namespace(team): f"the team {team.name}" for team in team_descriptions(root)},
        **_owners_without_teams(root),
    }


def namespace_problems(root: Path) -> list[str]:
    """Return a sentence with file and line for each team whose namespace or name is another owner's."""
    teams, owners = team_descriptions(root), _owners_without_teams(root)
    return [problem for team in teams for problem in _problems(team, teams, owners)]


def _owners_without_teams(root: Path) -> dict[str, str]:
    services = service_namespaces(root)
    gateways = {
        _namespace_of_object(found): "the egress gateway" for found in read_loosely([root / _EGRESS_SERVICE])
    }
    return {
        **{namespace: f"the service {service}" for namespace, service in services.items()},
        **gateways,
        GATEWAY.namespace: "the ingress gateway",
    }


def _problems(team: Description, teams: list[Description], owners: dict[str, str]) -> Iterator[str]:
    namespace = _namespace(team)
    if namespace in owners and not is_reserved(namespace):
        yield team.problem(
            f"namespace: {namespace} is that of {owners[namespace]}; give the team another.", "namespace"
        )
    others = {_namespace(other): f"the team {other.name}" for other in teams if other is not team}
    if is_reserved(team.name):
        yield team.problem(
            f"{team.name} is no name of a team: it is reserved for Kubernetes, GKE and Istio; name the file otherwise."
        )
    elif (owner := (others | owners).get(team.name)) and team.name != namespace:
        yield team.problem(f"{team.name} is the namespace of {owner}; name the file otherwise.")


def _namespace(description: Description) -> str:
    found = description.value.get("namespace")
    return found if isinstance(found, str) else ""


def _namespace_of_object(description: Description) -> str:
    metadata = description.value.get("metadata")
    found = metadata.get("namespace") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""
