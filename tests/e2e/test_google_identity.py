"""A caller with Google's identity token: fetched from the metadata server, kept, and let in where it is trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import meshpass
import pytest
from meshgen.generated import write
from meshgen.plan import directories, generate
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
AUDIENCE = "internal-reports"  # of infra/mesh/callers/reports.yaml


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
    return meshpass.GoogleIDToken(AUDIENCE)


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
def untried_mesh(project: Project, edited: Edited, run_mesh: RunMesh) -> Iterator[ProjectMesh]:
    """A mesh whose caller `reports` is the account of the metadata server; no key of its issuer is there yet."""
    contract, name = project.contract(), "infra/mesh/contract/values/contract.env"
    changes = {"REPORTS_SUBJECT": IdentityTokens(EMAIL).subject, "REPORTS_EMAIL": EMAIL}
    google = "issuer: https://accounts.google.com\n"
    trusting = edited(
        *((name, f"{key}={contract[key]}\n", f"{key}={value}\n") for key, value in changes.items()),
        *(
            (f"infra/mesh/callers/{caller}.yaml", google, f"issuer: {ISSUER}\n")
            for caller in ("reports", "storefront")
        ),
    )
    write(generate(trusting.root), directories(trusting.root))
    with run_mesh(trusting) as running:
        yield running


@pytest.fixture(scope="module")
def trusting_mesh(metadata_server: str, untried_mesh: ProjectMesh) -> ProjectMesh:
    """The same, with the keys behind the issuer's address."""
    certs = httpx.get(f"http://{metadata_server}/oauth2/v3/certs", trust_env=False).raise_for_status().text
    untried_mesh.publish_fetched_keys(ISSUER, certs)
    return untried_mesh


def test_without_the_keys_behind_its_address_no_token_of_an_issuer_is_accepted(
    untried_mesh: ProjectMesh, identity: meshpass.GoogleIDToken, connect: Connect
) -> None:
    with pytest.raises(meshpass.TokenRefused) as caught:
        connect(untried_mesh, identity)("/profile/{user_id}", user_id="u-1001")
    assert caught.value.detail == "Jwt verification fails"


def test_a_mesh_that_trusts_google_lets_its_token_in(
    trusting_mesh: ProjectMesh, identity: meshpass.GoogleIDToken, connect: Connect
) -> None:
    answer = connect(trusting_mesh, identity)("/profile/{user_id}", user_id="u-1001")
    assert answer.status_code == 200
