"""Run a selection of the tests on the newest other Python of this machine.

It imports every module of the packages and runs tests that need neither Envoy nor the lab. `.ci/run` runs it. It is
skipped by name where there is no other interpreter, or where packages of that version cannot be reached.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools import ROOT, interpreters

if TYPE_CHECKING:
    from collections.abc import Sequence

SELECTION = (
    "tests/sdk/test_sdk_public_surface.py",
    "tests/sdk/test_sdk_deadline.py",
    "tests/sdk/test_sdk_path.py",
    "tests/sdk/test_sdk_signed_jwt.py",
    "tests/sdk/field/test_field_programs.py",
    "tests/function/test_function_start.py",
    "tests/function/test_function_event.py",
    "tests/function/test_function_message.py",
    "tests/function/test_function_row.py",
    "tests/function/test_function_strict_json.py",
    "tests/infra/contract/test_lines.py",
    "tests/lab/diff/test_hostile_repositories.py",
    "tests/docs/test_meshlab_reference.py",
)
"""What differs most between versions of Python: parsing, time, paths, links, signing, public names, signatures."""

_MODULES = (
    ("sdk/src", "meshpass"),
    ("lab/src", "meshlab"),
    ("function", "enrichment"),
    ("infra/contract/src", "meshcontract"),
    ("infra/generator/src", "meshgen"),
)
_IMPORT = """\
import importlib, sys, warnings
warnings.simplefilter("error")
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
_INSTALL_TIMEOUT_S = 300


def modules() -> list[str]:
    """Return the names of all modules of the packages, but for those that run a program when they are imported."""
    found = []
    for folder, package in _MODULES:
        for file in sorted((ROOT / folder / package).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            if parts[-1] != "__main__":
                found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def run(python: Path) -> int:
    """Import every module and run the selection; return the exit code."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    for command in (
        [str(python), "-c", _IMPORT, *modules()],
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", *SELECTION],
    ):
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)  # noqa: S603
        if done.returncode != 0:
            return done.returncode
    return 0


def install(version: str, interpreter: Path) -> Path | str:
    """Make the environment of a version from ``uv.lock``; return its interpreter, or why there is none."""
    folder = ROOT / "build" / f"python-{version}"
    uv = Path(sys.executable).parent / "uv"
    command = [str(uv), "sync", "--frozen", "--quiet", "--no-default-groups", "--group=dev", "--group=parts",
               f"--python={interpreter}"]  # fmt: skip
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder), "UV_PYTHON_DOWNLOADS": "never"}
    environment.pop("VIRTUAL_ENV", None)
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=ROOT,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"its packages did not arrive within {_INSTALL_TIMEOUT_S} s"
    return folder / "bin/python" if done.returncode == 0 else done.stderr.strip()


def main(arguments: Sequence[str]) -> int:
    """Run the selection; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m tools.other_python", description=__doc__)
    parser.add_argument(
        "--here", action="store_true", help="run it on this interpreter, which has the packages"
    )
    if parser.parse_args(arguments).here:
        return run(Path(sys.executable))
    found = interpreters.newest_other()
    if found is None:
        sys.stdout.write(
            f"other Python: skipped, because this machine has none of {', '.join(interpreters.SUPPORTED)}\n"
        )
        return 0
    version, interpreter = found
    python = install(version, interpreter)
    if isinstance(python, str):
        sys.stdout.write(
            f"other Python: skipped, because {version} cannot have the packages of uv.lock: {python}\n"
        )
        return 0
    sys.stdout.write(f"other Python: {version} ({interpreter})\n")
    sys.stdout.flush()
    return run(python)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
