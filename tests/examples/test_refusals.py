"""What the mesh must refuse, asked through the code of the examples: real Envoys answer."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import ssl
import sys
from typing import TYPE_CHECKING, Any

import httpx
import meshpass
import pytest
from meshpass.testing import ThrowawayKey, forget_tokens

from tests.examples.conftest import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from meshlab.lab.stack import Lab

    Ask = Callable[[], tuple[object, str]]

WRONG = {
    "wrong audience": ("token_refused", 403),
    "untrusted key": ("token_refused", 401),
    "wrong path": ("not_allowed", 403),
}


@pytest.fixture(autouse=True)
def _no_tokens_of_others() -> Iterator[None]:
    forget_tokens()
    yield
    forget_tokens()


@pytest.fixture
def wrong(
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """What is wrong with the caller; its environment is set."""
    what: str = request.param
    monkeypatch.delenv("SIGNING_KEY_SECRET_ID", raising=False)
    for name, value in environment.items():
        if not name.startswith(("PYTEST_", "PYTHON")) and name != "PATH":
            monkeypatch.setenv(name, value)
    if what == "wrong audience":
        monkeypatch.setenv("JWT_AUDIENCE", "another-service")
    if what == "untrusted key":
        monkeypatch.setenv("SIGNING_KEY_FILE", str(ThrowawayKey().write(tmp_path / "untrusted.pem")))
    return what


def load(folder: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a module of an example
    """Import a module of an example; it is forgotten after the test."""
    monkeypatch.syspath_prepend(str(EXAMPLES / folder))
    module = importlib.import_module(name)
    monkeypatch.delitem(sys.modules, name)
    return module


refused = pytest.mark.parametrize("wrong", WRONG, indirect=True)


@refused
def test_the_fastapi_service_answers_502_and_logs_the_code(
    wrong: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    profile_api = load("fastapi-service", "profile_api", monkeypatch)
    if wrong == "wrong path":
        monkeypatch.setattr(profile_api, "PROFILE", "/accounts/{user_id}")

    async def ask() -> httpx.Response:
        app = profile_api.app
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client,
        ):
            return await client.get("/users/u-1001")

    response = asyncio.run(ask())
    code, status = WRONG[wrong]
    assert (response.status_code, response.json()) == (502, {"error": "profile_failed"})
    assert f"code={code} status={status}" in caplog.text


@refused
def test_the_flask_service_answers_502_and_logs_the_code(
    wrong: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    profile_page = load("flask-requests", "profile_page", monkeypatch)
    app = profile_page.create_app()
    session, origin = app.extensions["profiles"]
    if wrong == "wrong path":
        app.extensions["profiles"] = (session, f"{origin}/accounts")
    response = app.test_client().get("/users/u-1001")
    session.close()
    assert (response.status_code, response.text) == (502, "The profile service failed.\n")
    assert f"code={WRONG[wrong][0]}" in caplog.text


@refused
def test_the_job_ends_with_77_and_leaves_no_file(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    profile_export = load("cloud-run-job", "profile_export", monkeypatch)
    if wrong == "wrong path":
        monkeypatch.setattr(profile_export, "PROFILE", "/accounts/{user_id}")
    (tmp_path / "out").mkdir()
    users = EXAMPLES / "cloud-run-job/users.txt"
    code = profile_export.main({"USERS_FILE": str(users), "OUTPUT_DIR": str(tmp_path / "out")})
    assert code == profile_export.REFUSED
    line = json.loads(capsys.readouterr().out)
    assert (line["code"], line["status"]) == WRONG[wrong]
    assert list((tmp_path / "out").iterdir()) == []


@refused
def test_the_transport_of_a_generated_client_raises_the_refusal(wrong: str) -> None:
    origin = meshpass.Settings.from_env().base_url
    path = "/accounts/u-1001" if wrong == "wrong path" else "/profile/u-1001"
    transport = meshpass.Transport.from_env(timeout_s=60)
    with (
        httpx.Client(base_url=origin, timeout=None, transport=transport) as client,
        pytest.raises(meshpass.RequestRefused) as refusal,
    ):
        client.get(path)
    assert (refusal.value.code, refusal.value.status) == WRONG[wrong]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_call_without_a_token_is_refused_by_the_gateway(lab: Lab, method: str) -> None:
    host = lab.environment["GKE_GATEWAY_HOST"]
    context = ssl.create_default_context(cafile=lab.environment["GKE_GATEWAY_CA_FILE"])
    with httpx.Client(verify=context, trust_env=False) as client:
        response = client.request(
            method,
            f"{lab.environment['GKE_GATEWAY_URL']}/profile/u-1001",
            headers={"Host": host},
            extensions={"sni_hostname": host},
        )
    assert (response.status_code, response.text) == (403, "RBAC: access denied")
    assert re.match("istio-envoy", response.headers["server"])
