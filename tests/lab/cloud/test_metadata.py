"""The metadata stand-in, as google-auth and the official clients use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from meshlab.cloud import bigquery, metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAVOR = {"Metadata-Flavor": "Google"}
V1 = "/computeMetadata/v1"
ACCOUNT = f"{V1}/instance/service-accounts/default"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with metadata.running("p-1") as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
        yield client


def run_python(code: str, **environment: str) -> dict[str, object]:
    """Run code in a clean process, for google-auth reads its environment once; return what it prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "GCE_"))}
    clean |= {"NO_PROXY": "*", "HOME": "/nonexistent", "CLOUDSDK_CONFIG": "/nonexistent"} | environment
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    printed: dict[str, object] = json.loads(result.stdout)
    return printed


def test_google_auth_finds_credentials_and_project_and_can_refresh(address: str) -> None:
    code = """
import google.auth, google.auth.transport.requests, json, threading
credentials, project = google.auth.default()
credentials.refresh(google.auth.transport.requests.Request())
print(json.dumps({
    "project": project, "valid": credentials.valid, "email": credentials.service_account_email,
    "asks_google": credentials._is_regional_access_boundary_lookup_required(),
}))
"""
    found = run_python(code, GCE_METADATA_HOST=address, GCE_METADATA_IP=address)

    assert found == {
        "project": "p-1",
        "valid": True,
        "email": "function@p-1.meshlab.invalid",
        "asks_google": False,
    }


def test_a_bigquery_client_without_arguments_works(address: str) -> None:
    code = """
import json
from google.cloud import bigquery
client = bigquery.Client()
client.create_dataset("d")
print(json.dumps({"datasets": [dataset.full_dataset_id for dataset in client.list_datasets()]}))
"""
    with bigquery.running() as host:
        found = run_python(
            code, GCE_METADATA_HOST=address, GCE_METADATA_IP=address, BIGQUERY_EMULATOR_HOST=host
        )

    assert found == {"datasets": ["p-1:d"]}


@pytest.mark.parametrize("path", ["/", f"{V1}/project/project-id", f"{V1}/nothing/here"])
def test_every_reply_carries_the_flavor(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers=FLAVOR).headers["metadata-flavor"] == "Google"


@pytest.mark.parametrize(
    "headers", [{}, {"Metadata-Flavor": "Other"}, FLAVOR | {"X-Forwarded-For": "1.2.3.4"}]
)
def test_a_request_without_the_flavor_or_through_a_proxy_is_refused(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    assert client.get(f"{ACCOUNT}/token", headers=headers).status_code == 403


def test_the_service_account_is_described_field_by_field_and_as_a_whole(client: httpx.Client) -> None:
    def get(path: str) -> str:
        return client.get(path, headers=FLAVOR).raise_for_status().text

    assert get(f"{ACCOUNT}/email") == "function@p-1.meshlab.invalid"
    assert get(f"{ACCOUNT}/scopes") == "https://www.googleapis.com/auth/cloud-platform\n"
    assert "token\n" in get(f"{ACCOUNT}/")
    assert json.loads(get(f"{ACCOUNT}/?recursive=true")) == {
        "aliases": ["default"],
        "email": "function@p-1.meshlab.invalid",
        "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
    }


def test_the_token_is_one_per_start(client: httpx.Client) -> None:
    def token(of: httpx.Client) -> str:
        reply = of.get(f"{ACCOUNT}/token?scopes=a", headers=FLAVOR).raise_for_status().json()
        assert (reply["token_type"], reply["expires_in"]) == ("Bearer", 3599)
        return str(reply["access_token"])

    assert token(client) == token(client)
    with metadata.running() as address, httpx.Client(base_url=f"http://{address}", trust_env=False) as other:
        assert token(other) != token(client)


def test_identity_tokens_are_not_given_and_the_reply_says_so(client: httpx.Client) -> None:
    reply = client.get(f"{ACCOUNT}/identity?audience=a", headers=FLAVOR)

    assert reply.status_code == 404
    assert "no identity tokens" in reply.text


def test_what_is_not_there_is_not_found_and_nothing_can_be_written(client: httpx.Client) -> None:
    assert client.get(f"{V1}/instance/zone", headers=FLAVOR).status_code == 404
    assert client.put(f"{V1}/project/project-id", headers=FLAVOR).status_code == 405
