"""Fixtures for the scripts of deploy/."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# So that tests can import deploy.steps and each other's harness, which no distribution installs.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.deploy.harness import (
    CONTRACT,
    FAKE_GCLOUD,
    OF_EVENTARC,
    ROOT,
    TRIGGER_ACCOUNT,
    Contract,
    Gcloud,
    Script,
)
from tests.deploy.pythons import VERSIONS, interpreter


@pytest.fixture
def gcloud(tmp_path: Path) -> Gcloud:
    folder = tmp_path / "bin"
    folder.mkdir()
    executable = folder / "gcloud"
    executable.write_text(FAKE_GCLOUD.format(python=sys.executable))
    executable.chmod(0o755)
    (folder / "answers.json").write_text("{}")
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
def script(gcloud: Gcloud) -> Script:
    return Script(gcloud)


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    path = tmp_path / "contract.env"
    path.write_text(CONTRACT.read_text().replace("example-project", "acme-mesh"))
    return Contract(path)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, made once."""
    folder = tmp_path_factory.mktemp("build") / "function"
    subprocess.run([str(ROOT / "deploy" / "package"), f"--output={folder}"], check=True, capture_output=True)
    return folder


# The pip that Python 3.11 and 3.12 come with. It is stricter than newer ones with the extras of hashed requirements.
OLD_PIP = "pip==23.2.1"


@pytest.fixture(scope="session", params=VERSIONS, ids=lambda version: f"python{version}")
def app(request: pytest.FixtureRequest, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package beside an empty venv with its requirements, for each Python that the runtime may be."""
    version: str = request.param
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here: this shows that the package works on it")
    folder = tmp_path_factory.mktemp("app")
    shutil.copytree(package, folder / "function")
    # uv makes the venv because ensurepip is missing from some systems. Into one of them plain, old pip installs; it is
    # slow, so uv does it in the others.
    uv, venv = str(ROOT / ".venv/bin/uv"), folder / "venv"
    subprocess.run([uv, "venv", "--quiet", f"--python={python}", str(venv)], check=True)
    install = [uv, "pip", "install", "--quiet", f"--python={venv / 'bin/python'}"]
    subprocess.run([*install, OLD_PIP], check=True)
    if version == VERSIONS[0]:
        install = [str(venv / "bin/pip"), "install", "--quiet"]
    subprocess.run(
        [*install, "--require-hashes", "--requirement=requirements.txt"],
        cwd=folder / "function",
        check=True,
        capture_output=True,
    )
    return folder
