"""The real gcloud, turned to the fake API by its environment."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.deploy.api.server import APIS, DOMAIN, PATHS, TOKEN
from tests.preloaded import served

if TYPE_CHECKING:
    from collections.abc import Iterator

GCLOUD = shutil.which("gcloud")
MISSING = "gcloud is not installed: this shows that the real gcloud sends what the scripts mean"


def environment(
    folder: Path, port: int, project: str = "acme-mesh", tools: Path | None = None
) -> dict[str, str]:
    """Return an environment in which gcloud knows no account and no host but the fake API.

    Args:
        folder: an empty folder for gcloud's configuration.
        port: the port of the fake API.
        project: the default project. Commands that name their project win.
        tools: a folder to be the first on the PATH.

    Returns:
        The whole environment of a process.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    if tools is not None:
        kept["PATH"] = f"{tools}{os.pathsep}{kept['PATH']}"
    overrides = {
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"http://{api}{DOMAIN}/{PATHS.get(api, '')}"
        for api in APIS
    }
    return {**kept, **overrides, **settings(folder, port, TOKEN), "CLOUDSDK_CORE_PROJECT": project}


def settings(folder: Path, port: int, access_token: str) -> dict[str, str]:
    """Return variables by which gcloud has this access token, asks a server on loopback, and reports nothing.

    Args:
        folder: an empty folder for gcloud's configuration.
        port: the server's port. gcloud reaches it as a proxy, because it puts a region before some host names.
        access_token: the token.
    """
    token = folder / "token"
    token.write_text(access_token)
    return {
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
        "CLOUDSDK_PROXY_TYPE": "http_no_tunnel",
        "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
        "CLOUDSDK_PROXY_PORT": str(port),
    }


@contextlib.contextmanager
def preloaded_gcloud() -> Iterator[Path]:
    """Yield a folder with a gcloud that has loaded its commands, to be the first on a PATH: that takes it 1.5 s."""
    assert GCLOUD is not None
    root = Path(GCLOUD).resolve().parents[1]
    bundled = root / "platform/bundledpythonunix/bin/python3"
    python = str(bundled) if bundled.exists() else "python3"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "GCLOUD_LIBRARY": str(root / "lib"),
        "PYTHONPATH": str(Path(__file__).parent),
    }
    with served(
        {"gcloud": root / "lib/gcloud.py"}, [python, "-S"], ["gcloud_commands"], environment
    ) as folder:
        yield folder
