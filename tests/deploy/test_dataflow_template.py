"""The entry of the flex template: parameters become the pipeline's command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from deploy.steps.dataflow import template
from deploy.steps.package.kinds import DATAFLOW
from tests.deploy.harness import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LAUNCH = template.FOLDER / "launch.py"
PIPELINE = """\
import json
def main(arguments):
    print(json.dumps(arguments))
    return 3
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder with a pipeline that reports what it gets: the image has the real one."""
    (tmp_path / "enrichment_beam").mkdir()
    (tmp_path / "enrichment_beam/__init__.py").touch()
    (tmp_path / "enrichment_beam/command.py").write_text(PIPELINE)
    return tmp_path


def launched(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run launch.py as the launcher of Dataflow does, with nothing of this workspace in reach."""
    return subprocess.run(
        [sys.executable, "-S", str(LAUNCH), *arguments],
        env={"PYTHONPATH": str(path), "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_parameters_become_the_command_line_of_the_mode(path: Path) -> None:
    given = ['--environment={"A":"b"}', "--in_flight=64", "--runner=DataflowRunner", "--write="]
    done = launched(path, "--mode=stream", *given)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout) == ["stream", *given]


def test_patterns_of_files_are_given_one_by_one_and_counting_is_a_flag(path: Path) -> None:
    done = launched(path, "--mode=backfill", "--files=gs://a/* gs://b/c,d", "--dry_run=true")
    assert json.loads(done.stdout) == ["backfill", "--files=gs://a/*", "--files=gs://b/c,d", "--dry-run"]
    done = launched(path, "--mode=backfill", "--files=", "--dry_run=false")
    assert json.loads(done.stdout) == ["backfill"]


def test_another_mode_ends_the_launch(path: Path) -> None:
    done = launched(path, "--mode=other")
    assert done.returncode == 2
    assert "invalid choice: 'other'" in done.stderr


def test_the_image_copies_what_the_package_has() -> None:
    dockerfile = (template.FOLDER / "Dockerfile").read_text()
    files = {name for name, _ in DATAFLOW.files}
    assert "COPY launch.py ./" in dockerfile
    assert "launch.py" in files
    assert f"COPY {DATAFLOW.pipeline.rstrip('/')} ./pipeline" in dockerfile
    assert "--require-hashes" in dockerfile
    assert "--only-binary=:all:" in dockerfile
    assert 'ENTRYPOINT ["/opt/apache/beam/boot"]' in dockerfile
    template.require_files()


def test_the_version_of_beams_image_is_that_of_the_requirements(tmp_path: Path) -> None:
    (step,) = yaml.safe_load((template.FOLDER / "cloudbuild.yaml").read_text())["steps"]
    script = step["args"][1].replace("$$", "$").replace("docker build", "echo")
    requirements = "absl-py==1.0 \\\n    --hash=sha256:0\napache-beam[gcp]==2.77.0 \\\n    --hash=sha256:0\n"
    (tmp_path / "requirements.txt").write_text(requirements)
    shown = subprocess.run(
        ["/bin/sh", "-euc", script], cwd=tmp_path, env={"PATH": os.defpath, "_IMAGE": "image:tag"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stdout == "--tag=image:tag --build-arg=BEAM_VERSION=2.77.0 .\n"


def test_the_build_of_the_image_is_pinned_like_the_pipelines_own() -> None:
    own = (ROOT / "cloudbuild.yaml").read_text()
    for name in ("cloudbuild.yaml", "Dockerfile"):
        for line in (template.FOLDER / name).read_text().splitlines():
            if "@sha256:" in line:
                digest = line.partition("@sha256:")[2].split()[0]
                assert digest in own, f"{name} names an image that cloudbuild.yaml does not: {digest}"
