"""What several folders of tests share: the project's own checkout, its mesh and its whole lab, each started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from meshlab.mesh import RunningMesh
from meshlab.ports import free_ports
from meshlab.process import Supervisor
from meshlab.project import Project
from meshlab.stack import Lab, shipped

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def project() -> Project:
    """This checkout with its example overlay."""
    return Project.find(root=ROOT)


@pytest.fixture(scope="session")
def mesh(project: Project) -> Iterator[RunningMesh]:
    """The proxies of infra/mesh as real Envoy processes, with user-profile behind them."""
    with Supervisor() as supervisor:
        running = RunningMesh(supervisor, project, free_ports(), shipped("profiles.json"))
        running.start()
        running.wait_ready()
        yield running


@pytest.fixture(scope="session")
def lab(project: Project) -> Iterator[Lab]:
    """Everything: the mesh, the stand-ins and the function."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
        with Lab(project) as running:
            yield running
