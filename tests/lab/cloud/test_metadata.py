"""The metadata fake, as google-auth and the official clients use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import jwt
import pytest
from meshlab.cloud import bigquery, metadata
from meshlab.cloud.identity import IdentityTokens

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


def test_an_identity_token_is_what_googles_library_fetches_and_verifies(address: str) -> None:
    code = """
import google.auth.transport.requests, google.oauth2.id_token as id_token, json, os
request = google.auth.transport.requests.Request()
certs = f"http://{os.environ['GCE_METADATA_HOST']}/oauth2/v3/certs"
token = id_token.fetch_id_token(request, "https://a.example/?b=c&d")
print(json.dumps(id_token.verify_token(token, request, "https://a.example/?b=c&d", certs_url=certs)))
"""
    claims = run_python(code, GCE_METADATA_HOST=address, GCE_METADATA_IP=address)

    assert claims["iss"] == "https://accounts.meshlab.invalid"
    assert (claims["email"], claims["email_verified"]) == ("function@p-1.meshlab.invalid", True)
    assert claims["sub"] == claims["azp"]
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 3600


def identity(client: httpx.Client, **query: str) -> httpx.Response:
    return client.get(f"{ACCOUNT}/identity", params=query, headers=FLAVOR)


def test_an_identity_token_names_the_account_only_in_the_full_format(client: httpx.Client) -> None:
    short, full = (
        jwt.decode(identity(client, audience="a", format=form).text, options={"verify_signature": False})
        for form in ("standard", "full")
    )
    assert "email" not in short
    assert full["email"] == "function@p-1.meshlab.invalid"
    assert short["sub"] == full["sub"]


def test_who_asks_again_gets_the_same_identity_token(client: httpx.Client) -> None:
    assert identity(client, audience="a").text == identity(client, audience="a").text
    assert identity(client, audience="a").text != identity(client, audience="b").text


def test_an_identity_token_is_new_when_the_old_one_has_four_minutes_left() -> None:
    now = 1_000_000.0
    tokens = IdentityTokens("a@b.invalid", lambda: now)
    first = tokens.token("a", full=True)
    now += 3600 - 241
    assert tokens.token("a", full=True) == first
    now += 1
    assert tokens.token("a", full=True) != first


@pytest.mark.parametrize("query", [{}, {"audience": ""}, {"audience": "a", "format": "short"}])
def test_an_identity_token_without_an_audience_or_in_an_unknown_format_is_refused(
    client: httpx.Client, query: dict[str, str]
) -> None:
    assert identity(client, **query).status_code == 400


def test_an_identity_token_needs_the_flavor_and_its_key_does_not(client: httpx.Client) -> None:
    assert client.get(f"{ACCOUNT}/identity?audience=a").status_code == 403
    (key,) = client.get("/oauth2/v3/certs").raise_for_status().json()["keys"]
    assert key.keys() == {"kty", "n", "e", "alg", "use", "kid"}


def test_what_is_not_there_is_not_found_and_nothing_can_be_written(client: httpx.Client) -> None:
    assert client.get(f"{V1}/instance/zone", headers=FLAVOR).status_code == 404
    assert client.put(f"{V1}/project/project-id", headers=FLAVOR).status_code == 405
