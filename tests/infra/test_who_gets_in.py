"""Every expectation of infra/policy-tests/ingress is met by real proxies that run infra/mesh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_file.collect import collect
from meshlab.lab.policy_tests import run_policy_tests
from meshlab.lab.project import Project

if TYPE_CHECKING:
    from meshlab.bench.report.run import Run
    from meshlab.lab.project_mesh import ProjectMesh

_PROJECT = Project.find(root=Path(__file__).parents[2])
_NAMES = [
    case.name
    for case_file in collect([_PROJECT.policy_tests], _PROJECT.contract())
    for case in case_file.cases
]


@pytest.fixture(scope="module")
def run(project: Project) -> Run:
    """One run of all policy tests."""
    return run_policy_tests(project)


@pytest.mark.parametrize("name", _NAMES)
def test_expectation(name: str, run: Run) -> None:
    (outcome,) = [outcome for outcome in run.outcomes if outcome.case.name == name]

    assert (outcome.state, outcome.mismatches) == ("passed", ())


def test_the_proxies_log_no_warning(mesh: ProjectMesh) -> None:
    assert mesh.gateway.warnings() == ""
    assert mesh.sidecar.warnings() == ""
