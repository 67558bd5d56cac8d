"""The whole system without a key: Google's ID token of the function's account is all that lets it into the mesh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from meshlab.cloud.identity import IdentityTokens
from meshlab.demo.events import EventClients
from meshlab.lab.project import Project
from meshlab.lab.stack import GOOGLE_ISSUER, Lab

from tests.e2e.test_events import event, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "meshpass"
CALL = ("/profile/{user_id}", "--value", "user_id=u-1001")


@pytest.fixture(scope="module")
def keyless() -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
        lab = Lab(Project.find(root=ROOT, overlay="keyless"))
        lab.__enter__()
    try:
        yield lab
    finally:
        lab.__exit__(None, None, None)


def doctor(lab: Lab, *arguments: str) -> dict[str, Any]:
    environ = {**os.environ, **lab.environment}
    done = subprocess.run(
        [COMMAND, "doctor", *CALL, *arguments, "--json"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_event_becomes_a_row(keyless: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in keyless.environment.items():
        monkeypatch.setenv(name, value)
    clients = EventClients(keyless.resources, keyless.pipeline)
    try:
        (published,) = clients.publish([event()])
        wait_until(lambda: bool(clients.row(published.event_id or "")))
        (row,) = clients.row(published.event_id or "")
    finally:
        clients.close()
    assert row["profile"]["user_id"] == "u-1001"


def test_there_is_no_key_anywhere(keyless: Lab) -> None:
    given = keyless.environment
    assert given["MESH_AUTH"] == "google-id-token"
    assert [name for name in given if name.startswith("SIGNING_KEY")] == []
    assert [name for name in given if name.startswith("JWT_")] == ["JWT_AUDIENCE"]
    import grpc
    from google.api_core.exceptions import NotFound
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceGrpcTransport,
    )

    with grpc.insecure_channel(given["SECRET_MANAGER_EMULATOR_HOST"]) as channel:
        client = SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
        with pytest.raises(NotFound):
            client.access_secret_version(request={"name": keyless.resources.signing_key_version})


def test_the_function_loads_no_code_of_signing_keys(keyless: Lab) -> None:
    """Neither `cryptography` nor Google's clients are imported for a call, so its start costs nothing of them."""
    program = (
        "import sys, meshpass\n"
        "with meshpass.Client.from_env() as client:\n"
        "    assert client.get('/profile/{user_id}', user_id='u-1001').status_code == 200\n"
        "loaded = [name for name in sys.modules if name.startswith(('cryptography', 'google.auth', 'jwt'))]\n"
        "loaded += [name for name in sys.modules if name in ('meshpass._tokens.signed_jwt',"
        " 'meshpass._tokens.signing_key', 'meshpass._tokens.key_sources', 'meshpass._tokens.kms')]\n"
        "assert loaded == [], loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **keyless.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_doctor_says_which_account_calls_and_what_the_mesh_made_of_it(keyless: Lab) -> None:
    found = doctor(keyless)
    assert found["ok"], found
    says = {step["step"]: step["says"] for step in found["steps"]}
    contract = Project.find(root=ROOT).contract()
    account = f"{contract['FUNCTION_SERVICE_ACCOUNT']}, whose unique id is {contract['FUNCTION_SUBJECT']}"
    assert says["token"].startswith(f"of {account}, for the audience {contract['JWT_AUDIENCE']}; good for")
    assert "metadata" in says["source"]


def test_doctor_explains_an_audience_that_the_mesh_does_not_know(keyless: Lab) -> None:
    broken = next(
        step for step in doctor(keyless, "--audience", "another")["steps"] if step["state"] == "broken"
    )
    assert (broken["step"], broken["words"]) == ("jwt", "Audiences in Jwt are not allowed")
    assert "JWT_AUDIENCE" in broken["fix"]


def test_doctor_names_the_account_that_no_policy_allows(keyless: Lab) -> None:
    """The audience of another caller of the same issuer is known to the proxy, and not to the function's policy."""
    found = doctor(keyless, "--audience", "internal-reports")
    broken = next(step for step in found["steps"] if step["state"] == "broken")
    assert broken["step"] == "policy"
    assert f"{GOOGLE_ISSUER}/{found['claims']['sub']}" in broken["fix"]
    assert "An ID token has no scope" in broken["fix"]


def test_late_keys_of_google_are_named_and_their_refresh_mends_it(keyless: Lab) -> None:
    address = keyless.environment["GCE_METADATA_HOST"]
    with urlopen(f"http://{address}/oauth2/v3/certs", timeout=10) as answer:
        present = answer.read().decode()
    old = json.dumps(IdentityTokens("another@account.invalid").jwks)
    keyless.mesh.publish_fetched_keys(GOOGLE_ISSUER, old)
    try:
        broken = next(step for step in doctor(keyless)["steps"] if step["state"] == "broken")
        assert broken["step"] == "jwt"
        assert "meshgen google-keys" in broken["fix"]
    finally:
        keyless.mesh.publish_fetched_keys(GOOGLE_ISSUER, present)
    assert doctor(keyless)["ok"]
