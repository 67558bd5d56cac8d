"""The running test mesh, started once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case import (
    AppSpec,
    Case,
    CasePlace,
    Expectation,
    HttpRequest,
    Sender,
    TcpRequest,
    TlsRequest,
    TokenSpec,
)
from meshlab.bench.running_mesh import RunningMesh
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

from tests.lab.bench.mesh import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshlab.bench.verdicts.verdict import Outcome

    Request = HttpRequest | TcpRequest | TlsRequest
    Ask = Callable[..., Outcome]


def case(
    sender: Sender, request: Request | str, *tokens: TokenSpec, expect: Expectation | None = None
) -> Case:
    """A case; a text is the URL of a GET."""
    sent = HttpRequest(request) if isinstance(request, str) else request
    return Case("a case", sender, sent, expect, CasePlace("cases.yaml", 1), tokens)


@pytest.fixture(scope="session")
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as supervisor:
        yield supervisor


@pytest.fixture(scope="session")
def world(supervisor: Supervisor) -> Iterator[World]:
    ports = free_ports()
    yield World(supervisor.directory, ports)
    ports.close()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def running(supervisor: Supervisor, world: World) -> Iterator[RunningMesh]:
    apps = [AppSpec("shop/legacy", status=418, headers={"x-kind": "teapot"}, body="short and stout")]
    with RunningMesh(supervisor, world.mesh(), world.authorities, world.issuers, apps=apps) as mesh:
        mesh.start([])
        yield mesh


@pytest.fixture
def ask(running: RunningMesh) -> Ask:
    """Run one case, given as for `case`; every proxy that it can touch is started first."""

    def ask(
        sender: Sender, request: Request | str, *tokens: TokenSpec, expect: Expectation | None = None
    ) -> Outcome:
        asked = case(sender, request, *tokens, expect=expect)
        running.start([asked])
        return running.run_case(asked)

    return ask
