"""The real gcloud, turned to the fake API by its environment."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tests.deploy.api.server import APIS, DOMAIN, PATHS, TOKEN

if TYPE_CHECKING:
    from pathlib import Path

GCLOUD = shutil.which("gcloud")
MISSING = "gcloud is not installed: this shows that the real gcloud sends what the scripts mean"


def environment(folder: Path, port: int, project: str = "acme-mesh") -> dict[str, str]:
    """Return an environment in which gcloud knows no account and no host but the fake API.

    Args:
        folder: an empty folder for gcloud's configuration.
        port: the port of the fake API.
        project: the default project. Commands that name their project win.

    Returns:
        The whole environment of a process.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
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
