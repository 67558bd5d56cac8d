"""Terraform's own format, in every file below infra/terraform."""

from __future__ import annotations

import os
import subprocess

from tests.infra.terraform.conftest import ROOT, needs_terraform


def test_every_file_has_the_format_of_terraform_fmt() -> None:
    needs_terraform()
    done = subprocess.run(
        ["terraform", f"-chdir={ROOT / 'infra/terraform'}", "fmt", "-check", "-recursive", "-diff"],
        env={"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
