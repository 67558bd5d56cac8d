"""Tests of the service without a cluster: the gateway of `meshpass.testing` is in the place of the mesh."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import meshpass
import profile_api
import pytest
from meshpass.testing import FakeGateway, Reply

Get = Callable[..., httpx.Response]
ADA = {"user_id": "u-1", "name": "Ada", "segment": "premium", "email": "ada@example.com"}


@pytest.fixture
def get(meshpass_gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Get:
    """Send one request to the service, which starts before it and ends after it."""
    for name, value in meshpass_gateway.environ(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(profile_api, "TIMEOUT_S", 60.0)  # no test depends on the speed of the machine
    meshpass_gateway.service = lambda request: Reply.json(ADA)

    async def send(path: str, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(profile_api.app)
        async with (
            profile_api.app.router.lifespan_context(profile_api.app),
            httpx.AsyncClient(transport=transport, base_url="http://service") as client,
        ):
            return await client.get(path, headers=headers)

    return lambda path, **headers: asyncio.run(send(path, headers))


def test_a_profile_is_shown_without_the_address(get: Get, meshpass_gateway: FakeGateway) -> None:
    response = get("/users/u-1")
    assert (response.status_code, response.json()) == (
        200,
        {"user_id": "u-1", "name": "Ada", "segment": "premium"},
    )
    assert meshpass_gateway.requests[0].path == "/profile/u-1"


def test_health_does_not_ask_the_mesh(get: Get, meshpass_gateway: FakeGateway) -> None:
    assert get("/health").status_code == 200
    assert meshpass_gateway.requests == []


def test_an_unknown_user_is_not_found(get: Get, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = lambda request: Reply.json({"error": "profile_not_found"}, 404)
    assert get("/users/u-9").status_code == 404


def test_an_id_that_is_no_path_segment_is_not_sent(get: Get, meshpass_gateway: FakeGateway) -> None:
    assert get("/users/%2e%2e").status_code == 404
    assert meshpass_gateway.requests == []


def test_a_refusal_of_the_mesh_is_logged_and_not_shown(
    get: Get, meshpass_gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    meshpass_gateway.allow = lambda request: False
    response = get("/users/u-1")
    assert (response.status_code, response.json()) == (502, {"error": "profile_failed"})
    assert "code=not_allowed status=403" in caplog.text


def test_a_service_without_a_healthy_pod_is_unavailable(get: Get, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = None
    response = get("/users/u-1")
    assert (response.status_code, response.json()) == (503, {"error": "profile_unavailable"})
    assert response.headers["retry-after"] == "1"


def test_a_response_that_is_no_profile_is_not_passed_on(get: Get, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.service = lambda request: Reply.json({"debug": "internal"})
    response = get("/users/u-1")
    assert (response.status_code, response.json()) == (502, {"error": "profile_failed"})


def test_the_limit_of_the_caller_goes_on_to_the_service(get: Get, meshpass_gateway: FakeGateway) -> None:
    get("/users/u-1", **{"x-request-timeout-ms": "500"})
    assert 0 < int(meshpass_gateway.requests[0].headers["x-request-timeout-ms"]) <= 500


def test_a_timeout_of_the_mesh_is_one_of_ours(get: Get, meshpass_gateway: FakeGateway) -> None:
    meshpass_gateway.fail(3, status=504)
    response = get("/users/u-1")
    assert (response.status_code, response.json()) == (504, {"error": "profile_timeout"})


def test_wrong_settings_end_the_start(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_AUDIENCE")
    with pytest.raises(meshpass.ConfigurationError, match="JWT_AUDIENCE"):
        get("/health")
