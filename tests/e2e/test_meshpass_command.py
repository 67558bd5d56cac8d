"""The command `meshpass` in the lab's environment, against real Envoy, as a user types it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from meshpass import Client, Settings
from meshpass.testing import InMemorySource

if TYPE_CHECKING:
    from meshlab.lab.stack import Lab

COMMAND = Path(sys.executable).parent / "meshpass"
CALL = ["/profile/{user_id}", "--value", "user_id=u-1001"]


@pytest.fixture
def environ(lab: Lab) -> dict[str, str]:
    """The environment in which `meshpass` starts as it does for a user."""
    return {**os.environ, **lab.environment, "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def loaded(environ: dict[str, str], commands: Path) -> dict[str, str]:
    """The same, with a `meshpass` that has its imports behind it: they take two thirds of a call."""
    return {**environ, "PATH": f"{commands}{os.pathsep}{environ['PATH']}"}


def meshpass(*arguments: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = shutil.which("meshpass", path=environ["PATH"])
    assert command is not None
    return subprocess.run(
        [command, *arguments], env=environ, capture_output=True, text=True, check=False, timeout=60
    )


def doctor(*arguments: str, environ: dict[str, str]) -> tuple[int, dict[str, Any]]:
    done = meshpass("doctor", *arguments, "--json", environ=environ)
    return done.returncode, json.loads(done.stdout)


def test_doctor_finds_nothing_broken_in_the_lab(environ: dict[str, str]) -> None:
    code, found = doctor(*CALL, environ=environ)

    assert (code, found["ok"]) == (0, True), found
    assert {step["state"] for step in found["steps"]} == {"good"}


@pytest.mark.parametrize(
    ("arguments", "code", "step", "words"),
    [
        ([*CALL, "--audience", "another"], 10, "jwt", "Audiences in Jwt are not allowed"),
        ([*CALL, "--issuer", "another"], 10, "jwt", "Jwt issuer is not configured"),
        ([*CALL, "--subject", "another"], 11, "policy", "RBAC: access denied"),
        ([*CALL, "--scope", "another"], 11, "policy", "RBAC: access denied"),
        (["/another"], 11, "policy", "RBAC: access denied"),
        ([*CALL, "--gateway-host", "another.internal"], 7, "tls", "Connection reset by peer"),
        (
            [*CALL, "--gateway-ca-file", "/etc/ssl/certs/ca-certificates.crt"],
            8,
            "certificate",
            "unable to get local issuer certificate",
        ),
        ([*CALL, "--gateway-url", "https://127.0.0.1:9"], 6, "connection", "Connection refused"),
        ([*CALL, "--key-secret", "projects/p/secrets/none/versions/1"], 4, "token", ""),
    ],
)
def test_doctor_names_the_first_broken_step(
    loaded: dict[str, str], arguments: list[str], code: int, step: str, words: str
) -> None:
    if "/etc/ssl/certs/ca-certificates.crt" in arguments and not Path(arguments[-1]).is_file():
        pytest.skip("this system keeps its CAs elsewhere")
    ended, found = doctor(*arguments, environ=loaded)
    (broken,) = [each for each in found["steps"] if each["state"] == "broken"]

    assert (ended, broken["step"], broken["words"]) == (code, step, words)
    assert broken["fix"]


def test_a_key_that_the_mesh_does_not_know_is_found(loaded: dict[str, str], tmp_path: Path) -> None:
    meshpass("keys", "create", "--store", str(tmp_path), environ=loaded)
    code, found = doctor(*CALL, "--key-file", str(tmp_path / "active.pem"), environ=loaded)

    assert (code, found["broken"]) == (10, "jwt")


def test_call_prints_a_profile(environ: dict[str, str]) -> None:
    done = meshpass("call", *CALL, environ=environ)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["user_id"] == "u-1001"


def test_a_piped_token_is_one_that_the_gateway_takes(environ: dict[str, str]) -> None:
    token = meshpass("token", environ=environ).stdout.strip()
    settings = Settings.from_env(environ)
    with Client(
        settings.base_url,
        auth=InMemorySource(token),
        address=settings.address,
        ca_file=settings.ca_file,
    ) as client:
        assert client.get("/profile/{user_id}", user_id="u-1001").status_code == 200


def test_keys_status_asks_the_gateway(loaded: dict[str, str]) -> None:
    done = meshpass("keys", "status", "--json", "--path", *CALL, environ=loaded)
    (active,) = [row for row in json.loads(done.stdout)["versions"] if row["state"] == "active"]

    assert active["accepted"] is True
