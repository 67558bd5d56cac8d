"""Every promise of infra/policy-tests, kept by the real proxies running infra/mesh."""

from pathlib import Path

import pytest
from meshlab.bench.cases import Case, load_cases
from meshlab.lab.project_mesh import RunningMesh

_DIRECTORY = Path(__file__).parents[2] / "infra/policy-tests"
_CASES = [case for path in sorted(_DIRECTORY.glob("*.yaml")) for case in load_cases(path)]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_promise(case: Case, mesh: RunningMesh) -> None:
    assert mesh.run_policy_test(case).broken is None


def test_the_proxies_have_nothing_to_complain_about(mesh: RunningMesh) -> None:
    assert mesh.gateway.warnings() == ""
    assert mesh.sidecar.warnings() == ""
