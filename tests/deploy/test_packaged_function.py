"""The package alone, as the cloud would run it: plain pip, plain functions-framework, nothing of this workspace."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from deploy.steps import contract as contract_file
from deploy.steps import function
from tests.deploy.harness import CONTRACT, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STARTED_WITHIN_S = 30.0


@pytest.fixture(scope="session")
def app(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package beside an empty venv with its requirements."""
    folder = tmp_path_factory.mktemp("app")
    shutil.copytree(package, folder / "function")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    subprocess.run(
        [
            str(folder / "venv/bin/pip"),
            "install",
            "--quiet",
            "--require-hashes",
            "--requirement=requirements.txt",
        ],
        cwd=folder / "function",
        check=True,
        capture_output=True,
    )
    return folder


def environment() -> dict[str, str]:
    """What a deployment sets, on one machine: the gateway's address and the key's place are local."""
    return function.environment(contract_file.load(CONTRACT))


def framework(app: Path, variables: dict[str, str], port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(app / "venv/bin/functions-framework"), f"--target={function.ENTRY_POINT}", "--host=127.0.0.1"],
        cwd=app / "function",
        env={"PATH": os.defpath, "PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def served(app: Path, variables: dict[str, str]) -> Iterator[str]:
    """The function behind functions-framework, once it answers; its address."""
    port = free_port()
    process = framework(app, variables, port)
    try:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                yield f"http://127.0.0.1:{port}"
                return
            time.sleep(0.05)
        process.kill()
        pytest.fail(f"functions-framework did not start:\n{process.communicate()[0]}")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_the_requirements_are_complete_and_install_nothing_else(app: Path) -> None:
    pip = str(app / "venv/bin/pip")
    subprocess.run([pip, "check"], check=True, capture_output=True)
    frozen = subprocess.run(
        [pip, "list", "--format=freeze"], check=True, capture_output=True, text=True
    ).stdout
    installed = {
        line.partition("==")[0].lower().replace("_", "-").replace(".", "-") for line in frozen.split()
    }
    wanted = set(
        re.findall(r"^([a-z0-9-]+)==", (app / "function/requirements.txt").read_text(), re.MULTILINE)
    )
    assert installed - {"pip", "setuptools"} <= wanted | {"meshpass"}
    assert "meshpass" in installed


def test_every_requirement_has_a_wheel_for_the_runtime_that_is_deployed_to(app: Path) -> None:
    version = re.sub(r"python(\d)(\d+)", r"\1.\2", function.RUNTIME)
    done = subprocess.run(
        [
            str(ROOT / ".venv/bin/uv"), "pip", "install", "--dry-run", f"--target={app / 'none'}",
            f"--python-version={version}", "--python-platform=x86_64-manylinux_2_28", "--only-binary=:all:",
            "--require-hashes", "--requirements=requirements.txt",
        ],
        cwd=app / "function",
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_it_starts_with_the_settings_that_a_deployment_gives_it(app: Path) -> None:
    with served(app, environment()) as address:
        assert httpx.get(address).status_code < 500


def test_without_settings_it_does_not_start_and_names_every_one_it_lacks(app: Path) -> None:
    process = framework(app, {}, free_port())
    output, _ = process.communicate(timeout=STARTED_WITHIN_S)
    assert process.returncode != 0
    optional = {"GKE_GATEWAY_CA_FILE", "JWT_SUBJECT"}
    for name in set(environment()) - optional:
        assert name in output
