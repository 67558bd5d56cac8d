"""Runs of the real terraform in a copy of the project, offline and with an environment of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.infra.terraform.provider.schema import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Diagnostic", "TerraformFolder", "TestRun", "copy_project", "environment"]

_LIMIT_S = 120
_LEFT_BEHIND = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*", "__pycache__")


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning of terraform.

    Attributes:
        severity: `error` or `warning`.
        summary: What terraform calls it.
        detail: The reason.
        place: File and line, where terraform names them.
    """

    severity: str
    summary: str
    detail: str
    place: str

    def __str__(self) -> str:
        return (
            f"{self.place or '(no place)'}: {self.severity}: {self.summary}: {' '.join(self.detail.split())}"
        )


@dataclass(frozen=True)
class TestRun:
    """What `terraform test` found.

    Attributes:
        passed: Names of `run` blocks that passed, as FILE:RUN.
        failed: Those that did not, and those that were skipped after one that did not.
        diagnostics: Why.
        plans: The plan of each run with `command = plan`, in terraform's JSON form.
    """

    __test__ = False

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    plans: dict[str, dict[str, Any]] = field(default_factory=dict)


class TerraformFolder:
    """One folder with Terraform files, in a copy of the project.

    Args:
        folder: The folder in the copy.
        variables: The environment of terraform.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._variables = variables
        self._ready = False
        self._tested: TestRun | None = None

    def init(self) -> None:
        """Install providers and modules, once.

        Raises:
            AssertionError: Terraform refused, with its own words.
        """
        if not self._ready:
            done = self._run("init", "-backend=false", "-input=false", "-no-color")
            assert done.returncode == 0, done.stdout + done.stderr
            self._ready = True

    def validate(self) -> list[Diagnostic]:
        """Return what `terraform validate` finds."""
        self.init()
        done = self._run("validate", "-json")
        return [_diagnostic(found) for found in json.loads(done.stdout)["diagnostics"]]

    def test(self) -> TestRun:
        """Run `terraform test`, once: several tests look at what it found."""
        if self._tested is None:
            self._tested = self._test()
        return self._tested

    def _test(self) -> TestRun:
        self.init()
        done = self._run("test", "-json", "-verbose")
        result = TestRun()
        for line in done.stdout.splitlines():
            message: dict[str, Any] = json.loads(line)
            name = f"{message.get('@testfile', '')}:{message.get('@testrun', '')}"
            if message["type"] == "diagnostic":
                result.diagnostics.append(_diagnostic(message["diagnostic"]))
            elif message["type"] == "test_plan":
                result.plans[name] = message["test_plan"]
            elif message["type"] == "test_run" and message["test_run"].get("progress") in (None, "complete"):
                ended = result.passed if message["test_run"]["status"] == "pass" else result.failed
                ended.append(name)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return result

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", f"-chdir={self.folder}", *arguments],
            env=dict(self._variables),
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )


def environment(home: Path, mirrors: Mapping[str, Path], socket: Path) -> dict[str, str]:
    """Return an environment for terraform: no settings, plugins or credentials of the machine's user, and no network.

    Args:
        home: A folder for what terraform keeps.
        mirrors: Filesystem mirrors of real providers by their source, such as `registry.terraform.io/hashicorp/aws`.
        socket: Where the schema-only provider listens.
    """
    (home / "empty").mkdir()
    blocks = "".join(
        f'  filesystem_mirror {{\n    path    = "{path}"\n    include = ["{source}"]\n  }}\n'
        for source, path in {"*/*/*": home / "empty", **mirrors}.items()
    )
    configuration = home / "terraform.rc"
    configuration.write_text(f"provider_installation {{\n{blocks}}}\n")
    attached = {
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": os.getpid(),
        "Test": True,  # terraform leaves the process alone when it is done
        "Addr": {"Network": "unix", "String": str(socket)},
    }
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_REATTACH_PROVIDERS": json.dumps({SOURCE: attached}),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        # Go collects garbage whenever the memory in use doubles. Here it may grow fivefold, for a third less time.
        "GOGC": "400",
    }


def copy_project(root: Path, target: Path) -> Path:
    """Copy infra/terraform, with the rest of the project as links beside it, and return the copy's top directory.

    Terraform writes into the folder where it runs, and a root may read files elsewhere in the project.
    """
    (target / "infra").mkdir(parents=True)
    for entry in _beside(root, "infra"):
        (target / entry.name).symlink_to(entry)
    for entry in _beside(root / "infra", "terraform"):
        (target / "infra" / entry.name).symlink_to(entry.resolve())
    shutil.copytree(root / "infra/terraform", target / "infra/terraform", ignore=_LEFT_BEHIND)
    return target


def _beside(folder: Path, name: str) -> Iterator[Path]:
    return (entry for entry in sorted(folder.iterdir()) if entry.name not in (name, ".git"))


def _diagnostic(found: Mapping[str, Any]) -> Diagnostic:
    where = found.get("range") or {}
    place = f"{where['filename']}:{where['start']['line']}" if where else ""
    return Diagnostic(found["severity"], found["summary"], found.get("detail", ""), place)
