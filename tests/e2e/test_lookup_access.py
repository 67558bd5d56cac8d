"""The private function behind Cloud Run's front door: who calls it from another project, how, and who does not."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import meshpass
import pytest
import requests
from meshlab.cli._lab import _Pod
from meshlab.demo.lookup_access import HTTPX_PROGRAM, Outcome, call_all, show_access
from meshlab.lab.lookup_access import INVOKER, PODS, STRANGER, UNLINKED, LookupAccess
from rich.console import Console

from tests.docs.pages import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lab.project import Project
    from meshlab.lab.stack import Lab

COMMAND = Path(sys.executable).parent / "meshpass"


@pytest.fixture(scope="module")
def access(project: Project, lab: Lab) -> Iterator[LookupAccess]:
    with LookupAccess(project, lab) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def pod(access: LookupAccess, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make this process one of the pod that may call; the function's URL."""
    for name, value in access.environment(INVOKER).items():
        if name.startswith(("GCE_", "CLOUDSDK_")):
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    return access.url


def meshpass_call(access: LookupAccess, pod: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "call", "--google", f"{access.url}/lookup/u-1001", *arguments],
        env=access.environment(pod), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_every_call_of_the_demo_ends_as_it_says(access: LookupAccess) -> None:
    outcomes = call_all(access)
    assert [outcome for outcome in outcomes if not outcome.good] == []
    assert [outcome.found.split(",")[0] for outcome in outcomes] == [
        *["200"] * 4, "403 Forbidden", "401 Unauthorized", "401 Unauthorized", "403 Forbidden", "no ID token",
    ]  # fmt: skip


def test_the_demo_fails_where_a_stranger_gets_in(access: LookupAccess) -> None:
    console = Console(record=True, width=150)
    outcome = Outcome("stranger", "its own ID token", "403 Forbidden", "200, u-1001")
    assert not show_access(access, [outcome], console)
    assert "200, u-1001 (expected: 403 Forbidden)" in console.export_text()


def test_the_httpx_program_is_that_of_the_page() -> None:
    assert HTTPX_PROGRAM in read("docs/call-a-function.md")


def test_httpx_and_requests_take_the_source_as_their_auth(access: LookupAccess, pod: str) -> None:
    trusted = ssl.create_default_context(cafile=access.ca_file)
    url, source = f"{pod}/lookup/u-1001", meshpass.GoogleIDToken(pod)

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(verify=trusted, auth=source, trust_env=False) as client:
            return await client.get(url)

    answer = asyncio.run(call())
    other = requests.get(url, auth=meshpass.RequestsAuth(source), verify=str(access.ca_file), timeout=10)
    assert (answer.status_code, other.status_code) == (200, 200)
    assert answer.json() == other.json()


def test_a_token_for_another_audience_is_renewed_once_and_refused(access: LookupAccess, pod: str) -> None:
    trusted = ssl.create_default_context(cafile=access.ca_file)
    source = meshpass.GoogleIDToken(f"{pod}/lookup/u-1001")
    answer = httpx.get(f"{pod}/lookup/u-1001", auth=source, verify=trusted, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize(
    ("pod", "arguments", "code", "words"),
    [
        (STRANGER, [], 1, "403 Forbidden"),
        (INVOKER, ["--audience", "https://another.example"], 1, "401 Unauthorized"),
        (UNLINKED, [], 4, "iam.gke.io/gcp-service-account"),
    ],
    ids=["stranger", "wrong audience", "no link"],
)
def test_the_command_says_why_it_does_not_get_in(
    access: LookupAccess, pod: str, arguments: list[str], code: int, words: str
) -> None:
    done = meshpass_call(access, pod, *arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "eyJ" not in done.stdout + done.stderr


def test_no_token_is_in_any_log(access: LookupAccess) -> None:
    logs = [path.read_text(errors="replace") for path in access.directory.glob("*.log")]
    assert any("rbac_access_denied" in log for log in logs)
    assert all("eyJ" not in log for log in logs)


def test_a_pod_knows_neither_the_mesh_nor_other_credentials(
    access: LookupAccess, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = {"GOOGLE_APPLICATION_CREDENTIALS": "/key.json", "NO_GCE_CHECK": "true"}
    for name, value in {**lab.environment, **foreign}.items():
        monkeypatch.setenv(name, value)
    found = access.environment(INVOKER)
    assert not {name for name in found if name.startswith(("GKE_", "JWT_", "SIGNING_KEY_", "GOOGLE_"))}
    assert "NO_GCE_CHECK" not in found
    assert found["GCE_METADATA_HOST"] == found["GCE_METADATA_ROOT"] != lab.environment["GCE_METADATA_HOST"]
    assert tuple(access.pods) == PODS == tuple(_Pod)
