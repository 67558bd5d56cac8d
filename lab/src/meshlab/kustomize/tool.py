"""The kustomize or kubectl of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from meshlab.kustomize.file_access import name
from meshlab.manifest import ManifestError, parse_manifests

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.manifest import Manifest

__all__ = ["build_with_tool"]

_COMMANDS = {"kustomize": ("build",), "kubectl": ("kustomize",)}
_TIMEOUT_S = 60
_BASE = re.compile(r"recursed accumulation of path '([^']*)': ")
_REMOTE = re.compile(r"from '((?:[a-z+]+://|git@|git::|github\.com[/:])[^']*)'")
_NO_PROXY_PORT = "http://127.0.0.1:9"  # the discard port, on which nothing listens
# A remote base would be fetched by git or over HTTP. Both fail at once instead of reaching out.
_OFFLINE = {
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_TERMINAL_PROMPT": "0",
    "HTTP_PROXY": _NO_PROXY_PORT,
    "HTTPS_PROXY": _NO_PROXY_PORT,
    "NO_PROXY": "",
}


def build_with_tool(directory: Path) -> list[Manifest] | None:
    """Build a kustomization with `kustomize build` or `kubectl kustomize`, whichever is on the PATH.

    No chart is rendered, no plugin is run and nothing is fetched.

    Args:
        directory: The directory of its `kustomization.yaml`.

    Returns:
        The objects in the tool's order, or `None` where neither tool is installed.

    Raises:
        ManifestError: The tool refuses the kustomization or takes longer than a minute, or its output is not read.
    """
    program = next((found for tool in _COMMANDS if (found := shutil.which(tool))), None)
    if program is None:
        return None
    tool = os.path.basename(program).partition(".")[0]  # noqa: PTH119 - a name, not a path to use
    command = [program, *_COMMANDS[tool], str(directory)]
    shown = f"{tool} {_COMMANDS[tool][0]}"
    environment = {key: value for key, value in os.environ.items() if key.upper() not in _OFFLINE} | _OFFLINE
    try:
        run = subprocess.run(  # noqa: S603 - a program of this machine, without a shell
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        is_slow = isinstance(error, subprocess.TimeoutExpired)
        reason = f"took longer than {_TIMEOUT_S} s" if is_slow else str(error)
        raise ManifestError(f"{name(directory)}: {shown}: {reason}; run it by hand to see why.") from None
    if run.returncode != 0:
        raise ManifestError(
            f"{name(directory)}: {shown}: {_cause(run.stderr) or f'exit status {run.returncode}'}"
        )
    source = f"{name(directory)} (kustomize build)"
    return parse_manifests(run.stdout, source)


def _cause(stderr: str) -> str:
    """Return what went wrong: the tool repeats the error of a base at each kustomization that leads to it."""
    lines = (line for line in stderr.splitlines() if not line.startswith("# Warning"))
    text = " ".join(" ".join(lines).split())
    *_, path, cause = "", *_BASE.split(text)
    if remote := _REMOTE.search(cause):
        cause = f"{remote[1]} is remote, and nothing is fetched here; list a copy of it."
    return f"in {path}: {cause}" if path else cause
