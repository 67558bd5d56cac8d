"""The function's lookup in the real mesh: with Google's identity, and with mistakes that its log must name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import meshpass
import pytest
from enrichment.errors import EnrichmentError
from enrichment.lookup import MeshProfiles
from enrichment.settings import pipeline_file
from enrichment.settings.environment import PIPELINE_FILE, TABLE_FILE
from enrichment.telemetry.trace import find
from meshlab.certificates import private_pem

from tests.e2e.test_google_identity import AUDIENCE, identity, metadata_server, trusting_mesh, untried_mesh

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.lab.project import Project
    from meshlab.lab.project_mesh import ProjectMesh

__all__ = ["identity", "metadata_server", "trusting_mesh", "untried_mesh"]  # fixtures


def look_up(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> object:
    """What a lookup gives: the profile's document, or the error that ends the event."""
    for name in ("JWT_ISSUER", "JWT_SCOPE", "JWT_SUBJECT", "SIGNING_KEY_FILE", "SIGNING_KEY_SECRET_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    (rules,) = pipeline_file.read(PIPELINE_FILE, TABLE_FILE).lookups

    async def fetch() -> object:
        profiles = MeshProfiles(rules)
        try:
            found = await profiles.fetch("u-1001", find({}, {}), meshpass.Deadline.after(10.0))
        except EnrichmentError as error:
            return error
        finally:
            await profiles.aclose()
        return found and found.document

    return asyncio.run(fetch())


def gateway(mesh: ProjectMesh, project: Project) -> dict[str, str]:
    return {
        "GKE_GATEWAY_URL": mesh.gateway_url,
        "GKE_GATEWAY_HOST": project.contract()["GKE_GATEWAY_HOST"],
        "GKE_GATEWAY_CA_FILE": str(mesh.gateway_ca),
    }


@pytest.mark.usefixtures("identity")
def test_with_googles_identity_the_function_needs_no_key(
    trusting_mesh: ProjectMesh, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = gateway(trusting_mesh, project) | {"MESH_AUTH": "google-id-token", "JWT_AUDIENCE": AUDIENCE}
    found = look_up(monkeypatch, environ)
    assert isinstance(found, dict)
    assert found["user_id"] == "u-1001"


@pytest.mark.usefixtures("identity")
def test_a_mesh_that_does_not_trust_google_is_a_fault_that_names_issuer_and_audience(
    mesh: ProjectMesh, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = gateway(mesh, project) | {"MESH_AUTH": "google-id-token", "JWT_AUDIENCE": AUDIENCE}
    error = look_up(monkeypatch, environ)
    assert isinstance(error, EnrichmentError)
    assert error.reason == "token_refused"
    assert "Jwt issuer is not configured" in error.detail
    assert f"aud={AUDIENCE}" in error.detail


@pytest.mark.parametrize(
    ("change", "reason", "named"),
    [
        (
            {"GKE_GATEWAY_HOST": "user-profil.internal"},
            "gateway_unreachable",
            "serves the host user-profil.internal",
        ),
        ({"GKE_GATEWAY_URL": "https://gateway.invalid"}, "gateway_unreachable", "gateway.invalid:443"),
        ({"GKE_GATEWAY_URL": "http://{address}"}, "connection_lost", "begin with https://"),
        ({"GKE_GATEWAY_CA_FILE": "{other}"}, "configuration", "other.pem"),
        ({"JWT_AUDIENCE": "another"}, "token_refused", "aud=another"),
        ({"JWT_SCOPE": "another"}, "not_allowed", "principal"),
    ],
    ids=["host", "address", "http", "ca", "audience", "scope"],
)
def test_a_mistake_in_the_settings_is_named_by_the_detail(
    mesh: ProjectMesh,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    change: dict[str, str],
    reason: str,
    named: str,
) -> None:
    contract, key, other = project.contract(), tmp_path / "key.pem", tmp_path / "other.pem"
    key.write_bytes(private_pem(mesh.key.private))
    other.write_text("no certificate")
    places = {"address": mesh.gateway_url.partition("://")[2], "other": str(other)}
    environ = gateway(mesh, project) | {
        "MESH_AUTH": "",
        "SIGNING_KEY_FILE": str(key),
        **{name: contract[name] for name in ("JWT_ISSUER", "JWT_SUBJECT", "JWT_AUDIENCE", "JWT_SCOPE")},
    }
    right = look_up(monkeypatch, environ)
    assert isinstance(right, dict), right
    error = look_up(monkeypatch, environ | {name: value.format(**places) for name, value in change.items()})
    assert isinstance(error, EnrichmentError)
    assert error.reason == reason
    assert named in error.detail
    assert "u-1001" not in error.detail
