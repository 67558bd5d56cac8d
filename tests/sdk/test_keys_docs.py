"""docs/keys.md: its commands do what it says, in the order in which it gives them."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from meshpass.keys import DEFAULT_DRAIN_S

from .conftest import Seen, Server

DOCS = Path(__file__).parents[2] / "docs" / "keys.md"
SCRIPTS = [
    script
    for script in re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    if script.startswith("meshpass keys")
]
OVERLAY = "infra/mesh/overlays/example"

Shell = Callable[[str], None]


@pytest.fixture
def shell(server: Server, tmp_path: Path, forked_meshpass: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell in a folder like the repository's, with a mesh that knows the keys which `kubectl` applied."""
    applied = tmp_path / "applied.json"
    (tmp_path / OVERLAY / "keys").mkdir(parents=True)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "meshpass").symlink_to(forked_meshpass)
    (programs / "kubectl").write_text(f'#!/bin/sh\ncp "$3/keys/enrichment.json" {applied}\n')
    (programs / "kubectl").chmod(0o700)

    def answer(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if token and jwt.get_unverified_header(token)["kid"] in applied.read_text():
            return 200, {"content-type": "application/json"}, b"{}"
        return 401, {"server": "istio-envoy"}, b"Jwks doesn't have key to match kid or alg from Jwt"

    server.answer = answer
    for name, value in {
        "PATH": f"{programs}:/usr/bin:/bin",
        "GKE_GATEWAY_URL": f"http://{server.address}",
        "GKE_GATEWAY_HOST": "user-profile.internal",
        "JWT_ISSUER": "https://issuer.test",
        "JWT_AUDIENCE": "user-profile",
        "JWT_SCOPE": "profile.read",
        "SIGNING_KEY_FILE": str(tmp_path / "keys" / "active.pem"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SIGNING_KEY_SECRET_ID", raising=False)

    def run(script: str) -> None:
        done = subprocess.run(
            ["sh", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_the_commands_of_each_section_work_one_after_the_other(shell: Shell) -> None:
    first, rotation, leak = SCRIPTS
    shell(first)
    assert "retire --wait" in rotation
    shell(rotation.replace("--wait", "--drain 0"))
    shell(leak)
    jwks = f"{OVERLAY}/keys/enrichment.json"
    shell(f"meshpass keys status --path '/profile/{{user_id}}' --value user_id=u-1001 --jwks {jwks}")


def test_without_applying_the_new_keys_the_rotation_stops_before_it_harms(shell: Shell) -> None:
    first, rotation, _ = SCRIPTS
    shell(first)
    with pytest.raises(AssertionError, match="not proven that the mesh accepts the key"):
        shell(re.sub(r"kubectl.*\n", "", rotation, count=1))
    shell("meshpass doctor '/profile/{user_id}' --value user_id=u-1001")


def test_the_time_it_names_is_the_default_wait() -> None:
    assert DEFAULT_DRAIN_S == 11 * 60
    assert "| 11 minutes later | `retire`" in DOCS.read_text()
