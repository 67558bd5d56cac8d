"""What cloudbuild.yaml promises: the steps that a developer takes, in the same words, and nothing secret."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
import yaml

from tests.deploy.harness import ROOT

BUILD: dict[str, Any] = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
STEPS: list[dict[str, Any]] = BUILD["steps"]

# https://docs.cloud.google.com/build/docs/build-config-file-schema
DOCUMENTED = {
    "steps", "timeout", "queueTtl", "logsBucket", "options", "substitutions", "tags", "serviceAccount",
    "secrets", "availableSecrets", "artifacts", "images",
}  # fmt: skip
DOCUMENTED_IN_A_STEP = {
    "name", "args", "env", "allowFailure", "allowExitCodes", "dir", "id", "waitFor", "entrypoint",
    "secretEnv", "volumes", "timeout", "script", "automapSubstitutions",
}  # fmt: skip


def commands() -> list[list[str]]:
    return [[step["entrypoint"], *step.get("args", [])] for step in STEPS]


def test_only_documented_fields_are_used() -> None:
    assert set(BUILD) <= DOCUMENTED
    for step in STEPS:
        assert set(step) <= DOCUMENTED_IN_A_STEP


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_step_runs_something_that_exists(command: list[str]) -> None:
    if command[0] == "make":
        assert re.search(rf"^{command[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    else:
        assert os.access(ROOT / command[0], os.X_OK)


def test_lint_and_test_are_those_of_continuous_integration() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    for target in ("lint", "test"):
        assert ["make", target] in commands()
        assert f"make {target}" in ci


def test_nothing_is_deployed_before_it_was_linted_tested_and_packaged() -> None:
    assert [step["id"] for step in STEPS] == ["setup", "lint", "test", "package", "deploy"]
    assert not any("waitFor" in step or step.get("allowFailure") for step in STEPS)


def test_every_image_is_pinned_to_a_version() -> None:
    for step in STEPS:
        assert re.search(r"(:\d+\.\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})$", step["name"]), step["name"]


def test_the_gcloud_image_is_new_enough_for_direct_egress() -> None:
    from deploy.steps.function import DIRECT_EGRESS_SINCE

    (image,) = {step["name"] for step in STEPS if "google-cloud-cli" in step["name"]}
    version = tuple(int(part) for part in re.findall(r"\d+", image.rpartition(":")[2])[:3])
    assert version >= DIRECT_EGRESS_SINCE


def test_the_build_runs_as_an_account_of_its_own_and_logs_to_cloud_logging() -> None:
    assert "${_PIPELINE_ACCOUNT}" in BUILD["serviceAccount"]
    assert BUILD["options"]["logging"] == "CLOUD_LOGGING_ONLY"
    assert re.fullmatch(r"\d+s", BUILD["timeout"])


def test_every_substitution_is_used_and_every_used_one_is_defined() -> None:
    text = (ROOT / "cloudbuild.yaml").read_text()
    assert set(re.findall(r"\$\{(_\w+)\}", text)) == set(BUILD["substitutions"])


def test_no_secret_is_handed_to_a_step() -> None:
    assert not {"secrets", "availableSecrets"} & set(BUILD)
    assert not any({"secretEnv", "env"} & set(step) for step in STEPS)
