"""Deployments by the real gcloud, against a local server that answers as Google's APIs do.

The first test of a story runs the scripts; the others ask what the server saw. gcloud starts slowly, so each run is
shared, and the commands of a story start in a process that has loaded gcloud.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from deploy.steps import RefusalError, gcloud
from deploy.steps.package import bundle
from tests.deploy.api.cloud import Call, Cloud
from tests.deploy.api.google_cli import GCLOUD, MISSING, environment
from tests.deploy.api.server import answer, serving
from tests.deploy.harness import CONTRACT, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(GCLOUD is None, reason=MISSING)

SERVICE = "projects/acme-mesh/locations/europe-west1/services/meshpass-enrichment"
ACCOUNT = "serviceAccount:meshpass-trigger@acme-mesh.iam.gserviceaccount.com"
OWN = "projects/acme-mesh/subscriptions/meshpass-enrichment"
URL = "https://meshpass-enrichment-4f3kq2vbnq-ew.a.run.app"


class Story:
    """A fake project, and what the scripts did to it."""

    def __init__(
        self, folder: Path, tools: Path, package: Path, port: int, cloud: Cloud, **values: str
    ) -> None:
        # This gcloud may be too old for Direct VPC egress.
        changed = {"FUNCTION_EGRESS": "connector", **values}
        text = CONTRACT.read_text().replace("example-project", "acme-mesh")
        lines = [line for line in text.splitlines() if line.partition("=")[0] not in changed]
        self._contract = folder / "contract.env"
        self._contract.write_text(
            "\n".join([*lines, *(f"{key}={value}" for key, value in changed.items()), ""])
        )
        (folder / "gcloud").mkdir()
        self._environment = environment(folder / "gcloud", port, tools=tools)
        self._package = package
        self.cloud = cloud
        self.runs: list[tuple[subprocess.CompletedProcess[str], list[Call]]] = []

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run deploy/deploy."""
        command = [sys.executable, str(ROOT / "deploy" / "deploy"), f"--contract={self._contract}"]
        return self._run([*command, f"--source={self._package}", *arguments])

    def deploy_by_script(self) -> subprocess.CompletedProcess[str]:
        """Pipe what --dry-run prints into a shell."""
        printed = self.deploy("--dry-run").stdout
        self.runs.pop()
        self._package.with_name("function.acme-mesh.europe-west1.meshpass-enrichment.env.yaml").unlink()
        return self._run(["/bin/sh"], printed)

    def _run(self, command: list[str], given: str = "") -> subprocess.CompletedProcess[str]:
        self.cloud.forget_calls()
        done = subprocess.run(
            command, input=given, env=self._environment, capture_output=True, text=True, check=False
        )
        self.runs.append((done, list(self.cloud.calls)))
        return done

    def call(self, run: int, permission: str) -> Call:
        """Return the one request of a run that needed a permission."""
        (found,) = [call for call in self.runs[run][1] if call.permission == permission]
        return found

    def writes(self, run: int) -> list[tuple[str, int]]:
        """Return the permissions of a run's writes, in order, and how each was answered."""
        return [(call.permission, call.code) for call in self.runs[run][1] if call.writes]


def project() -> Cloud:
    cloud = Cloud()
    cloud.add_topics("user-events")
    cloud.add_topics("user-events-dead-letter", "user-events-undelivered", readers=True)
    return cloud


@pytest.fixture(scope="module")
def story(loaded_gcloud: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Three deployments of a push function: stopped half way, gone on with, and repeated with fewer permissions."""
    cloud = project()
    with serving(cloud) as port:
        made = Story(tmp_path_factory.mktemp("push"), loaded_gcloud, package, port, cloud)
        cloud.denied.add("run.services.setIamPolicy")
        made.deploy()
        cloud.denied.clear()
        made.deploy_by_script()
        cloud.denied |= {"run.services.setIamPolicy", "pubsub.subscriptions.setIamPolicy"}
        made.deploy()
        yield made


def test_a_first_deployment_without_permission_to_grant_stops_before_events_are_delivered(
    story: Story,
) -> None:
    done, _ = story.runs[0]
    assert done.returncode == 1
    assert story.writes(0) == [("cloudfunctions.functions.create", 200), ("run.services.setIamPolicy", 403)]
    assert "done:\n    the function meshpass-enrichment is deployed\n" in done.stderr
    begun = "begun, and perhaps done in part:"
    assert f"{begun}\n    {ACCOUNT} may call meshpass-enrichment\n" in done.stderr
    assert "gcloud functions add-invoker-policy-binding meshpass-enrichment" in done.stderr


def test_the_function_is_created_as_the_contract_says(story: Story, package: Path) -> None:
    call = story.call(0, "cloudfunctions.functions.create")
    assert call.query["functionId"] == "meshpass-enrichment"
    assert "eventTrigger" not in call.body
    assert call.body["labels"].items() >= {"app": "meshpass", "package": bundle.digest(package)[:12]}.items()
    build, service = call.body["buildConfig"], call.body["serviceConfig"]
    assert (build["runtime"], build["entryPoint"]) == ("python313", "enrich")
    assert build["serviceAccount"].endswith("/meshpass-build@acme-mesh.iam.gserviceaccount.com")
    assert build["dockerRepository"] == "projects/acme-mesh/locations/europe-west1/repositories/meshpass"
    expected: dict[str, Any] = {
        "ingressSettings": "ALLOW_INTERNAL_ONLY",
        "serviceAccountEmail": "meshpass-enrichment@acme-mesh.iam.gserviceaccount.com",
        "vpcConnectorEgressSettings": "PRIVATE_RANGES_ONLY",
        "maxInstanceRequestConcurrency": 80,
        "timeoutSeconds": 60,
        "allTrafficOnLatestRevision": True,
    }
    assert service.items() >= expected.items()
    assert service["environmentVariables"]["GKE_GATEWAY_URL"] == "https://10.128.0.5"


def test_what_is_uploaded_is_the_package(story: Story, package: Path) -> None:
    uploaded = zipfile.ZipFile(io.BytesIO(story.cloud.uploads[0]))
    made = {path.relative_to(package).as_posix() for path in bundle.files(package)}
    assert {name for name in uploaded.namelist() if not name.endswith("/")} == made - {".gcloudignore"}


def test_the_printed_script_goes_on_from_there(story: Story) -> None:
    done, _ = story.runs[1]
    assert done.returncode == 0, done.stderr
    assert story.writes(1) == [
        ("cloudfunctions.functions.update", 200),
        ("run.services.setIamPolicy", 200),
        ("pubsub.subscriptions.create", 200),
    ]
    assert story.cloud.members(SERVICE, "roles/run.invoker") == {ACCOUNT}


def test_the_script_brings_the_same_environment_to_the_function(story: Story) -> None:
    masks = story.call(1, "cloudfunctions.functions.update").query["updateMask"].split(",")
    assert not [
        path for path in masks if "environment" in path
    ]  # gcloud compared them, and they were the same


def test_the_subscription_is_created_with_all_its_settings_at_once(story: Story) -> None:
    body = {
        key: value
        for key, value in story.call(1, "pubsub.subscriptions.create").body.items()
        if key != "name"
    }
    assert body == {
        "topic": "projects/acme-mesh/topics/user-events",
        "pushConfig": {
            "pushEndpoint": URL,
            "oidcToken": {
                "serviceAccountEmail": ACCOUNT.partition(":")[2],
                "audience": URL,
            },
        },
        "ackDeadlineSeconds": 90,
        "messageRetentionDuration": "604800s",
        "expirationPolicy": {},
        "retryPolicy": {"minimumBackoff": "10s", "maximumBackoff": "600s"},
        "deadLetterPolicy": {
            "deadLetterTopic": "projects/acme-mesh/topics/user-events-undelivered",
            "maxDeliveryAttempts": 100,
        },
    }


def test_a_second_deployment_needs_no_permission_to_write_a_policy(story: Story) -> None:
    done, calls = story.runs[2]
    assert done.returncode == 0, done.stderr
    assert story.writes(2) == [
        ("pubsub.subscriptions.update", 200),
        ("cloudfunctions.functions.update", 200),
    ]
    assert "run.services.getIamPolicy" in [call.permission for call in calls]


def test_nothing_but_the_fake_apis_was_asked(story: Story) -> None:
    assert story.cloud.unknown == []


@pytest.fixture(scope="module")
def eventarc(loaded_gcloud: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A first deployment with Eventarc."""
    cloud = project()
    with serving(cloud) as port:
        folder = tmp_path_factory.mktemp("eventarc")
        made = Story(folder, loaded_gcloud, package, port, cloud, FUNCTION_TRIGGER="eventarc")
        made.deploy()
        yield made


def test_with_eventarc_the_permission_to_deliver_comes_after_the_delivery_settings(eventarc: Story) -> None:
    done, _ = eventarc.runs[0]
    assert done.returncode == 0, done.stderr
    assert eventarc.writes(0) == [
        ("cloudfunctions.functions.create", 200),
        ("pubsub.subscriptions.update", 200),
        ("run.services.setIamPolicy", 200),
    ]
    trigger = eventarc.call(0, "cloudfunctions.functions.create").body["eventTrigger"]
    assert trigger["pubsubTopic"] == "projects/acme-mesh/topics/user-events"
    assert trigger["retryPolicy"] == "RETRY_POLICY_RETRY"
    (subscription,) = [
        state for name, state in eventarc.cloud.subscriptions.items() if "/subscriptions/eventarc-" in name
    ]
    assert subscription["ackDeadlineSeconds"] == 90
    assert subscription["deadLetterPolicy"]["maxDeliveryAttempts"] == 100
    assert eventarc.cloud.unknown == []


def test_gcloud_says_in_known_words_that_a_service_does_not_exist_and_in_others_that_it_is_denied(
    tmp_path: Path, loaded_gcloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That functions and subscriptions do not exist, it says in the stories."""
    cloud = project()
    place = ("none", "--region=europe-west1")
    with serving(cloud) as port:
        for name, value in environment(tmp_path, port, tools=loaded_gcloud).items():
            monkeypatch.setenv(name, value)
        assert gcloud.optional(("run", "services", "describe", *place)) is None
        assert gcloud.optional(("run", "services", "get-iam-policy", *place)) is None
        cloud.denied.add("run.services.getIamPolicy")
        with pytest.raises(RefusalError, match="failed with exit code 1"):
            gcloud.optional(("run", "services", "get-iam-policy", *place))
        assert cloud.unknown == []


def test_a_request_without_the_token_is_refused() -> None:
    url = "http://pubsub.googleapis.test/v1/projects/acme-mesh/topics/user-events"
    assert answer(project(), "GET", url, b"", "Bearer other")[0] == 401
    assert answer(project(), "GET", url, b"")[0] == 200
    assert os.environ.get("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE") is None
