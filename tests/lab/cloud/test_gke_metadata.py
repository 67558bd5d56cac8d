"""The metadata server of a GKE pod, as google-auth, the SDK and plain HTTP use it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import google.auth.compute_engine
import google.auth.compute_engine._metadata
import google.auth.transport.requests
import google.oauth2.id_token
import httpx
import jwt
import meshpass
import pytest
from google.auth.exceptions import RefreshError, TransportError
from meshlab.cloud import gke_metadata
from meshlab.cloud.gke_metadata import Pod
from meshlab.cloud.identity import ISSUER, IdentityKey, unique_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GCLOUD = shutil.which("gcloud")
EMAIL = "orders@p-1.meshlab.invalid"
AUDIENCE = "https://lookup.example"
FLAVOR = {"Metadata-Flavor": "Google"}
V1 = "/computeMetadata/v1"
ACCOUNTS = f"{V1}/instance/service-accounts"
LINKED = Pod("p-1", "shop", "orders", EMAIL)
UNLINKED = Pod("p-1", "shop", "orders")
DENIED = Pod("p-1", "shop", "orders", EMAIL, granted=False)


@pytest.fixture(scope="module")
def key() -> IdentityKey:
    return IdentityKey()


@pytest.fixture(scope="module")
def linked(key: IdentityKey) -> Iterator[str]:
    with gke_metadata.running(LINKED, key) as address:
        yield address


@pytest.fixture(scope="module")
def unlinked(key: IdentityKey) -> Iterator[str]:
    with gke_metadata.running(UNLINKED, key) as address:
        yield address


@pytest.fixture(scope="module")
def denied(key: IdentityKey) -> Iterator[str]:
    with gke_metadata.running(DENIED, key) as address:
        yield address


def get(address: str, path: str, **headers: str) -> httpx.Response:
    found = headers or FLAVOR
    return httpx.get(f"http://{address}{path}", headers=found, trust_env=False)


def use(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead google-auth, which has read the environment already, and the SDK to a pod's server."""
    monkeypatch.setenv("GCE_METADATA_HOST", address)
    monkeypatch.setenv("GCE_METADATA_IP", address)
    monkeypatch.setattr(google.auth.compute_engine._metadata, "_GCE_METADATA_HOST", address)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
    monkeypatch.setenv("NO_PROXY", "*")


# With the link.


def test_a_linked_pod_is_the_google_service_account(linked: str, key: IdentityKey) -> None:
    assert get(linked, f"{ACCOUNTS}/").text == f"default/\n{EMAIL}/\n"
    assert get(linked, f"{ACCOUNTS}/default/email").text == EMAIL
    token = get(linked, f"{ACCOUNTS}/default/identity?audience={AUDIENCE}&format=full").text
    public: Any = jwt.PyJWKSet.from_dict(key.jwks).keys[0]
    claims = jwt.decode(token, public.key, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER)
    assert (claims["email"], claims["email_verified"]) == (EMAIL, True)
    assert get(linked, f"{ACCOUNTS}/{EMAIL}/identity?audience={AUDIENCE}&format=full").text == token


def test_google_auth_and_the_sdk_get_the_same_identity(linked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(linked, monkeypatch)
    request = google.auth.transport.requests.Request()
    fetched = google.oauth2.id_token.fetch_id_token(request, AUDIENCE)
    theirs = jwt.decode(fetched, options={"verify_signature": False})
    ours = meshpass.GoogleIDToken(AUDIENCE).token()
    assert ours.value == fetched
    assert theirs["email"] == EMAIL


def test_google_auth_refreshes_an_access_token_of_the_account(
    linked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(linked, monkeypatch)
    credentials = google.auth.compute_engine.Credentials()
    credentials.refresh(google.auth.transport.requests.Request())
    assert credentials.token
    assert credentials.service_account_email == EMAIL


@pytest.mark.skipif(GCLOUD is None, reason="needs gcloud; would show that it gets a pod's identity token")
def test_gcloud_finds_the_pods_account_and_prints_its_token(linked: str, tmp_path: Path) -> None:
    environment = {**os.environ, "CLOUDSDK_CONFIG": str(tmp_path), "GCE_METADATA_ROOT": linked}
    command = [str(GCLOUD), "auth", "print-identity-token", f"--audiences={AUDIENCE}"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    claims = jwt.decode(done.stdout.strip(), options={"verify_signature": False})
    assert claims["sub"] == unique_id(EMAIL)
    assert "email" not in claims


# Without it.


def test_a_pod_without_the_link_is_its_pool_and_gets_no_identity_token(unlinked: str) -> None:
    assert get(unlinked, f"{ACCOUNTS}/").text == "default/\np-1.svc.id.goog/\n"
    assert get(unlinked, f"{ACCOUNTS}/default/email").text == "p-1.svc.id.goog"
    assert get(unlinked, f"{ACCOUNTS}/default/token").json()["token_type"] == "Bearer"
    refused = get(unlinked, f"{ACCOUNTS}/default/identity?audience={AUDIENCE}")
    assert refused.status_code == 404
    assert "shop/orders has no annotation iam.gke.io/gcp-service-account" in refused.text


def test_google_auth_and_the_sdk_say_that_there_is_no_identity_token(
    unlinked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(unlinked, monkeypatch)
    request = google.auth.transport.requests.Request()
    with pytest.raises((RefreshError, TransportError)):
        google.oauth2.id_token.fetch_id_token(request, AUDIENCE)
    with pytest.raises(meshpass.IdentityError) as caught:
        meshpass.GoogleIDToken(AUDIENCE).token()
    assert "it answered 404" in str(caught.value)
    assert "iam.gke.io/gcp-service-account" in caught.value.hint


def test_a_link_that_iam_does_not_know_of_gives_no_token_at_all(
    denied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert get(denied, f"{ACCOUNTS}/default/email").text == EMAIL
    for path in ("token", f"identity?audience={AUDIENCE}"):
        assert get(denied, f"{ACCOUNTS}/default/{path}").status_code == 403
    use(denied, monkeypatch)
    with pytest.raises(meshpass.IdentityError) as caught:
        meshpass.GoogleIDToken(AUDIENCE).token()
    assert "roles/iam.workloadIdentityUser" in caught.value.hint


# Every pod.


@pytest.mark.parametrize("path", [f"{ACCOUNTS}/", f"{ACCOUNTS}/default/identity?audience=a", f"{V1}/"])
def test_the_flavor_is_required_and_a_forwarded_request_refused(linked: str, path: str) -> None:
    assert get(linked, path, accept="*/*").status_code == 403
    assert get(linked, path, **{"Metadata-Flavor": "Other"}).status_code == 403
    assert get(linked, path, **FLAVOR, **{"X-Forwarded-For": "10.0.0.1"}).status_code == 403


def test_the_recursive_listing_holds_everything_but_tokens(linked: str) -> None:
    account = {
        "aliases": ["default"], "email": EMAIL, "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
    }  # fmt: skip
    assert get(linked, f"{ACCOUNTS}/?recursive=true").json() == {"default": account, EMAIL: account}
    everything = get(linked, f"{V1}/?recursive=True").json()
    assert everything == {
        "instance": {
            "attributes": {"clusterLocation": "europe-west1", "clusterName": "cluster"},
            "serviceAccounts": {"default": account, EMAIL: account},
        },
        "project": {"numericProjectId": "100000000001", "projectId": "p-1"},
        "universe": {"universeDomain": "googleapis.com"},
    }


def test_directories_are_listed_and_end_with_a_slash(linked: str) -> None:
    assert get(linked, f"{V1}/").text == "instance/\nproject/\nuniverse/\n"
    assert get(linked, f"{ACCOUNTS}/default/").text == "aliases\nemail\nidentity\nscopes\ntoken\n"
    moved = get(linked, ACCOUNTS)
    assert (moved.status_code, moved.headers["location"]) == (301, f"{ACCOUNTS}/")
    for path in (f"{V1}/nothing", f"{ACCOUNTS}/other@p-1.meshlab.invalid/token", f"{V1}/project/project-id/"):
        assert get(linked, path).status_code == 404


def test_the_sdk_and_google_auth_try_again_while_the_server_warms_up(
    key: IdentityKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gke_metadata.running(LINKED, key, warm_up=(500, 503)) as address:
        use(address, monkeypatch)
        assert meshpass.GoogleIDToken(AUDIENCE).token().claims["email"] == EMAIL
    with gke_metadata.running(LINKED, key, warm_up=(503,)) as address:
        use(address, monkeypatch)
        request = google.auth.transport.requests.Request()
        credentials = google.auth.compute_engine.IDTokenCredentials(
            request, AUDIENCE, use_metadata_identity_endpoint=True
        )
        credentials.refresh(request)
        assert credentials.token
