"""Tests of the job without a cluster: the gateway of `meshpass.testing` is in the place of the mesh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import profile_export
import pytest
from meshpass.testing import FakeGateway, MeshRequest, Reply

USERS = [f"u-{number}" for number in range(7)]


def service(request: MeshRequest) -> Reply:
    user = request.path.rpartition("/")[2]
    if user == "u-3":
        return Reply.json({"error": "profile_not_found", "user_id": user}, 404)
    return Reply.json({"user_id": user, "name": f"Name of {user}"})


@pytest.fixture
def environ(meshpass_gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of one task of one."""
    for name, value in meshpass_gateway.environ(tmp_path).items():
        monkeypatch.setenv(name, value)
    meshpass_gateway.service = service
    (tmp_path / "out").mkdir()
    (tmp_path / "users.txt").write_text("\n".join(USERS))
    return {"USERS_FILE": str(tmp_path / "users.txt"), "OUTPUT_DIR": str(tmp_path / "out")}


def files(environ: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    directory = Path(environ["OUTPUT_DIR"])
    return {
        file.name: [json.loads(line) for line in file.read_text().splitlines()]
        for file in sorted(directory.iterdir())
    }


@pytest.mark.parametrize("count", [1, 3, 10])
def test_all_tasks_together_write_every_user_once(environ: dict[str, str], count: int) -> None:
    for index in range(count):
        task = {"CLOUD_RUN_TASK_INDEX": str(index), "CLOUD_RUN_TASK_COUNT": str(count)}
        assert profile_export.main({**environ, **task}) == profile_export.DONE
    found = files(environ)
    assert len(found) == count
    assert sorted(row["user_id"] for rows in found.values() for row in rows) == USERS


def test_an_unknown_user_is_a_row_without_a_profile(environ: dict[str, str]) -> None:
    profile_export.main(environ)
    (rows,) = files(environ).values()
    assert [row["user_id"] for row in rows if row["profile"] is None] == ["u-3"]


def test_a_second_attempt_writes_the_same_file(environ: dict[str, str]) -> None:
    profile_export.main(environ)
    before = files(environ)
    assert profile_export.main({**environ, "CLOUD_RUN_TASK_ATTEMPT": "1"}) == profile_export.DONE
    assert files(environ) == before


def test_a_task_that_fails_in_the_middle_leaves_no_file(
    environ: dict[str, str], meshpass_gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    meshpass_gateway.allow = lambda request: request.path != "/profile/u-5"
    assert profile_export.main(environ) == profile_export.REFUSED
    assert files(environ) == {}
    line = json.loads(capsys.readouterr().out)
    assert (line["severity"], line["code"], line["status"]) == ("ERROR", "not_allowed", 403)
    assert "u-5" not in json.dumps(line)


def test_a_mesh_that_is_not_available_is_worth_another_attempt(
    environ: dict[str, str], meshpass_gateway: FakeGateway
) -> None:
    meshpass_gateway.fail(3, status=503)
    assert profile_export.main(environ) == profile_export.FAILED
    assert profile_export.main(environ) == profile_export.DONE


def test_a_service_that_fails_is_worth_another_attempt(
    environ: dict[str, str], meshpass_gateway: FakeGateway
) -> None:
    meshpass_gateway.service = lambda request: Reply.text("broken", 500)
    assert profile_export.main(environ) == profile_export.FAILED


@pytest.mark.parametrize("missing", ["USERS_FILE", "OUTPUT_DIR"])
def test_a_missing_setting_is_named(
    environ: dict[str, str], missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del environ[missing]
    assert profile_export.main(environ) == profile_export.MISCONFIGURED
    assert missing in json.loads(capsys.readouterr().out)["error"]


def test_every_wrong_setting_of_the_mesh_is_named(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("JWT_AUDIENCE", "GKE_GATEWAY_URL"):
        monkeypatch.delenv(name)
    assert profile_export.main(environ) == profile_export.MISCONFIGURED
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert len([text for text in problems if "JWT_AUDIENCE" in text or "GKE_GATEWAY_URL" in text]) == 2
