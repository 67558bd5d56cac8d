"""Tests of the service without a cluster: the gateway of `meshpass.testing` is in the place of the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import meshpass
import profile_page
import pytest
from meshpass.testing import FakeGateway, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient


@pytest.fixture
def page(
    meshpass_gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FlaskClient]:
    """A client of the service."""
    for name, value in meshpass_gateway.environ(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(profile_page, "TIMEOUT_S", 60.0)  # no test depends on the speed of the machine
    meshpass_gateway.service = lambda request: Reply.json({"name": "<Ada>", "segment": "premium"})
    app = profile_page.create_app()
    yield app.test_client()
    app.extensions["profiles"][0].close()


def test_a_page_shows_the_profile(page: FlaskClient, meshpass_gateway: FakeGateway) -> None:
    response = page.get("/users/u-1")
    assert response.status_code == 200
    assert "<h1>&lt;Ada&gt;</h1><p>premium</p>" in response.text
    assert meshpass_gateway.requests[0].path == "/profile/u-1"


def test_health_does_not_ask_the_mesh(page: FlaskClient, meshpass_gateway: FakeGateway) -> None:
    assert page.get("/health").json == {"status": "ok"}
    assert meshpass_gateway.requests == []


def test_an_unknown_user_is_not_found(page: FlaskClient, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = lambda request: Reply.json({"error": "profile_not_found"}, 404)
    assert page.get("/users/u-9").status_code == 404


@pytest.mark.parametrize("user_id", ["..", "%2e%2e", "a%2fb", "a b", "a?b"])
def test_what_is_no_id_is_not_sent(page: FlaskClient, meshpass_gateway: FakeGateway, user_id: str) -> None:
    assert page.get(f"/users/{user_id.replace('?', '%3f')}").status_code == 404
    assert meshpass_gateway.requests == []


def test_a_refusal_of_the_mesh_is_logged_and_not_shown(
    page: FlaskClient, meshpass_gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    meshpass_gateway.allow = lambda request: False
    response = page.get("/users/u-1")
    assert (response.status_code, response.text) == (502, "The profile service failed.\n")
    assert "code=not_allowed" in caplog.text


def test_a_service_without_a_healthy_pod_is_unavailable(
    page: FlaskClient, meshpass_gateway: FakeGateway
) -> None:
    meshpass_gateway.service = None
    response = page.get("/users/u-1")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


def test_a_timeout_of_the_mesh_is_one_of_ours(page: FlaskClient, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.fail(3, status=504)
    assert page.get("/users/u-1").status_code == 504


def test_a_service_that_fails_is_a_bad_gateway(page: FlaskClient, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = lambda request: Reply.text("a stack trace", 500)
    response = page.get("/users/u-1")
    assert response.status_code == 502
    assert "stack" not in response.text


def test_wrong_settings_end_the_start(page: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_AUDIENCE")
    with pytest.raises(meshpass.ConfigurationError, match="JWT_AUDIENCE"):
        profile_page.create_app()
