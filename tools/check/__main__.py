"""Run lint, types and tests for what changed since this branch left main, and say what was chosen."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.steps import run_script
from tools import ROOT
from tools.check import changes, choose

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 12
_BIN = Path(sys.executable).parent


def main(arguments: Sequence[str]) -> int:
    """Check the change; see ``--help``."""
    parser = argparse.ArgumentParser(prog="make check", description=__doc__)
    parser.add_argument("--list", action="store_true", help="show what would run, and run nothing")
    options = parser.parse_args(arguments)
    commit = changes.base(ROOT)
    changed = changes.since(ROOT, commit)
    choice = choose.choose(ROOT, changed)
    sys.stdout.write(report(commit, changed, choice))
    sys.stdout.flush()
    if options.list:
        return 0
    codes = [_run(command) for command in commands(changed, choice)]
    return max(codes, default=0)


def report(commit: str, changed: Sequence[str], choice: choose.Choice) -> str:
    """Return what was chosen, and what was not, as text."""
    lines = [f"{len(changed)} files changed since {commit[:10]}; {len(choice.tests)} test files or folders:"]
    lines += [f"  {test}  ({why})" for test, why in sorted(choice.tests.items())]
    if choice.left:
        lines.append(
            f"{len(choice.left)} more test files reach the change, and take longer; `make test` runs them:"
        )
        lines += [f"  {test}" for test in choice.left[:_SHOWN]]
        lines += [f"  and {len(choice.left) - _SHOWN} more"] if len(choice.left) > _SHOWN else []
    if choice.unknown:
        lines.append("No test is known for these; run `make test`:")
        lines += [f"  {path}" for path in choice.unknown]
    return "\n".join(lines) + "\n"


def commands(changed: Sequence[str], choice: choose.Choice) -> list[list[str]]:
    """Return the commands of the check, each as arguments."""
    files = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["files"]
    typed = [path for path in changed if path.endswith((".py", ".pyi")) and path.startswith(tuple(files))
             and "/data/" not in path and (ROOT / path).is_file()]  # fmt: skip
    found = [[str(_BIN / "ruff"), "check"], [str(_BIN / "ruff"), "format", "--check"]]
    if typed:
        found.append([str(_BIN / "mypy"), *typed])
    if choice.tests:
        found.append(
            [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *sorted(choice.tests)]
        )
    return found


def _run(command: list[str]) -> int:
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(run_script("make check", main))
