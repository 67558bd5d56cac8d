"""What cloudbuild.yaml does: the steps that a developer takes, by fixed images, as an account with few rights."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deploy.steps.deploy.deployment_order import DIRECT_EGRESS_SINCE
from deploy.steps.package.runtime import RUNTIME
from tests.deploy.harness import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = (ROOT / "cloudbuild.yaml").read_text()
BUILD: dict[str, Any] = yaml.safe_load(TEXT)
STEPS: list[dict[str, Any]] = BUILD["steps"]
BY_ID = {step["id"]: step for step in STEPS}
PAGE = (ROOT / "docs" / "cloud-build.md").read_text()
PYTHON_OF_GCLOUD = "/usr/lib/google-cloud-sdk/platform/bundledpythonunix/bin/python3"

# The Build resource, as far as a config file may set it. A list is a list of what it holds, a set is an enum, and a
# dict an object. https://docs.cloud.google.com/build/docs/api/reference/rest/v1/projects.builds#Build
# and https://docs.cloud.google.com/build/docs/build-config-file-schema (both read in November 2026).
STRING, BOOLEAN, DURATION, INT64, MAP = "string", "boolean", "duration", "int64", "map"
VOLUME = {"name": STRING, "path": STRING}
STEP = {
    "name": STRING, "args": [STRING], "env": [STRING], "dir": STRING, "id": STRING, "waitFor": [STRING],
    "entrypoint": STRING, "secretEnv": [STRING], "volumes": [VOLUME], "timeout": DURATION, "script": STRING,
    "allowFailure": BOOLEAN, "allowExitCodes": [INT64], "automapSubstitutions": BOOLEAN,
}  # fmt: skip
OPTIONS = {
    "sourceProvenanceHash": [{"NONE", "SHA256", "MD5", "GO_MODULE_H1", "SHA512"}],
    "requestedVerifyOption": {"NOT_VERIFIED", "VERIFIED"},
    "machineType": {"UNSPECIFIED", "N1_HIGHCPU_8", "N1_HIGHCPU_32", "E2_HIGHCPU_8", "E2_HIGHCPU_32", "E2_MEDIUM"},
    "diskSizeGb": INT64,
    "substitutionOption": {"MUST_MATCH", "ALLOW_LOOSE"},
    "dynamicSubstitutions": BOOLEAN,
    "automapSubstitutions": BOOLEAN,
    "logStreamingOption": {"STREAM_DEFAULT", "STREAM_ON", "STREAM_OFF"},
    "logging": {"LOGGING_UNSPECIFIED", "LEGACY", "GCS_ONLY", "STACKDRIVER_ONLY", "CLOUD_LOGGING_ONLY", "NONE"},
    "defaultLogsBucketBehavior": {"REGIONAL_USER_OWNED_BUCKET", "LEGACY_BUCKET"},
    "env": [STRING], "secretEnv": [STRING], "volumes": [VOLUME], "pool": {"name": STRING}, "pubsubTopic": STRING,
}  # fmt: skip
SCHEMA = {
    "steps": [STEP], "timeout": DURATION, "queueTtl": DURATION, "images": [STRING], "logsBucket": STRING,
    "options": OPTIONS, "substitutions": MAP, "tags": [STRING], "serviceAccount": STRING,
    "artifacts": {"images": [STRING], "objects": {"location": STRING, "paths": [STRING]}},
    "secrets": [{"kmsKeyName": STRING, "secretEnv": MAP}], "availableSecrets": MAP,
}  # fmt: skip

# https://docs.cloud.google.com/build/docs/configuring-builds/substitute-variable-values#using_default_substitutions
BUILT_IN = {
    "PROJECT_ID",
    "PROJECT_NUMBER",
    "BUILD_ID",
    "LOCATION",
    "SERVICE_ACCOUNT",
    "SERVICE_ACCOUNT_EMAIL",
}


def problems(value: object, schema: object, at: str = "") -> list[str]:
    """Return where a value does not fit the schema."""
    if isinstance(schema, list):
        if not isinstance(value, list):
            return [f"{at}: no list"]
        return [found for i, one in enumerate(value) for found in problems(one, schema[0], f"{at}[{i}]")]
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return [f"{at}: no object"]
        return [
            found
            for key, one in value.items()
            for found in (
                problems(one, schema[key], f"{at}.{key}") if key in schema else [f"{at}.{key}: unknown"]
            )
        ]
    if isinstance(schema, set):
        return [] if value in schema else [f"{at}: {value} is none of {sorted(schema)}"]
    return [] if _is(value, str(schema)) else [f"{at}: {value!r} is no {schema}"]


def _is(value: object, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "duration":
            return isinstance(value, str) and re.fullmatch(r"\d+(\.\d{1,9})?s", value) is not None
        case "int64":
            return isinstance(value, int) or (isinstance(value, str) and value.isdecimal())
        case _:
            return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def command(step: dict[str, Any]) -> list[str]:
    """What a step runs, with the interpreter left out before a script."""
    words = [step["entrypoint"], *step.get("args", [])]
    return words[1:] if words[0] == PYTHON_OF_GCLOUD else words


@functools.cache
def before(step_id: str) -> frozenset[str]:
    """The steps that have ended when this one begins."""
    waits = BY_ID[step_id].get("waitFor")
    earlier = (
        [step["id"] for step in STEPS[: list(BY_ID).index(step_id)]]
        if waits is None
        else [one for one in waits if one != "-"]
    )
    return frozenset(earlier).union(*(before(one) for one in earlier))


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


@functools.cache
def longest(step_id: str) -> int:
    """How long it can take until this step has ended, in seconds."""
    return seconds(BY_ID[step_id]["timeout"]) + max((longest(one) for one in before(step_id)), default=0)


def test_it_fits_the_published_build_resource() -> None:
    assert problems(BUILD, SCHEMA) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"step": []}, ".step: unknown"),
        ({"timeout": "1800"}, ".timeout: '1800' is no duration"),
        ({"options": {"requestedVerifyOption": "YES"}}, ".options.requestedVerifyOption: YES is none of"),
        ({"steps": [{"waitfor": ["-"]}]}, ".steps[0].waitfor: unknown"),
        ({"steps": [{"args": "setup"}]}, ".steps[0].args: no list"),
        ({"substitutions": {"_N": 1}}, "is no map"),
    ],
)
def test_the_schema_finds_what_does_not_fit(change: dict[str, Any], found: str) -> None:
    assert found in " ".join(problems(change, SCHEMA))


def test_steps_wait_for_steps_that_stand_before_them() -> None:
    assert len(BY_ID) == len(STEPS)
    for i, step in enumerate(STEPS):
        assert set(step.get("waitFor", [])) - {"-"} <= {one["id"] for one in STEPS[:i]}, step["id"]


def test_every_volume_is_used_by_more_than_one_step_and_outside_of_the_workspace() -> None:
    used = [(volume["name"], volume["path"]) for step in STEPS for volume in step.get("volumes", [])]
    for name, path in set(used):
        assert used.count((name, path)) > 1
        assert path.startswith("/")
        assert not path.startswith("/workspace")


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["id"])
def test_every_step_runs_something_that_exists(step: dict[str, Any]) -> None:
    words = command(step)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[0].startswith("deploy/"):
        assert os.access(ROOT / words[0], os.X_OK)
        flags = {flag for word in words[1:] for flag in re.findall(r"^--[a-z-]+", word)}
        shown = subprocess.run([ROOT / words[0], "--help"], capture_output=True, text=True, check=True).stdout
        assert flags <= set(re.findall(r"--[a-z-]+", shown))
    else:
        assert words[0] in {"cp", "docker", ".venv/bin/meshlab"}


def test_lint_and_test_are_those_of_continuous_integration() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    for target in ("lint", "test"):
        assert ["make", target] in [command(step) for step in STEPS]
        assert f"make {target}" in ci


def test_nothing_is_deployed_before_every_check_has_passed() -> None:
    checks = {"contract", "lint", "test-3.11", "test-3.13", "policies", "package", "check", "sbom", "record"}
    deploying = [step["id"] for step in STEPS if step["id"].startswith("deploy-")]
    assert deploying == ["deploy-enrich", "deploy-lookup"]
    for step_id in deploying:
        assert checks <= before(step_id)
    assert not any({"allowFailure", "allowExitCodes"} & set(step) for step in STEPS)


def test_steps_run_at_the_same_time_only_where_they_are_independent() -> None:
    together = {
        frozenset((one, other))
        for one in BY_ID
        for other in BY_ID
        if one != other and one not in before(other) and other not in before(one)
    }
    older = {"setup-3.11", "lint", "test-3.11", "policies"}
    newer = {"setup-3.13", "test-3.13"}
    expected = {frozenset((one, other)) for one in older for other in newer}
    expected |= {
        frozenset(pair) for pair in (("lint", "test-3.11"), ("lint", "policies"), ("test-3.11", "policies"))
    }
    assert together == expected
    # Two lanes that share .venv, and caches beside it, would write over each other.
    for step_id in newer:
        assert BY_ID[step_id]["dir"] == BY_ID[step_id]["volumes"][0]["path"]


def test_what_was_deployed_is_read_back_and_then_tried_out() -> None:
    assert command(BY_ID["verify"])[0] == "deploy/verify"
    assert command(BY_ID["smoke"])[0] == "deploy/smoke"
    assert {"deploy-enrich", "deploy-lookup"} <= before("verify")
    assert "verify" in before("smoke")


def test_every_step_has_a_time_limit_and_the_build_has_time_for_all_of_them() -> None:
    assert all("timeout" in step for step in STEPS)
    # A build that ends for its own limit does not say which step was slow.
    assert max(longest(step_id) for step_id in BY_ID) <= seconds(BUILD["timeout"])


def test_every_image_is_named_by_its_digest_and_the_page_says_which_version_it_is() -> None:
    listed = re.findall(r"^\| `([\w./-]+)` \| (\S+) \| `sha256:([0-9a-f]{64})` \|", PAGE, re.MULTILINE)
    versions = {f"{image}@sha256:{digest}": version for image, version, digest in listed}
    assert {step["name"] for step in STEPS} == set(versions)
    for step in STEPS:
        assert re.search(r"@sha256:[0-9a-f]{64}$", step["name"]), step["name"]
    # Beside an image stands its version, where it has one.
    for name, version in re.findall(r"^    name: (\S+) # (\S+)$", TEXT, re.MULTILINE):
        assert versions[name] == version


def test_the_oldest_supported_python_and_the_deployed_one_are_tested() -> None:
    images = re.findall(r"^\| `python` \| (3\.\d+)\.\S+ \|", PAGE, re.MULTILINE)
    oldest = re.search(r'requires-python = ">=(3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    assert oldest is not None
    assert set(images) == {oldest[1], f"3.{RUNTIME.removeprefix('python3')}"}
    for version in images:
        assert command(BY_ID[f"test-{version}"]) == ["make", "test"]


def test_the_gcloud_image_is_new_enough_for_direct_egress() -> None:
    (version,) = re.findall(r"google-cloud-cli` \| ([\d.]+)-stable \|", PAGE)
    assert tuple(int(part) for part in version.split(".")) >= DIRECT_EGRESS_SINCE


def test_a_script_in_the_gcloud_image_is_run_by_the_python_that_gcloud_brings() -> None:
    # google-cloud-cli:stable has no python3 on its PATH, so `#!/usr/bin/env python3` fails there.
    for step in STEPS:
        if "google-cloud-cli" in step["name"]:
            assert step["entrypoint"] == PYTHON_OF_GCLOUD


def test_the_provenance_is_asked_for_and_has_an_image_to_stand_on() -> None:
    assert BUILD["options"]["requestedVerifyOption"] == "VERIFIED"
    (image,) = BUILD["images"]
    assert f"--tag={image}" in BY_ID["record"]["args"]
    # Cloud Build writes provenance for what it pushes to Artifact Registry itself.
    assert image.startswith("${LOCATION}-docker.pkg.dev/${PROJECT_ID}/")
    assert not any("push" in step.get("args", []) for step in STEPS)
    recipe = (ROOT / "deploy" / "record.Dockerfile").read_text()
    assert "FROM scratch" in recipe
    assert {"function", "function.inputs", "function.cdx.json"} <= set(recipe.split())


def test_the_build_runs_as_an_account_of_its_own_and_logs_to_cloud_logging() -> None:
    assert "${_PIPELINE_ACCOUNT}" in BUILD["serviceAccount"]
    assert BUILD["options"]["logging"] == "CLOUD_LOGGING_ONLY"


def test_every_substitution_is_used_and_every_used_one_is_defined() -> None:
    used = set(re.findall(r"\$\{?(\w+)", TEXT))
    assert used - BUILT_IN == set(BUILD["substitutions"])
    assert BUILD["options"]["substitutionOption"] == "MUST_MATCH"


def test_no_secret_is_given_to_a_step_and_no_substitution_to_a_shell() -> None:
    assert not {"secrets", "availableSecrets"} & set(BUILD)
    assert not {"secretEnv", "env", "pubsubTopic"} & set(BUILD["options"])
    for step in STEPS:
        assert not {"secretEnv", "env", "script"} & set(step)
        assert step["entrypoint"].rpartition("/")[2] not in {"sh", "bash", "dash"}
        assert "-c" not in step.get("args", [])
    assert not re.search(r"(?i)secret|token|password|key", " ".join(BUILD["substitutions"]))


def test_the_account_of_the_page_has_what_every_step_needs_and_no_way_to_grant() -> None:
    table = PAGE.partition("<!-- pipeline account -->")[2].partition("<!-- end of the table -->")[0]
    roles = set(re.findall(r"^\| `(roles/[\w.]+)` \| .+ \| .+ \|$", table, re.MULTILINE))
    assert {
        "roles/logging.logWriter",
        "roles/storage.objectViewer",
        "roles/artifactregistry.writer",
        "roles/cloudfunctions.developer",
        "roles/run.viewer",
        "roles/iam.serviceAccountUser",
        "roles/bigquery.jobUser",
        "roles/bigquery.dataViewer",
    } <= roles
    # What deploy/verify asks, each question with the role that answers it. Two are a part of a wider one.
    asked = set(re.findall(r'"(roles/[\w.]+)"', (ROOT / "deploy/steps/cloud/questions.py").read_text()))
    assert asked - {"roles/cloudfunctions.viewer", "roles/pubsub.viewer"} <= roles
    for role in roles:
        assert not re.search(r"^roles/(owner|editor|viewer)$|[aA]dmin|TokenCreator|Key", role), role


class _CloudBuild(BaseHTTPRequestHandler):
    """Answers as Cloud Build's API does to one build that is queued."""

    bodies: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.bodies.append({"path": self.path, **body})
        build = {
            "id": "b-1", "projectId": "acme-mesh", "status": "QUEUED", "createTime": "2026-01-01T00:00:00Z",
            "name": "projects/1/locations/europe-west1/builds/b-1",
        }  # fmt: skip
        kind = "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"
        answer = json.dumps({"name": "operations/1", "metadata": {"@type": kind, "build": build}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def cloud_build() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A local Cloud Build: its address, and the bodies that it was sent."""
    bodies: list[dict[str, Any]] = []
    handler = type("Handler", (_CloudBuild,), {"bodies": bodies})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()
        thread.join()


def submit(config: Path, address: str, home: Path) -> subprocess.CompletedProcess[str]:
    (home / "token").write_text("not-a-token")
    return subprocess.run(
        [
            "gcloud", "builds", "submit", "--no-source", "--async", "--project=acme-mesh",
            "--region=europe-west1", f"--config={config}",
        ],
        env={
            **os.environ,
            "CLOUDSDK_CONFIG": str(home),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(home / "token"),
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD": address,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.skipif(
    shutil.which("gcloud") is None, reason="no gcloud: not shown that gcloud itself takes cloudbuild.yaml"
)
def test_gcloud_submits_it_as_it_stands_and_refuses_a_misspelled_field(
    cloud_build: tuple[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    address, bodies = cloud_build
    done = submit(ROOT / "cloudbuild.yaml", address, tmp_path)
    assert done.returncode == 0, done.stderr
    (body,) = bodies
    assert body["path"].startswith("/v1/projects/acme-mesh/locations/europe-west1/builds")
    assert [step["id"] for step in body["steps"]] == list(BY_ID)
    assert body["options"]["requestedVerifyOption"] == "VERIFIED"
    assert body["substitutions"] == BUILD["substitutions"]
    misspelled = tmp_path / "cloudbuild.yaml"
    misspelled.write_text(TEXT.replace("    waitFor:", "    waitfor:", 1))
    done = submit(misspelled, address, tmp_path)
    assert done.returncode != 0
    assert "waitfor" in done.stderr
    assert len(bodies) == 1
