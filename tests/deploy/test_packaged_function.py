"""The package alone, as the cloud would run it: plain pip, plain functions-framework, nothing of this workspace."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import certifi
import httpx
from meshlab.processes.ports import free_ports

from deploy.steps.package import bundle
from deploy.steps.package.runtime import PYTHON
from tests.deploy.alone import STARTED_WITHIN_S, environment, framework, served
from tests.deploy.harness import ROOT
from tests.deploy.pythons import VERSIONS

if TYPE_CHECKING:
    from pathlib import Path


def test_the_requirements_are_complete_and_install_nothing_else(app: Path) -> None:
    pip, python = (str(ROOT / ".venv/bin/uv"), "pip"), f"--python={app / 'venv/bin/python'}"
    subprocess.run([*pip, "check", python], check=True, capture_output=True)
    frozen = subprocess.run(
        [*pip, "list", python, "--format=freeze"], check=True, capture_output=True, text=True
    ).stdout
    installed = {
        line.partition("==")[0].lower().replace("_", "-").replace(".", "-") for line in frozen.split()
    }
    wanted = set(
        re.findall(r"^([a-z0-9-]+)==", (app / "function/requirements.txt").read_text(), re.MULTILINE)
    )
    assert installed - {"pip", "setuptools", "wheel"} <= wanted | {"meshpass", "meshpass-contract"}
    assert "meshpass" in installed


def test_every_requirement_has_a_wheel_for_the_runtime_that_is_deployed_to(package: Path) -> None:
    assert bundle.without_a_wheel(package) == []


def test_the_runtime_that_is_deployed_to_is_tested() -> None:
    assert PYTHON in VERSIONS


def test_it_starts_with_the_settings_that_a_deployment_gives_it(app: Path) -> None:
    mounted = environment() | {"GKE_GATEWAY_CA_FILE": certifi.where()}
    with served(app, mounted) as address:
        assert httpx.get(address).status_code < 500


def test_without_settings_it_does_not_start_and_names_every_one_it_lacks(app: Path) -> None:
    ports = free_ports()
    process = framework(app, {}, next(ports))
    output, _ = process.communicate(timeout=STARTED_WITHIN_S)
    assert process.returncode != 0
    optional = {
        "GKE_GATEWAY_CA_FILE",
        "GOOGLE_CLOUD_PROJECT",
        "JWT_SUBJECT",
        "TRIGGER_TOPIC",
        # Without these the function takes the defaults of the contract.
        "FUNCTION_TIMEOUT_S",
        "SUBSCRIPTION_ACK_DEADLINE_S",
    }
    for name in set(environment()) - optional:
        assert name in output
