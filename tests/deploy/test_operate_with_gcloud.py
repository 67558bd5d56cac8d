"""deploy/grant by the real gcloud, against a local server that answers as Google's APIs do; every script's --help."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.deploy import verified
from tests.deploy.api.cloud import Cloud
from tests.deploy.api.google_cli import GCLOUD, MISSING, environment
from tests.deploy.api.server import serving
from tests.deploy.harness import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "projects/acme-mesh/locations/europe-west1/services/meshpass-enrichment-lookup"
MEMBER = "serviceAccount:orders@other-project.iam.gserviceaccount.com"


@pytest.mark.parametrize("name", ["verify", "grant", "rollback", "destroy"])
def test_each_script_says_what_it_does(name: str) -> None:
    script = ROOT / "deploy" / name
    assert os.access(script, os.X_OK)
    done = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--contract" in done.stdout or "COMMAND" in done.stdout


@pytest.mark.skipif(GCLOUD is None, reason=MISSING)
def test_a_caller_is_let_in_once_on_the_service_and_nothing_else_is_written(
    loaded_gcloud: Path, tmp_path: Path
) -> None:
    cloud = Cloud()
    name = SERVICE.replace("/services/", "/functions/")
    cloud.functions[name] = {"name": name, "serviceConfig": {"uri": "https://x.a.run.app", "revision": "r"}}
    (tmp_path / "gcloud").mkdir()
    with serving(cloud) as port:
        for _ in range(2):
            done = subprocess.run(
                [
                    sys.executable,
                    str(ROOT / "deploy" / "grant"),
                    "bind",
                    f"--contract={verified.BASE / 'contract.env'}",
                    f"--member={MEMBER}",
                    "--expires=2099-01-01T00:00:00Z",
                ],
                env=environment(tmp_path / "gcloud", port, tools=loaded_gcloud),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    assert "already" in done.stdout
    assert cloud.writes() == ["run.services.setIamPolicy"]
    (binding,) = cloud.policies[SERVICE]["bindings"]
    assert binding["members"] == [MEMBER]
    assert binding["role"] == "roles/run.invoker"
    assert binding["condition"] == {
        "expression": 'request.time < timestamp("2099-01-01T00:00:00Z")',
        "title": "until 2099-01-01T00:00:00Z",
    }
    assert cloud.unknown == []
