"""A caller with Google's identity token: fetched from the metadata server, kept, and let in where it is trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import meshpass
import pytest
from meshlab.cloud import metadata
from meshlab.cloud.identity import ISSUER, IdentityTokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lab.project import Project
    from meshlab.lab.project_mesh import ProjectMesh

    from tests.conftest import Edited, RunMesh
    from tests.e2e.conftest import Connect

PROJECT = "p-1"
EMAIL = metadata.service_account_email(PROJECT)


@pytest.fixture(scope="module")
def metadata_server() -> Iterator[str]:
    with metadata.running(PROJECT) as address:
        yield address


@pytest.fixture
def identity(
    metadata_server: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> meshpass.GoogleIDToken:
    for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP"):
        monkeypatch.setenv(name, metadata_server)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
    return meshpass.GoogleIDToken(project.contract()["JWT_AUDIENCE"])


def test_an_identity_token_is_fetched_once_and_says_who_it_is(identity: meshpass.GoogleIDToken) -> None:
    token = identity.token()
    assert token.claims["iss"] == ISSUER
    assert token.claims["email"] == EMAIL
    assert identity.token() is token


def test_a_mesh_that_does_not_know_google_refuses_its_token(
    mesh: ProjectMesh, identity: meshpass.GoogleIDToken, connect: Connect
) -> None:
    call = connect(mesh, identity)
    with pytest.raises(meshpass.TokenRefused) as caught:
        call("/profile/{user_id}", user_id="u-1001")
    assert caught.value.detail == "Jwt issuer is not configured"
    assert caught.value.claims["iss"] == ISSUER
    assert "issuer" in caught.value.hint


@pytest.fixture(scope="module")
def trusting_mesh(
    project: Project, metadata_server: str, edited: Edited, run_mesh: RunMesh
) -> Iterator[ProjectMesh]:
    """A mesh that trusts the metadata server's tokens, and allows its one account by e-mail address."""
    contract, name = project.contract(), "infra/mesh/contract/values/contract.env"
    changes = {
        "JWT_ISSUER": ISSUER,
        "JWT_SUBJECT": IdentityTokens(EMAIL).subject,
        "JWT_SCOPE": EMAIL,  # what the policies compare with the claim below
    }
    policies = ("infra/mesh/ingress", "infra/mesh/services/user-profile")
    trusting = edited(
        *((name, f"{key}={contract[key]}\n", f"{key}={value}\n") for key, value in changes.items()),
        *((f"{room}/authorization-policy.yaml", "claims[scope]", "claims[email]") for room in policies),
    )
    certs = httpx.get(f"http://{metadata_server}/oauth2/v3/certs", trust_env=False).raise_for_status().text
    with run_mesh(trusting) as running:
        running.publish_keys(certs)
        yield running


def test_a_mesh_that_trusts_google_lets_its_token_in(
    trusting_mesh: ProjectMesh, identity: meshpass.GoogleIDToken, connect: Connect
) -> None:
    answer = connect(trusting_mesh, identity)("/profile/{user_id}", user_id="u-1001")
    assert answer.status_code == 200
