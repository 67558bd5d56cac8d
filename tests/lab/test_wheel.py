"""The package meshlab alone: a wheel in an environment of its own is the whole bench, and nothing of the lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[2]
OFFLINE = (
    "error sending request",
    "failed to fetch",
    "network",
    "dns error",
    "connection",
    "timed out",
    "not found in the cache",
)

MESH = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: app, image: cart, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules: [{to: [{operation: {methods: [GET]}}]}]
"""
CASES = """\
workloads: {shop/caller: {labels: {app: caller}}}
defaults: {from: {workload: shop/caller}}
cases:
  - {name: a read, request: GET http://cart.shop/, expect: 200 shop/cart}
  - {name: a write, request: POST http://cart.shop/, expect: 403 shop/cart}
"""


def uv(*arguments: str) -> None:
    """Run uv, or skip where it needs a network that is not there."""
    command = [str(Path(sys.executable).parent / "uv"), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode and any(word in done.stderr.lower() for word in OFFLINE):
        pytest.skip(f"offline: uv {arguments[0]} cannot reach the package index")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it depends on."""
    directory = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--quiet", "--out-dir", str(directory), str(ROOT / "lab"))
    (wheel,) = directory.glob("meshlab-*.whl")
    uv("venv", "--quiet", "--python", sys.executable, str(directory / "venv"))
    uv("pip", "install", "--quiet", "--python", str(directory / "venv/bin/python"), str(wheel))
    return directory / "venv"


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Run a program of that environment, in an empty directory."""

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            [installed / "bin" / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment | {"COLUMNS": "80"},
        )

    return run


def test_the_command_explains_itself(run: Run) -> None:
    done = run("meshlab", "--help")
    assert done.returncode == 0, done.stderr
    assert "meshlab test -f mesh/ cases/" in done.stdout


def test_the_schema_is_shipped(run: Run) -> None:
    done = run("meshlab", "schema")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["title"] == "meshlab case file"


def test_lint_and_the_manifests_of_its_rules_are_shipped(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(MESH)
    done = run("meshlab", "lint", "-f", "mesh.yaml")
    assert (done.returncode, done.stdout) == (0, "4 objects: nothing found\n"), done.stdout + done.stderr
    missing = (
        "from meshlab.lint.rules import RULES, examples; print([r.code for r in RULES if not examples(r)])"
    )
    assert run("python", "-c", missing).stdout.strip() == "[]"


def test_nothing_of_the_lab_is_installed_and_the_lab_says_how_to_get_it(run: Run) -> None:
    found = "import importlib.util as u; print([n for n in ('google', 'duckdb', 'aiohttp', 'grpc') if u.find_spec(n)])"
    assert run("python", "-c", found).stdout.strip() == "[]"
    done = run("meshlab", "demo", "--project", str(ROOT))
    assert done.returncode == 1
    assert done.stderr.endswith(
        'Run `pip install ./infra/contract "./lab[lab]"` in a clone of the project.\n'
    )


def test_cases_run_in_a_directory_without_a_checkout(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(MESH)
    (tmp_path / "cases.yaml").write_text(CASES)
    done = run("meshlab", "test", "-f", "mesh.yaml", "cases.yaml", "--html", "report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("2 passed in ")
    # The style sheet and the script of a report are shipped, too.
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>" in page
    assert "prefers-color-scheme" in page
    assert "keydown" in page
    (tmp_path / "mesh.yaml").write_text(MESH.replace("[GET]", "[GET, POST]"))
    done = run("meshlab", "test", "-f", "mesh.yaml", "cases.yaml")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
