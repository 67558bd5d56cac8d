"""A program that stands still until its token has expired and its connections are gone goes on working after that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.certificates import private_pem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshlab.lab.project import Project
    from meshlab.lab.project_mesh import ProjectMesh

    from tests.conftest import RunMesh

# Its clock is nearly as much behind as Envoy forgives, so that Envoy counts by the second as the program does.
PROGRAM = """
import asyncio, json, sys, time
import meshpass

settings = meshpass.Settings.from_env()
auth = meshpass.SignedJWT(
    settings.issuer, settings.audience, settings.key, subject=settings.subject, scope=settings.scope,
    lifetime_s=30, clock=lambda: time.time() - 58,
)
reach = {"auth": auth, "address": settings.address, "ca_file": settings.ca_file}
blocking = meshpass.Client(settings.base_url, **reach)
concurrent = meshpass.AsyncClient(settings.base_url, **reach)

async def main():
    for _ in sys.stdin:
        answers = [blocking.get("/profile/{user_id}", user_id="u-1001")]
        answers += [await concurrent.get("/profile/{user_id}", user_id="u-1001")]
        token = auth.token()
        reported = {"statuses": [answer.status_code for answer in answers], "expires_at": token.expires_at + 58}
        print(json.dumps(reported), flush=True)

asyncio.run(main())
"""


class Program:
    """The program as a child process, which calls once for each line,  with each client."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def call(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("call\n")
        self._process.stdin.flush()
        reported: dict[str, Any] = json.loads(self._process.stdout.readline())
        return reported

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def own_mesh(project: Project, run_mesh: RunMesh) -> Iterator[ProjectMesh]:
    with run_mesh(project) as running:
        yield running


@pytest.fixture
def program(own_mesh: ProjectMesh, project: Project, tmp_path: Path) -> Iterator[Program]:
    key = tmp_path / "key.pem"
    key.write_bytes(private_pem(own_mesh.key.private))
    started = Program(
        {
            **project.contract(),
            "SIGNING_KEY_SECRET_ID": "",
            "SIGNING_KEY_FILE": str(key),
            "GKE_GATEWAY_URL": own_mesh.gateway_url,
            "GKE_GATEWAY_CA_FILE": str(own_mesh.gateway_ca),
        }
    )
    yield started
    started.end()


def test_a_frozen_program_goes_on_when_it_is_thawed(own_mesh: ProjectMesh, program: Program) -> None:
    before = program.call()
    assert before["statuses"] == [200, 200]
    program.signal(signal.SIGSTOP)
    # Closes the connections that the program has, under its hands.
    own_mesh.gateway.stop()
    own_mesh.gateway.start()
    own_mesh.gateway.wait_ready()
    time.sleep(max(0.0, before["expires_at"] + 3 - time.time()))
    program.signal(signal.SIGCONT)
    after = program.call()
    assert after["statuses"] == [200, 200]
    assert after["expires_at"] > before["expires_at"]
    assert program.call() == after
