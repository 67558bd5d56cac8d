"""Workloads that policy tests send from: one for each team, and one of no team."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshgen.egress.teams import Team
    from meshgen.generated import Object

__all__ = [
    "CLIENT_PORT",
    "OUTSIDER",
    "STRANGER",
    "account_of",
    "client_of",
    "client_workloads",
    "unnamed_client_of",
]

CLIENT_PORT = "18080"
STRANGER = "stranger"
"""A certificate authority that the mesh does not know."""

_CLIENT = "egress-client"
_DEFAULT_ACCOUNT = "default"
_UNNAMED = "unnamed"

OUTSIDER = f"outsiders/{_CLIENT}"
"""A workload of the mesh that belongs to no team, in a namespace without a Sidecar."""


def client_of(team: Team) -> str:
    """Return the workload that a team's cases send from."""
    return f"{team.namespace}/{_CLIENT}"


def unnamed_client_of(team: Team) -> str:
    """Return a workload of the team whose service account no description names."""
    return f"{client_of(team)}-{_UNNAMED}"


def account_of(team: Team) -> str:
    """Return a service account that may reach every host of the team, where there is one."""
    named = [set(access.service_accounts) for access in team.hosts if access.service_accounts]
    shared = set.intersection(*named) if named else {_DEFAULT_ACCOUNT}
    return min(shared) if shared else min(min(names) for names in named)


def client_workloads(teams: Sequence[Team]) -> Object:
    """Return the clients of all teams: files with the same workloads share one run of the mesh."""
    ports = {CLIENT_PORT: "http"}
    found = {client_of(team): {"serviceAccount": account_of(team), "ports": ports} for team in teams}
    for team in teams:
        if any(access.service_accounts for access in team.hosts):
            found[unnamed_client_of(team)] = {"serviceAccount": _UNNAMED}
    return {**found, OUTSIDER: {"serviceAccount": _CLIENT, "ports": ports}}
