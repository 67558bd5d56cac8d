"""The entry of the flex template: parameters become the pipeline's command line and environment."""

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
import json, os, sys
def main(arguments):
    ca = os.environ.get("GKE_GATEWAY_CA_FILE", "")
    print(json.dumps({"arguments": arguments, "table": os.environ.get("BIGQUERY_TABLE"),
                      "ca": open(ca).read() if ca else ""}))
    return 3
"""
SECRETS = """\
class SecretManagerServiceClient:
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def access_secret_version(self, *, name):
        class Answer:
            class payload: data = f"CERTIFICATE of {name}".encode()
        return Answer
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder with a pipeline and a client that report what they get: the image has the real ones."""
    (tmp_path / "enrichment_beam").mkdir()
    (tmp_path / "enrichment_beam/__init__.py").touch()
    (tmp_path / "enrichment_beam/command.py").write_text(PIPELINE)
    (tmp_path / "google/cloud").mkdir(parents=True)
    (tmp_path / "google/cloud/secretmanager.py").write_text(SECRETS)
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


def test_parameters_become_a_command_line_and_an_environment(path: Path) -> None:
    done = launched(
        path, "--mode=stream", '--environment={"BIGQUERY_TABLE":"p.d.t"}', "--in_flight=64", "--subscription=s",
        "--gateway_ca_secret=projects/p/secrets/ca/versions/7", "--runner=DataflowRunner", "--write=",
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout) == {
        "arguments": ["stream", "--in_flight=64", "--subscription=s", "--runner=DataflowRunner", "--write="],
        "table": "p.d.t",
        "ca": "CERTIFICATE of projects/p/secrets/ca/versions/7",
    }


def test_patterns_of_files_are_given_one_by_one_and_counting_is_a_flag(path: Path) -> None:
    done = launched(
        path, "--mode=backfill", "--environment={}", "--files=gs://a/* gs://b/c,d", "--dry_run=true"
    )
    assert json.loads(done.stdout)["arguments"] == [
        "backfill",
        "--files=gs://a/*",
        "--files=gs://b/c,d",
        "--dry-run",
    ]
    done = launched(path, "--mode=backfill", "--environment={}", "--files=", "--dry_run=false")
    assert json.loads(done.stdout)["arguments"] == ["backfill"]


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ("{", "the parameter environment is no JSON"),
        ("[]", "must be one JSON object of names and texts"),
        ('{"A": 1}', "must be one JSON object of names and texts"),
        ('{"path": "x"}', "must be one JSON object of names and texts"),
    ],
)
def test_a_wrong_environment_ends_the_launch_before_the_pipeline(
    path: Path, environment: str, complaint: str
) -> None:
    done = launched(path, "--mode=stream", f"--environment={environment}")
    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stdout == ""


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
