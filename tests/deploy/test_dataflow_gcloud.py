"""What the installed gcloud makes of deploy/dataflow's commands: it takes each, and sends what it means to Dataflow.

gcloud runs in one process, against a local server that answers as Google's APIs do.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshcontract
import pytest

from deploy.steps.dataflow import jobs, names, readback, template
from deploy.steps.deploy.plan import Read, Run, When
from deploy.steps.gcloud import NOT_FOUND
from tests.deploy.api.cloud import Cloud
from tests.deploy.api.google_cli import GCLOUD, MISSING, environment
from tests.deploy.api.server import serving
from tests.deploy.harness import CONTRACT, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deploy.steps.deploy.plan import Step

pytestmark = pytest.mark.skipif(GCLOUD is None, reason=MISSING)

ACCOUNT = "meshpass-dataflow@acme-mesh.iam.gserviceaccount.com"
DIGEST = "0123456789ab" + "0" * 52
IMAGE_DIGEST = f"sha256:{DIGEST[:12]:0<64}"
SUBNET = "projects/acme-mesh/regions/europe-west1/subnetworks/meshpass-functions"
JOB = "meshpass-enrichment-dataflow"


def commands(steps: Sequence[Step], job: str) -> Iterator[list[str]]:
    """Yield every command of a plan, of both branches of each decision; a job's id is the one that is given."""
    for step in steps:
        if isinstance(step, When):
            yield from commands((*step.steps, *step.otherwise), job)
        elif isinstance(step, Read):
            yield [str(word) for word in step.command()]
        elif isinstance(step, Run):
            known = {"job": job, "image": IMAGE_DIGEST}
            yield [word if isinstance(word, str) else word.text(known) for word in step.arguments]


class Judged:
    """Runs of gcloud, what it refused to parse, and what the server saw."""

    def __init__(self, values: dict[str, str], folder: Path) -> None:
        self.values, self.cloud = values, project()
        parameters = {
            "mode": "stream",
            "environment": names.environment(values),
            "gateway_ca_secret": names.gateway_ca(values),
            "subscription": names.subscription(values),
        }
        wrong = {**parameters, "subscription": "events"}
        launch = jobs.launch(values, "stream", JOB, DIGEST, parameters)
        update = jobs.launch(values, "stream", JOB, DIGEST, parameters, update=True)
        refused = jobs.launch(values, "stream", f"{JOB}-2", DIGEST, wrong)
        build = [*commands(jobs.build(values, str(template.FOLDER), DIGEST), "")]
        submit = [command for command in build if command[:2] == ["builds", "submit"]]
        # The first id that the server gives.
        job = "2026-11-30_00_00_00-000001"
        describe = [
            "dataflow",
            "jobs",
            "describe",
            job,
            "--project=acme-mesh",
            "--region=europe-west1",
            "--full",
        ]
        self.runs = [
            *(command for command in build if command not in submit),
            *commands(jobs.stream(values, launch, DIGEST, update=False), job),
            [*describe, "--format=json"],
            *commands(jobs.stream(values, update, DIGEST, update=True)[-1:], job),
            *commands([refused], job),
            *commands(jobs.end(values, JOB, "drain"), "2026-11-30_00_00_00-000002"),
            ["artifacts", "tags", "list", "--package=none", "--project=p", "--location=l", "--repository=r"],
            ["compute", "networks", "subnets", "describe", "none", "--project=acme-mesh", "--region=r"],
            ["storage", "buckets", "describe", "gs://none"],
            ["storage", "objects", "describe", "gs://acme-mesh-dataflow/none"],
        ]
        # gcloud reads the file while it reads its arguments.
        file = folder / "environment.yaml"
        file.write_text('"A": "b"\n')
        self.shown = self.shown_in_docs(str(file))
        further = [*submit, *commands(jobs.end(values, JOB, "cancel"), job), *self.shown]
        self.answer = self.ask(folder, further)
        self.printed = dict(zip((" ".join(run) for run in self.runs), self.answer["printed"], strict=True))

    def shown_in_docs(self, file: str) -> list[list[str]]:
        """Commands of gcloud that the pages show, with a value for each of their variables.

        Args:
            file: a file of environment variables, in place of those that the pages make.
        """
        found = []
        for page in ("dataflow.md", "run-elsewhere.md"):
            text = (ROOT / "docs" / page).read_text().replace("\\\n", " ")
            blocks = text.split("```sh\n")[1:]
            lines = [line.strip() for block in blocks for line in block.partition("```")[0].splitlines()]
            for line in lines:
                if line.startswith("gcloud "):
                    command = re.split(r" [>|] ", line)[0]
                    words = [expanded(word, self.values) for word in shlex.split(command)[1:]]
                    found.append([re.sub("(?<=--env-vars-file=).*", file, word) for word in words])
        return found

    def ask(self, folder: Path, further: list[list[str]]) -> dict[str, Any]:
        """Ask gcloud's own Python about all of it."""
        assert GCLOUD
        root = Path(GCLOUD).resolve().parents[1]
        bundled = root / "platform/bundledpythonunix/bin/python3"
        python = str(bundled if bundled.exists() else shutil.which("python3"))
        asked = {
            "messages": [],
            "commands": [["gcloud", *command] for command in (*self.runs, *further)],
            "runs": [["gcloud", *command] for command in self.runs],
        }
        with serving(self.cloud) as port:
            done = subprocess.run(
                [python, str(Path(__file__).with_name("gcloud_judge.py")), str(root / "lib")],
                env={**os.environ, **environment(folder, port)},
                input=json.dumps(asked),
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def run(self, *words: str) -> tuple[int, str, str]:
        """Return what the first run that begins with these words printed."""
        found = next(run for run in self.printed if run.startswith(" ".join(words)))
        code, out, error = self.printed[found]
        return code, out, error


def expanded(word: str, values: dict[str, str]) -> str:
    """Return a word of a shell command with the values of the contract's keys in it."""
    for name, value in sorted(values.items(), reverse=True):
        word = word.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return word


def project() -> Cloud:
    cloud = Cloud()
    cloud.add_topics("user-events")
    cloud.subscriptions[f"projects/acme-mesh/subscriptions/{JOB}"] = {
        "name": f"projects/acme-mesh/subscriptions/{JOB}",
        "topic": "projects/acme-mesh/topics/user-events",
    }
    cloud.buckets["acme-mesh-dataflow"] = {
        "kind": "storage#bucket",
        "name": "acme-mesh-dataflow",
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": True},
            "publicAccessPrevention": "enforced",
        },
    }
    cloud.accounts[ACCOUNT] = "114"
    cloud.subnets[SUBNET] = {
        "name": "meshpass-functions", "ipCidrRange": "10.8.0.0/24", "privateIpGoogleAccess": True
    }  # fmt: skip
    package = "projects/acme-mesh/locations/europe-west1/repositories/meshpass/packages/meshpass-dataflow"
    cloud.images[package] = [DIGEST[:12], f"{DIGEST[:12]}-2"]
    return cloud


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("dataflow")
    contract = folder / "contract.env"
    worker = "PULL_WORKER_SERVICE_ACCOUNT=meshpass-worker@acme-mesh.iam.gserviceaccount.com"
    text = CONTRACT.read_text().replace("example-project", "acme-mesh")
    contract.write_text(f"{text}\nDATAFLOW_SERVICE_ACCOUNT={ACCOUNT}\n{worker}\n")
    (folder / "gcloud").mkdir()
    return Judged(meshcontract.load(contract), folder / "gcloud")


def test_gcloud_takes_every_command(judged: Judged) -> None:
    assert judged.answer["refused"] == {}
    assert {" ".join(command[:4]) for command in judged.shown} >= {
        "run deploy meshpass-serve --project=acme-mesh",
        "beta run worker-pools deploy",
        "pubsub subscriptions create meshpass-serve",
        "iam service-accounts add-iam-policy-binding meshpass-worker@acme-mesh.iam.gserviceaccount.com",
    }


def test_what_is_asked_is_answered_as_the_plan_reads_it(judged: Judged) -> None:
    expected = {
        ("artifacts", "tags", "list"): IMAGE_DIGEST,
        ("storage", "buckets", "describe"): "acme-mesh-dataflow|True|enforced",
        ("storage", "objects", "describe"): f"templates/{DIGEST[:12]}/stream.json",
        ("iam", "service-accounts", "describe"): f"{ACCOUNT}|114|",
        ("compute", "networks", "subnets", "describe"): "meshpass-functions|10.8.0.0/24|True",
        ("pubsub", "subscriptions", "describe"): (
            f"projects/acme-mesh/subscriptions/{JOB}|projects/acme-mesh/topics/user-events||||||"
        ),
    }
    assert {words: judged.run(*words)[:2] for words in expected} == {
        words: (0, f"{line}\n") for words, line in expected.items()
    }


def test_the_specification_has_the_image_and_every_parameter(judged: Judged) -> None:
    for mode in template.MODES:
        stored = judged.cloud.objects["acme-mesh-dataflow"][f"templates/{DIGEST[:12]}/{mode}.json"]
        specification = json.loads(stored)
        assert specification["image"] == f"{names.image(judged.values)}@{IMAGE_DIGEST}"
        assert specification["sdkInfo"] == {"language": "PYTHON"}
        kept = {one["name"]: one["regexes"] for one in specification["metadata"]["parameters"]}
        assert kept == {name: one["regexes"] for name, one in template.metadata(mode).items()}


def test_a_launch_asks_for_private_workers_and_dataflow_takes_its_parameters(judged: Judged) -> None:
    calls = [call for call in judged.cloud.calls if call.permission == "dataflow.jobs.create"]
    assert [call.code for call in calls] == [200, 200, 400]
    first, second, _ = (call.body["launchParameter"] for call in calls)
    assert (
        first["environment"].items()
        >= {
            "ipConfiguration": "WORKER_IP_PRIVATE",
            "subnetwork": f"https://www.googleapis.com/compute/v1/{SUBNET}",
            "serviceAccountEmail": ACCOUNT,
            "maxWorkers": 10,
            "machineType": "n2-standard-2",
            "enableStreamingEngine": True,
            "stagingLocation": "gs://acme-mesh-dataflow/staging",
            "tempLocation": "gs://acme-mesh-dataflow/temp",
            "additionalUserLabels": {"app": "meshpass", "mode": "stream", "package": DIGEST[:12]},
        }.items()
    )
    assert json.loads(first["parameters"]["environment"]) == json.loads(names.environment(judged.values))
    assert first["parameters"]["sdk_container_image"] == f"{names.image(judged.values)}@{IMAGE_DIGEST}"
    assert (first.get("update", False), second["update"]) == (False, True)


def test_a_job_that_was_launched_is_as_the_contract_says(judged: Judged) -> None:
    code, out, error = judged.run("dataflow", "jobs", "describe")
    assert code == 0, error
    assert readback.differences(judged.values, json.loads(out), DIGEST) == []


def test_the_job_that_took_the_others_place_is_drained(judged: Judged) -> None:
    states = [job["currentState"] for job in judged.cloud.jobs.values()]
    assert states == ["JOB_STATE_UPDATED", "JOB_STATE_DRAINING"]
    # The same command ran before the launch, too; this is what its last run printed.
    assert judged.run("dataflow", "jobs", "list")[:2] == (0, "2026-11-30_00_00_00-000002\n")


def test_gcloud_says_in_known_words_that_something_does_not_exist(judged: Judged) -> None:
    for words in (
        "artifacts tags list --package=none",
        "compute networks subnets describe none",
        "storage buckets describe gs://none",
        "storage objects describe gs://acme-mesh-dataflow/none",
    ):
        code, _, error = judged.run(words)
        assert code == 1
        assert re.search(NOT_FOUND, error), error


def test_nothing_but_the_fake_apis_was_asked(judged: Judged) -> None:
    assert judged.cloud.unknown == []
