"""Packages of the images: each kind has what its driver needs and no more, and none is taken for another."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.steps import RefusalError
from deploy.steps.package import bundle
from deploy.steps.package.kinds import DATAFLOW, FUNCTION, KINDS, SERVE, WORK, Kind
from tests.deploy.harness import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator


IMAGES = (SERVE, WORK, DATAFLOW)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The folders of all images, made once, with each wheel built once."""
    base = tmp_path_factory.mktemp("images")
    build = bundle._build_wheel

    @cache
    def wheel(folder: Path) -> Path:
        into = base / "wheels" / folder.name
        into.mkdir(parents=True)
        return build(folder, into)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "_build_wheel", lambda folder, into: Path(shutil.copy(wheel(folder), into)))
        for kind in IMAGES:
            bundle.make(base / kind.name, kind)
        yield {kind.name: base / kind.name for kind in IMAGES}


def packages(folder: Path) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", (folder / "requirements.txt").read_text(), re.MULTILINE))


def test_a_worker_has_no_server_and_no_image_has_the_functions_framework(made: dict[str, Path]) -> None:
    servers = {"uvicorn", "functions-framework", "starlette", "gunicorn", "flask"}
    assert packages(made["work"]) & servers == set()
    assert packages(made["serve"]) & servers == {"uvicorn"}
    assert packages(made["work"]) < packages(made["serve"])


def test_the_script_makes_a_package_for_what_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(bundle, "make", lambda target, kind: asked.append((target, kind)))
    for kind in KINDS.values():
        bundle.main([f"--for={kind.name}", f"--output={tmp_path / kind.name}"])
        assert kind.next in capsys.readouterr().out
    assert asked == [(tmp_path / kind.name, kind) for kind in KINDS.values()]


@pytest.mark.parametrize("kind", [SERVE, WORK], ids=lambda kind: kind.name)
def test_the_folder_of_an_image_has_the_sources_the_pipeline_and_nothing_of_the_function(
    made: dict[str, Path], kind: Kind
) -> None:
    names = {path.relative_to(made[kind.name]).as_posix() for path in bundle.files(made[kind.name])}
    assert {*kind.required, "enrichment/__main__.py", ".dockerignore"} <= names
    assert not {"main.py", ".gcloudignore"} & names
    assert bundle.problems(made[kind.name], kind) == []
    assert bundle.kind_of(made[kind.name]) is kind


def test_the_folder_of_the_template_has_its_wheels_by_their_hashes_and_what_its_lock_pins(
    made: dict[str, Path],
) -> None:
    folder = made["dataflow"]
    assert bundle.problems(folder, DATAFLOW) == []
    assert {path.relative_to(folder).as_posix() for path in bundle.files(folder)} >= {
        *DATAFLOW.required, *(name for name, _ in DATAFLOW.files)
    }  # fmt: skip
    requirements = (folder / "requirements.txt").read_text()
    wheels = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.whl")}
    assert {name.partition("-")[0] for name in wheels} == {
        "meshpass", "meshpass_contract", "meshpass_function", "meshpass_beam"
    }  # fmt: skip
    for name, digest in wheels.items():
        assert f"./{name} \\\n    --hash=sha256:{digest}\n" in requirements
    pinned = tomllib.loads((ROOT / "beam" / "uv.lock").read_text())["package"]
    (beam,) = [one["version"] for one in pinned if one["name"] == "apache-beam"]
    assert re.search(rf"^apache-beam(?:\[[^]]*\])?=={re.escape(beam)} ", requirements, re.MULTILINE)
    # What submits to Dataflow and reads gs://, and none of what only tests and other engines need.
    assert packages(folder) >= {"google-cloud-storage", "google-cloud-bigquery", "google-cloud-pubsub"}
    assert not packages(folder) & {"pytest", "mypy", "dask", "meshlab", "functions-framework", "uvicorn"}


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


@pytest.mark.parametrize("kind", [WORK, DATAFLOW], ids=lambda kind: kind.name)
def test_every_requirement_of_workers_has_a_wheel_for_the_python_of_their_image(
    made: dict[str, Path], kind: Kind
) -> None:
    assert bundle.without_a_wheel(made[kind.name]) == []


def test_the_python_of_the_templates_images_is_the_one_that_its_requirements_are_for() -> None:
    dockerfile = (ROOT / "beam/template/Dockerfile").read_text()
    assert f"apache/beam_python{DATAFLOW.python}_sdk:" in dockerfile
    assert f"# {DATAFLOW.python}." in dockerfile


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
        [sys.executable, "-S", "-m", "enrichment", "work", "--help"],
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
    assert "PULL_SUBSCRIPTION" in done.stdout


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
