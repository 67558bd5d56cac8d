"""What the installed gcloud says of the recorded answers and of the commands that deploy/verify prints."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.steps.cloud import readers, recordings
from deploy.steps.cloud.answers import Outcome, answer_of
from deploy.steps.deploy.entry_points import ENRICH, LOOKUP
from deploy.steps.destroy import cli as destroy
from deploy.steps.grant import invoker, workload_identity
from deploy.steps.rollback import cli as rollback
from deploy.steps.rollback import fit
from tests.deploy import recorded_api, verified

MESSAGES = {
    "project": ("cloudresourcemanager", "v1", "Project"),
    "project-policy": ("cloudresourcemanager", "v1", "Policy"),
    "function": ("cloudfunctions", "v2", "Function"),
    "service": ("run", "v1", "Service"),
    "service-policy": ("run", "v1", "Policy"),
    "revisions": ("run", "v1", "Revision"),
    "trigger": ("eventarc", "v1", "Trigger"),
    "subscription": ("pubsub", "v1", "Subscription"),
    "subscription-policy": ("pubsub", "v1", "Policy"),
    "subscriptions": ("pubsub", "v1", "Subscription"),
    "topic": ("pubsub", "v1", "Topic"),
    "topic-policy": ("pubsub", "v1", "Policy"),
    "table": ("bigquery", "v2", "Table"),
    "table-policy": ("cloudresourcemanager", "v1", "Policy"),
    "view": ("bigquery", "v2", "Table"),
    "dataset": ("bigquery", "v2", "Dataset"),
    "secret": ("secretmanager", "v1", "Secret"),
    "secret-versions": ("secretmanager", "v1", "SecretVersion"),
    "secret-policy": ("secretmanager", "v1", "Policy"),
    "account": ("iam", "v1", "ServiceAccount"),
    "account-keys": ("iam", "v1", "ServiceAccountKey"),
    "account-policy": ("iam", "v1", "Policy"),
    "addresses": ("compute", "v1", "Address"),
    "subnet": ("compute", "v1", "Subnetwork"),
    "connector": ("vpcaccess", "v1", "Connector"),
    "alerts": ("monitoring", "v3", "AlertPolicy"),
}
"""By the beginning of a question's name, the message of Google's API that its answer is, or is a list of."""


def _recorded_messages() -> list[list[Any]]:
    rows: dict[str, list[Any]] = {}
    for path in (verified.BASE, *verified.STATES):
        for name, entry in recordings.read(path).answers.items():
            kind = max(
                (key for key in MESSAGES if name == key or name.startswith(f"{key}-")), key=len, default=""
            )
            data = entry.get("data")
            # An answer of a wrong type is a state of its own.
            if not kind or data is None or (isinstance(data, list) and kind in {"dataset"}):
                continue
            for item in data if isinstance(data, list) else [data]:
                if isinstance(item, dict):
                    rows.setdefault(json.dumps([kind, item], sort_keys=True), [name, *MESSAGES[kind], item])
    return list(rows.values())


def _commands() -> list[list[str]]:
    words = {question.command for question, _ in verified.base_questions().values()}
    words |= {
        question.alternative for question, _ in verified.base_questions().values() if question.alternative
    }
    for state in verified.STATES:
        for found in verified.report(state)[1]["findings"]:
            words |= {tuple(shlex.split(command)) for command in found["commands"]}
    words |= {tuple(command) for command in _commands_that_operate()}
    return [list(command) for command in sorted(words) if command[0] == "gcloud"]


def _commands_that_operate() -> list[list[str]]:
    """What grant, rollback and destroy would run on the base."""
    recording = recordings.read(verified.BASE)
    recording.answers["account-policy"] = {"data": {"bindings": []}}
    values = dict(verified.base_values())
    member = "serviceAccount:batch@other-project.iam.gserviceaccount.com"
    link = workload_identity.Link("orders@acme-apps.iam.gserviceaccount.com", "shop", "orders", "acme-apps")
    ends = 'request.time < timestamp("2027-01-01T00:00:00Z")'
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        for title, expression in (("", ""), ("until 2027", ends)):
            invoker.bind(
                values, LOOKUP, recording, member=member, title=title, expression=expression, dry_run=True
            )
        invoker.unbind(values, LOOKUP, recording, member=values["LOOKUP_INVOKERS"], dry_run=True)
        workload_identity.apply(values, link, recording, remove=False, dry_run=True)
        for to in ("latest", "meshpass-enrichment-00006-wab"):
            rollback.roll_back(values, ENRICH, recording, to=to, force=True, dry_run=True)
        destroy.destroy(values, [ENRICH, LOOKUP], recording, lambda *_: 0, data=True, dry_run=True)
    secret = fit.SecretVersion("acme-mesh", "", "meshpass-signing-key", "active")
    shown = [shlex.split(line) for line in out.getvalue().splitlines() if line.startswith("gcloud ")]
    assert len(shown) > 10
    return [*shown, list(secret.question().command)]


DENIED = "secret-policy-signing-key"
ABSENT = "account-build"
"""Questions that the server of the recorded deployment answers with an error."""


def _runs() -> dict[str, list[str]]:
    """Commands of gcloud that read, by the question; bq needs a description of its API that only Google serves."""
    asked = verified.base_questions().values()
    # `gcloud monitoring policies` is in the alpha track of some versions.
    return {
        question.name: list(question.alternative or question.command)
        for question, _ in asked
        if question.command[0] == "gcloud"
    }


def _served() -> recorded_api.Answers:
    recorded = {name: entry["data"] for name, entry in recordings.read(verified.BASE).answers.items()}
    served = recorded_api.answers(recorded, verified.base_values())
    for path in served:
        if path.startswith("secretmanager/") and path.endswith("meshpass-signing-key:getIamPolicy"):
            message = (
                "Permission 'secretmanager.secrets.getIamPolicy' denied for resource (or it may not exist)."
            )
            served[path] = recorded_api.error(403, "PERMISSION_DENIED", message)
        if path.endswith("meshpass-build@acme-mesh.iam.gserviceaccount.com"):
            served[path] = recorded_api.error(404, "NOT_FOUND", "Unknown service account")
    return served


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    gcloud = shutil.which("gcloud")
    root = Path(gcloud).resolve().parents[1] if gcloud else None
    if root is None or not (root / "lib" / "googlecloudsdk").is_dir():
        pytest.skip(
            "without gcloud it is not shown that it prints the recorded answers, that these have the fields of "
            "Google's APIs, and that it takes the commands"
        )
    bundled = root / "platform" / "bundledpythonunix" / "bin" / "python3"
    runs = _runs()
    asked: list[str] = []
    with recorded_api.serving(_served(), asked) as port:
        done = subprocess.run(
            [
                str(bundled if bundled.exists() else "python3"),
                str(Path(__file__).with_name("gcloud_judge.py")),
                str(root / "lib"),
            ],
            env={
                **os.environ,
                **readers.SETTINGS,
                **recorded_api.environment(tmp_path_factory.mktemp("gcloud"), port),
            },
            input=json.dumps(
                {"messages": _recorded_messages(), "commands": _commands(), "runs": list(runs.values())}
            ),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    answer["printed"] = dict(zip(runs, answer["printed"], strict=True))
    answer["asked"] = asked
    return answer


def test_gcloud_prints_what_is_recorded(judged: dict[str, Any]) -> None:
    for name, (code, out, error) in judged["printed"].items():
        question, recorded = verified.base_questions()[name]
        answer = answer_of(question, code, out, error)
        if name in {DENIED, ABSENT}:
            assert answer.outcome is {DENIED: Outcome.DENIED, ABSENT: Outcome.ABSENT}[name], answer.error
        else:
            assert answer.ok, f"{name}: {answer.error}"
            assert answer.data == recorded.data, name


def test_the_findings_are_those_of_what_gcloud_prints(judged: dict[str, Any]) -> None:
    printed = {
        name: answer_of(verified.base_questions()[name][0], *parts)
        for name, parts in judged["printed"].items()
    }
    found = {(one.kind.name, one.subject) for one in verified.findings(printed)}
    assert found == {
        ("permission-denied", "the policy of the secret meshpass-signing-key"),
        ("account-missing", "the service account meshpass-build@acme-mesh.iam.gserviceaccount.com"),
    }


def test_reading_changes_nothing(judged: dict[str, Any]) -> None:
    # Two APIs read a policy with POST.
    writes = [
        request
        for request in judged["asked"]
        if not request.startswith("GET ") and not request.endswith(":getIamPolicy")
    ]
    assert judged["asked"]
    assert writes == []


def test_the_recorded_answers_have_the_fields_and_values_of_googles_apis(judged: dict[str, Any]) -> None:
    assert judged["unknown"] == []


def test_gcloud_takes_every_command_that_reads_or_mends(judged: dict[str, Any]) -> None:
    # These left the alpha track after version 528; there the alternative is asked.
    refused = [
        command for command in judged["refused"] if not command.startswith("gcloud monitoring policies ")
    ]
    assert refused == []
