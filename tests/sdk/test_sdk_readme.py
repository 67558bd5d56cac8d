"""The README's code runs and its tables are complete."""

import os
import re
from pathlib import Path

import meshpass
import pytest

from .conftest import Server

_README = (Path(__file__).parents[2] / "sdk/README.md").read_text()
_SNIPPETS = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)


@pytest.mark.parametrize("snippet", _SNIPPETS)
def test_every_snippet_runs(
    snippet: str, server: Server, pem: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "signing.pem").write_bytes(pem)
    for name, value in {
        "GKE_GATEWAY_URL": f"http://{server.address}",
        "GKE_GATEWAY_HOST": "user-profile.internal",
        "JWT_ISSUER": "https://issuer.example",
        "JWT_AUDIENCE": "user-profile",
        "JWT_SCOPE": "profile.read",
        "SIGNING_KEY_FILE": str(tmp_path / "signing.pem"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SIGNING_KEY_SECRET_ID", raising=False)
    monkeypatch.chdir(tmp_path)

    exec(compile(snippet, "README.md", "exec"), {"__name__": "__main__"})

    assert bool(server.seen) == ("from_env" in snippet)


def test_the_error_table_names_every_error_with_its_code() -> None:
    public = [getattr(meshpass, name) for name in meshpass.__all__]
    errors = {error for error in public if isinstance(error, type) and issubclass(error, meshpass.MeshError)}

    for error in errors - {meshpass.MeshError}:
        (row,) = re.findall(rf"^\| `{error.__name__}` \|.*$", _README, re.MULTILINE)
        assert f"`{error.code}`" in row
        assert row.endswith("| yes |") == error.retryable


def test_the_environment_table_names_every_variable_that_is_read() -> None:
    source = Path(os.fspath(meshpass.__file__)).with_name("_settings.py").read_text()

    assert set(re.findall(r"\"([A-Z]+(?:_[A-Z]+)+)\"", source)) == set(
        re.findall(r"`((?:GKE|JWT|MESH|SIGNING)_[A-Z_]+)`", _README)
    )
