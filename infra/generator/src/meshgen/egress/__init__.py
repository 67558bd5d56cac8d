"""The egress mesh: from what each team may reach outside to its Istio objects and policy tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshgen.contract import replacements, targets
from meshgen.egress.cases import team_cases, upstream_cases
from meshgen.egress.gateway import gateway_objects, read_gateway
from meshgen.egress.teams import read_teams
from meshgen.egress.workloads import team_objects
from meshgen.generated import objects_file
from meshgen.sources import DescriptionError, strange_files

if TYPE_CHECKING:
    from pathlib import Path

    from meshgen.generated import GeneratedFile

__all__ = ["egress"]

_MESH = "infra/mesh/egress"
_TESTS = "infra/policy-tests/egress/teams"
_TEAMS = f"{_MESH}/teams"


def egress(root: Path) -> list[GeneratedFile]:
    """Return every file that follows from the teams of a project.

    Args:
        root: The project's top directory.

    Raises:
        DescriptionError: A team's file, or the gateway's Service, is wrong.
    """
    directory = root / _MESH
    if not directory.is_dir():
        return []
    gateway = read_gateway(directory / "gateway/service.yaml")
    if strange := strange_files(root / _TEAMS, "a team"):
        raise DescriptionError(strange)
    teams = read_teams(sorted((root / _TEAMS).glob("*.yaml")), root / "infra/mesh/schema/team.json")
    generated = directory / "generated"
    objects = {"gateway": gateway_objects(gateway, teams)}
    sources = {"gateway": f"{_TEAMS}/ and {_MESH}/gateway/service.yaml"}
    for team in teams:
        objects[f"teams/{team.name}"] = team_objects(gateway, team)
        sources[f"teams/{team.name}"] = f"{_TEAMS}/{team.name}.yaml"
    files = [
        objects_file(generated / f"{name}.yaml", sources[name], found)
        for name, found in objects.items()
        if found
    ]
    found = targets([document for documents in objects.values() for document in documents])
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": [str(file.path.relative_to(generated)) for file in files],
        "replacements": replacements(found),
    }
    files.append(objects_file(generated / "kustomization.yaml", f"{_TEAMS}/", [component]))
    tests = root / _TESTS
    files += [
        objects_file(
            tests / f"{team.name}.yaml", f"{_TEAMS}/{team.name}.yaml", [team_cases(gateway, team, teams)]
        )
        for team in teams
    ]
    files += [
        objects_file(tests / f"{name}.yaml", f"{_TEAMS}/", [document])
        for name, document in upstream_cases(gateway, teams).items()
    ]
    return files
