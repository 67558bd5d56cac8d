"""Packages of the images: each kind has what its driver needs and no more, and none is taken for another."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deploy.steps import RefusalError
from deploy.steps.package import bundle
from deploy.steps.package.kinds import DATAFLOW, FUNCTION, KINDS, SERVE, WORK, Kind
from tests.deploy.harness import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = str(ROOT / "deploy" / "package")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of both drivers' images, made once."""
    base = tmp_path_factory.mktemp("images")
    for kind in (SERVE, WORK):
        command = [sys.executable, PACKAGE, f"--for={kind.name}", f"--output={base / kind.name}"]
        subprocess.run(command, check=True, capture_output=True)
    return {kind.name: base / kind.name for kind in (SERVE, WORK)}


def packages(folder: Path) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", (folder / "requirements.txt").read_text(), re.MULTILINE))


def test_a_worker_has_no_server_and_no_image_has_the_functions_framework(made: dict[str, Path]) -> None:
    servers = {"uvicorn", "functions-framework", "starlette", "gunicorn", "flask"}
    assert packages(made["work"]) & servers == set()
    assert packages(made["serve"]) & servers == {"uvicorn"}
    assert packages(made["work"]) < packages(made["serve"])


@pytest.mark.parametrize("kind", [SERVE, WORK], ids=lambda kind: kind.name)
def test_the_folder_of_an_image_has_the_sources_the_pipeline_and_nothing_of_the_function(
    made: dict[str, Path], kind: Kind
) -> None:
    names = {path.relative_to(made[kind.name]).as_posix() for path in bundle.files(made[kind.name])}
    assert {*kind.required, "enrichment/__main__.py", ".dockerignore"} <= names
    assert not {"main.py", ".gcloudignore"} & names
    assert bundle.problems(made[kind.name], kind) == []
    assert bundle.kind_of(made[kind.name]) is kind


def test_a_package_of_one_kind_is_refused_as_another(made: dict[str, Path]) -> None:
    for other in (FUNCTION, WORK, DATAFLOW):
        (found,) = bundle.problems(made["serve"], other)
        assert "is one of the image of `python -m enrichment serve`, not of " in found
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy/deploy"), f"--source={made['work']}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "run deploy/package" in done.stderr


def test_every_requirement_of_a_worker_has_a_wheel_for_the_python_of_its_image(made: dict[str, Path]) -> None:
    assert bundle.without_a_wheel(made["work"]) == []


def test_the_worker_runs_from_what_the_image_has(made: dict[str, Path], tmp_path: Path) -> None:
    """As deploy/image/Dockerfile does it: packages in one folder, sources in another, and no project in reach."""
    uv = str(ROOT / ".venv/bin/uv")
    subprocess.run(
        [
            uv, "pip", "install", "--quiet", f"--project={tmp_path}", f"--target={tmp_path / 'packages'}",
            "--require-hashes", "--only-binary=:all:", "--requirements=requirements.txt",
        ],
        cwd=made["work"], check=True, capture_output=True,
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-S", "-m", "enrichment", "--help"],
        cwd=tmp_path,
        env={
            "PYTHONPATH": f"{made['work']}{os.pathsep}{tmp_path / 'packages'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": os.defpath,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "enrichment" in done.stdout


def test_a_file_of_a_kind_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "Dockerfile"
    monkeypatch.setattr(bundle, "_build_wheel", lambda _, into: into)
    kind = Kind(
        "work", "an image", package="meshpass-function", extras=(), ignore=".dockerignore", required=(), next="",
        files=(("Dockerfile", gone),),
    )  # fmt: skip
    with pytest.raises(RefusalError, match="Dockerfile is missing; it goes into the package of an image"):
        bundle.make(tmp_path / "work", kind)


def test_every_kind_says_what_comes_next_and_has_a_folder_of_its_own() -> None:
    assert set(KINDS) == {"function", "serve", "work", "dataflow"}
    for kind in KINDS.values():
        assert kind.next.startswith(("deploy/", "docs/"))
        assert (ROOT / kind.next.split()[0]).exists()
