"""Fixtures for the scripts of deploy/."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# So that tests can import deploy.steps and each other's harness, which no distribution installs.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.deploy.api.google_cli import GCLOUD, MISSING, preloaded_gcloud
from tests.deploy.harness import (
    CONTRACT,
    FAKE_GCLOUD,
    OF_EVENTARC,
    ROOT,
    TRIGGER_ACCOUNT,
    Contract,
    Gcloud,
    Script,
    copy_of_package,
)
from tests.deploy.pythons import VERSIONS, interpreter
from tests.preloaded import served

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def gcloud(tmp_path: Path) -> Gcloud:
    folder = tmp_path / "bin"
    folder.mkdir()
    executable = folder / "gcloud"
    executable.write_text(FAKE_GCLOUD.format(python=sys.executable))
    executable.chmod(0o755)
    (folder / "answers").write_text("{}")
    fake = Gcloud(folder)
    fake.answers("version", "560.0.0")
    fake.has_function()
    fake.has_subscription()
    fake.allows(TRIGGER_ACCOUNT)
    fake.answers("run services describe", "")
    fake.answers("eventarc triggers describe", OF_EVENTARC)
    fake.answers("pubsub topics list-subscriptions", "projects/acme-mesh/subscriptions/reader")
    return fake


@pytest.fixture
def script(gcloud: Gcloud, scripts: Path) -> Script:
    return Script(gcloud, scripts)


@pytest.fixture(scope="session")
def scripts() -> Iterator[Path]:
    """The scripts of deploy/, which have their imports behind them: these take two thirds of a run.

    `test_operate_with_gcloud.py` and the documentation's tests start scripts as they lie there.
    """
    folder = ROOT / "deploy"
    found = {file.name: file for file in folder.iterdir() if file.is_file() and os.access(file, os.X_OK)}
    modules = [f"steps.{part}" for part in ("environment", "deploy.cli", "deploy.subscription", "smoke")]
    with served(found, [sys.executable], modules, {**os.environ, "PYTHONPATH": str(folder)}) as names:
        yield names


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    path = tmp_path / "contract.env"
    path.write_text(CONTRACT.read_text().replace("example-project", "acme-mesh"))
    return Contract(path)


@pytest.fixture(scope="session")
def loaded_gcloud() -> Iterator[Path]:
    """A folder with a gcloud that starts fast, for stories of many commands; other tests start gcloud itself."""
    if GCLOUD is None:
        pytest.skip(MISSING)
    with preloaded_gcloud() as folder:
        yield folder


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, made once for all workers of a run; each has a copy, because scripts write beside it."""
    with shared_folder(tmp_path_factory, "package") as shared:
        if not (shared / "done").exists():
            command = [str(ROOT / "deploy" / "package"), f"--output={shared / 'function'}"]
            subprocess.run(command, check=True, capture_output=True)
            (shared / "done").touch()
    return copy_of_package(shared / "function", tmp_path_factory.mktemp("build"))


# The pip that Python 3.11 and 3.12 come with. It is stricter than newer ones with the extras of hashed requirements.
OLD_PIP = "pip==23.2.1"


@pytest.fixture(scope="session", params=VERSIONS, ids=lambda version: f"python{version}")
def app(request: pytest.FixtureRequest, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package beside a venv with its requirements, for each Python that the runtime may be; no test changes it."""
    version: str = request.param
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here: this shows that the package works on it")
    with shared_folder(tmp_path_factory, f"app-{version}") as folder:
        done = folder / "done"
        if not done.exists():
            install(package, version, python, folder)
            done.touch()
    return folder


@contextmanager
def shared_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """The path of a folder that all workers of a run share; one of them at a time is in the block."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield base / name


def install(package: Path, version: str, python: str, folder: Path) -> None:
    """Make a copy of the package, and an empty venv with its requirements beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copytree(package, folder / "function")
    # uv makes the venv because ensurepip is missing from some systems. Into one of them plain, old pip installs; it is
    # slow, so uv does it in the others.
    uv, venv = str(ROOT / ".venv/bin/uv"), folder / "venv"
    subprocess.run([uv, "venv", "--quiet", f"--python={python}", str(venv)], check=True)
    command = [uv, "pip", "install", "--quiet", f"--python={venv / 'bin/python'}"]
    subprocess.run([*command, OLD_PIP], check=True)
    if version == VERSIONS[0]:
        # Without compiling: a start compiles what it imports, and that is a part of it.
        command = [str(venv / "bin/pip"), "install", "--quiet", "--no-compile"]
    subprocess.run(
        [*command, "--require-hashes", "--requirement=requirements.txt"],
        cwd=folder / "function",
        check=True,
        capture_output=True,
    )
