"""What checkov finds in infra/terraform, against the findings that stay (`make checkov`).

checkov is not among the project's dependencies: it brings 90 packages. `make checkov` installs it, by hash, into a
folder of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
TERRAFORM = ROOT / "infra/terraform"
REQUIREMENTS = TERRAFORM / "checkov/requirements.txt"
HOME = ROOT / "build/checkov"
_READY = HOME / "requirements.txt"  # a copy of those that are installed


class Finding(NamedTuple):
    """One check that one resource fails."""

    check: str
    resource: str


def is_installed() -> bool:
    """Return whether the pinned checkov can run at once."""
    return _READY.is_file() and _READY.read_bytes() == REQUIREMENTS.read_bytes()


def install() -> None:
    """Make checkov's environment if it is not there.

    Raises:
        subprocess.CalledProcessError: A package could not be had.
    """
    if is_installed():
        return
    uv = Path(sys.executable).with_name("uv")
    print("installing checkov into build/checkov", file=sys.stderr, flush=True)
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, HOME], check=True)
    options = ("--no-config", "--quiet", "--require-hashes", "--no-deps")
    python = HOME / "bin/python"
    subprocess.run([uv, "pip", "install", *options, "--python", python, "-r", REQUIREMENTS], check=True)
    _READY.write_bytes(REQUIREMENTS.read_bytes())


def skips() -> dict[Finding, str]:
    """Return the findings that stay, with the reason of each."""
    read = tomllib.loads((TERRAFORM / "checkov/skips.toml").read_text())
    return {Finding(one["check"], one["resource"]): one["reason"] for one in read["skip"]}


def scan(folder: Path = TERRAFORM) -> dict[Finding, str]:
    """Return what checkov finds, with file and line, and ask nothing of the network.

    Raises:
        AssertionError: checkov did not run.
    """
    options = ("--framework", "terraform", "--skip-download", "--quiet", "--compact", "--output", "json")
    done = subprocess.run(
        [HOME / "bin/checkov", "--directory", folder, *options],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LOG_LEVEL": "ERROR"},
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0, report["results"]["parsing_errors"]
    assert report["summary"]["passed"] > 0
    return {
        Finding(one["check_id"], _address(one["resource"])): (
            f"{one['file_path'].lstrip('/')}:{one['file_line_range'][0]}: {one['check_name']}"
        )
        for one in report["results"]["failed_checks"]
    }


def _address(resource: str) -> str:
    """Return TYPE.NAME, whichever module the resource was reached through."""
    return ".".join(re.sub(r"\[[^\]]*\]", "", resource).split(".")[-2:])


def problems(found: dict[Finding, str], kept: dict[Finding, str]) -> list[str]:
    """Return findings without a reason, and reasons without a finding."""
    return [
        *(f"{one.check} {one.resource}: {found[one]}" for one in sorted(found.keys() - kept.keys())),
        *(
            f"{one.check} {one.resource}: is no finding any more; take it out of skips.toml"
            for one in sorted(kept.keys() - found.keys())
        ),
    ]


def main() -> int:
    """Install checkov, scan, and print what must be mended."""
    install()
    wrong = problems(scan(), skips())
    print("\n".join(wrong) if wrong else f"checkov: nothing but the {len(skips())} findings of skips.toml")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
