"""Reaching the lab through the official clients, as a user's program would."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypedDict

import httpx
import meshpass
import pytest
from meshlab.certificates import private_pem
from meshlab.demo.events import EventClients
from meshlab.demo.ledger import Ledger, Published, balance
from meshlab.lab.project_mesh import ProjectMesh
from meshlab.lab.stack import Lab

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.lab.project import Project

_TIMEOUT_S = 60.0


class Reach(TypedDict):
    """The arguments that lead a client to a mesh."""

    base_url: str
    address: str
    ca_file: Path


Call = Callable[..., httpx.Response]
Connect = Callable[[ProjectMesh, meshpass.TokenSource], Call]
Caller = Callable[[ProjectMesh], meshpass.TokenSource]
OwnLab = Callable[..., Lab]


def reach(mesh: ProjectMesh, project: Project) -> Reach:
    """How a client reaches the gateway of a running mesh."""
    scheme, _, address = mesh.gateway_url.partition("://")
    host = project.contract()["GKE_GATEWAY_HOST"]
    return {"base_url": f"{scheme}://{host}", "address": address, "ca_file": mesh.gateway_ca}


def alerts(lab: Lab) -> list[str]:
    """The messages of the log lines that page a person."""
    log = (lab.directory / "function.log").read_text(errors="replace")
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{") and line.endswith("}")]
    return [line["message"] for line in lines if line.get("severity") == "CRITICAL"]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, project: Project) -> Iterator[Connect]:
    """Build a client of either kind for a running mesh; a test that uses this runs once with each."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def build(mesh: ProjectMesh, auth: meshpass.TokenSource) -> Call:
            if request.param == "sync":
                return stack.enter_context(meshpass.Client(auth=auth, **reach(mesh, project))).get
            client = meshpass.AsyncClient(auth=auth, **reach(mesh, project))
            stack.callback(lambda: runner.run(client.aclose()))
            return lambda path, **values: runner.run(client.get(path, **values))

        yield build


@pytest.fixture(scope="session")
def caller(project: Project) -> Caller:
    """The source of the tokens that a running mesh accepts."""
    contract = project.contract()

    def source(mesh: ProjectMesh) -> meshpass.TokenSource:
        pem = private_pem(mesh.key.private)
        return meshpass.SignedJWT(
            contract["JWT_ISSUER"],
            contract["JWT_AUDIENCE"],
            lambda: pem,
            subject=contract["JWT_SUBJECT"],
            scope=contract["JWT_SCOPE"],
        )

    return source


@pytest.fixture
def own_lab(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnLab]:
    """Start a lab that the test may break, which the one of the session is not for."""
    with ExitStack() as ends:

        def start(profiles: Path | None = None) -> Lab:
            monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
            return ends.enter_context(Lab(project, profiles=profiles))

        yield start


@pytest.fixture
def clients(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventClients]:
    """Official clients in the lab's environment."""
    for name, value in lab.environment.items():
        monkeypatch.setenv(name, value)
    connected = EventClients(lab.resources)
    yield connected
    connected.close()


@pytest.fixture
def settled(clients: EventClients) -> Callable[[list[Published]], Ledger]:
    """Wait until every message is somewhere, and return the balance of these messages alone."""

    def wait(published: list[Published]) -> Ledger:
        ours = {message.event_id for message in published}
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            rows = [row for row in clients.rows() if row.event_id in ours]
            ledger = balance(published, rows, clients.dead_letters())
            if not ledger.lost or time.monotonic() > deadline:
                return ledger
            time.sleep(0.1)

    return wait
