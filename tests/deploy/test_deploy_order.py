"""Order of a deployment's steps in every state: nothing is live before its delivery settings, and nothing is public."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.deploy.harness import MISSING, TRIGGER, TRIGGER_ACCOUNT, URL, with_default_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.deploy.harness import Contract, Gcloud, Script

DEPLOY = "functions deploy meshpass-enrichment"
GRANT = "functions add-invoker-policy-binding meshpass-enrichment"
CREATE = "pubsub subscriptions create"
UPDATE = "pubsub subscriptions update"


def nothing(gcloud: Gcloud) -> None:
    gcloud.has_function(exists=False)
    gcloud.answers("pubsub subscriptions describe", MISSING, code=1)
    gcloud.allows()


def deployed_but_not_granted(gcloud: Gcloud) -> None:
    gcloud.answers("pubsub subscriptions describe", MISSING, code=1)
    gcloud.allows()


def granted_but_without_a_subscription(gcloud: Gcloud) -> None:
    gcloud.answers("pubsub subscriptions describe", MISSING, code=1)


def subscription_alone(gcloud: Gcloud) -> None:
    gcloud.has_function(exists=False)
    gcloud.allows()


def everything(gcloud: Gcloud) -> None:
    """Leave the answers as they are."""


def eventarc_nothing(gcloud: Gcloud) -> None:
    gcloud.has_function(trigger=TRIGGER, exists=False)
    gcloud.allows()


def eventarc_everything(gcloud: Gcloud) -> None:
    gcloud.has_function(trigger=TRIGGER)


STATES = [
    ("push", nothing, [DEPLOY, GRANT, CREATE]),
    ("push", deployed_but_not_granted, [DEPLOY, GRANT, CREATE]),
    ("push", granted_but_without_a_subscription, [DEPLOY, CREATE]),
    ("push", subscription_alone, [DEPLOY, GRANT, UPDATE]),
    ("push", everything, [UPDATE, DEPLOY]),
    ("eventarc", eventarc_nothing, [DEPLOY, UPDATE, GRANT]),
    ("eventarc", eventarc_everything, [UPDATE, DEPLOY]),
]


@pytest.mark.parametrize(("trigger", "state", "expected"), STATES)
def test_the_real_run_and_the_printed_script_take_the_same_steps_in_the_same_order(
    script: Script,
    gcloud: Gcloud,
    contract: Contract,
    package: Path,
    trigger: str,
    state: Callable[[Gcloud], None],
    expected: list[str],
) -> None:
    contract.set(FUNCTION_TRIGGER=trigger)
    arguments = (f"--contract={contract.path}", f"--source={package}")
    state(gcloud)
    done = script("deploy", *arguments)
    assert done.returncode == 0, done.stderr
    assert gcloud.writes() == expected
    asked, written = gcloud.calls(), (gcloud.folder / "env.yaml").read_text()

    (gcloud.folder / "env.yaml").unlink()
    package.with_name("function.acme-mesh.europe-west1.meshpass-enrichment.env.yaml").unlink()
    state(gcloud)
    shell = piped(gcloud, script("deploy", "--dry-run", *arguments).stdout)
    assert shell.returncode == 0, shell.stderr
    assert gcloud.calls() == asked * 2
    assert (gcloud.folder / "env.yaml").read_text() == written


def test_the_lookup_too_is_deployed_by_its_printed_script_and_granted_what_is_missing(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    contract.set(LOOKUP_INVOKERS="user:a@acme.example,user:b@acme.example")
    gcloud.allows("user:a@acme.example")
    arguments = ("--entry-point=lookup", f"--contract={contract.path}", f"--source={package}")
    assert script("deploy", *arguments).returncode == 0
    grant = "functions add-invoker-policy-binding meshpass-enrichment-lookup"
    assert gcloud.writes() == ["functions deploy meshpass-enrichment-lookup", grant]
    asked = gcloud.calls()
    assert "--member=user:b@acme.example" in asked[-1]
    assert piped(gcloud, script("deploy", "--dry-run", *arguments).stdout).returncode == 0
    assert gcloud.calls() == asked * 2


def piped(gcloud: Gcloud, text: str) -> subprocess.CompletedProcess[str]:
    """Run a printed script with the recording gcloud."""
    path = f"{gcloud.folder}{os.pathsep}/usr/bin{os.pathsep}/bin"
    env = {**os.environ, "PATH": path, "GCLOUD_READS_INPUT": "1"}
    return subprocess.run(
        ["/bin/sh"],
        input=text,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=with_default_signals,
    )


def test_a_script_that_was_cut_short_runs_nothing(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    text = script("deploy", "--dry-run", f"--contract={contract.path}", f"--source={package}").stdout
    for part in range(1, 8):
        assert piped(gcloud, text[: len(text) * part // 8]).returncode != 0
    assert gcloud.calls() == []


def test_only_a_new_function_is_deployed_with_a_flag_that_writes_its_policy(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    """gcloud writes the policy of a function that exists, for which an account that only deploys has no permission."""
    arguments = (f"--contract={contract.path}", f"--source={package}")
    script("deploy", *arguments)
    assert "--no-allow-unauthenticated" not in gcloud.calls()[-1]
    nothing(gcloud)
    script("deploy", *arguments)
    flags = [call for call in gcloud.calls() if call[:2] == ["functions", "deploy"]]
    assert [("--no-allow-unauthenticated" in call) for call in flags] == [False, True]


PUBLIC = [
    (lambda gcloud: gcloud.allows(TRIGGER_ACCOUNT, "allUsers"), "its policy names allUsers"),
    (lambda gcloud: gcloud.allows("allAuthenticatedUsers"), "its policy names allAuthenticatedUsers"),
    (lambda gcloud: gcloud.allows("allUsers", role="roles/run.admin"), "its policy names allUsers"),
    (lambda gcloud: gcloud.answers("run services describe", "true"), "its invoker check is switched off"),
]


@pytest.mark.parametrize("entry_point", ["enrich", "lookup"])
@pytest.mark.parametrize(("state", "reason"), PUBLIC)
def test_a_public_function_is_refused_before_anything_is_changed(
    script: Script,
    gcloud: Gcloud,
    contract: Contract,
    package: Path,
    state: Callable[[Gcloud], None],
    reason: str,
    entry_point: str,
) -> None:
    state(gcloud)
    arguments = (f"--contract={contract.path}", f"--source={package}", f"--entry-point={entry_point}")
    done = script("deploy", *arguments)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "nothing was changed" in done.stderr
    shell = piped(gcloud, script("deploy", "--dry-run", *arguments).stdout)
    assert (shell.returncode, reason in shell.stderr) == (1, True)
    assert gcloud.writes() == []


def test_a_new_function_that_comes_up_public_gets_no_events(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    nothing(gcloud)
    gcloud.allows("allUsers")
    done = script("deploy", f"--contract={contract.path}", f"--source={package}")
    assert done.returncode == 1
    assert "meshpass-enrichment is public" in done.stderr
    assert gcloud.writes() == [DEPLOY]


FOREIGN = [
    ("push", lambda gcloud: gcloud.has_function(trigger=TRIGGER), "has an Eventarc trigger"),
    ("eventarc", everything, "takes no events of projects/acme-mesh/topics/user-events by Eventarc"),
    (
        "push",
        lambda gcloud: gcloud.has_subscription(topic="projects/acme-mesh/topics/other"),
        "belongs to the topic 'projects/acme-mesh/topics/other'",
    ),
    (
        "push",
        lambda gcloud: gcloud.has_subscription(endpoint="https://billing-x.a.run.app"),
        "pushes to 'https://billing",
    ),
    ("push", lambda gcloud: gcloud.has_subscription(endpoint=""), "pushes to ''"),
    (
        "push",
        lambda gcloud: gcloud.has_subscription(endpoint=URL.replace("enrichment-", "enrichment-next-")),
        "pushes to 'https://meshpass-enrichment-next-",
    ),
    (
        "push",
        lambda gcloud: gcloud.has_subscription(
            endpoint="https://meshpass-enrichment-next-123456789012.europe-west1.run.app"
        ),
        "pushes to 'https://meshpass-enrichment-next-",
    ),
]


@pytest.mark.parametrize(("trigger", "state", "reason"), FOREIGN)
def test_a_trigger_or_subscription_of_another_kind_is_refused_because_its_events_would_be_lost(
    script: Script,
    gcloud: Gcloud,
    contract: Contract,
    package: Path,
    trigger: str,
    state: Callable[[Gcloud], None],
    reason: str,
) -> None:
    contract.set(FUNCTION_TRIGGER=trigger)
    state(gcloud)
    done = script("deploy", f"--contract={contract.path}", f"--source={package}")
    assert done.returncode == 1
    assert reason in done.stderr
    assert gcloud.writes() == []


@pytest.mark.parametrize(
    ("failing", "position", "how"),
    [
        (DEPLOY, 0, "error"),
        (GRANT, 1, "error"),
        (CREATE, 2, "error"),
        (DEPLOY, 0, "SIGTERM"),
        (GRANT, 1, "SIGINT"),
        (CREATE, 2, "SIGHUP"),
    ],
)
def test_a_failure_says_what_is_done_what_is_not_and_how_to_go_on(
    script: Script,
    gcloud: Gcloud,
    contract: Contract,
    package: Path,
    failing: str,
    position: int,
    how: str,
) -> None:
    """gcloud also fails after a change, so of the step that failed it is not known whether it is done."""
    titles = [
        "the function meshpass-enrichment is deployed",
        f"{TRIGGER_ACCOUNT} may call meshpass-enrichment",
        "the subscription meshpass-enrichment delivers events",
    ]
    finished, begun, missing = titles[:position], titles[position], titles[position + 1 :]
    nothing(gcloud)
    if how == "error":
        gcloud.answers(failing, "denied", code=1)
    else:
        gcloud.signals(failing, how)
    arguments = (f"--contract={contract.path}", f"--source={package}")
    done = script("deploy", *arguments)
    assert done.returncode == (1 if how == "error" else 130)
    lines = [line.strip() for line in done.stderr.splitlines()]
    assert f"to go on, run: deploy/deploy {' '.join(arguments)}" in lines
    unknown = "begun, and perhaps done in part:"
    said = [*(["done:", *finished] if finished else []), unknown, begun]
    said += ["not done:", *missing] if missing else []
    assert lines[-1 - len(said) : -1] == said
    assert "nothing was changed" not in lines
    nothing(gcloud)
    shell = piped(gcloud, script("deploy", "--dry-run", *arguments).stdout)
    assert shell.returncode == (1 if how == "error" else 128 + getattr(signal, how))
    lines = [line.strip() for line in shell.stderr.splitlines()]
    assert lines[lines.index(unknown) + 1].startswith(begun)
    assert [title for title in finished if title not in lines] == []
    assert lines[-1] == "deploy/deploy: stopped; to go on, run this script again"


def test_a_script_for_a_deployment_that_would_be_refused_stops_at_once(
    script: Script, gcloud: Gcloud, tmp_path: Path
) -> None:
    shell = piped(gcloud, script("deploy", "--dry-run", f"--source={tmp_path / 'nothing'}").stdout)
    assert shell.returncode == 1
    assert "placeholder project" in shell.stderr
    assert "run deploy/package" in shell.stderr
    assert gcloud.calls() == []


def test_a_read_that_is_denied_is_no_missing_function(
    script: Script, gcloud: Gcloud, contract: Contract, package: Path
) -> None:
    gcloud.answers("functions describe", "ERROR: PERMISSION_DENIED: no", code=1)
    done = script("deploy", f"--contract={contract.path}", f"--source={package}")
    assert done.returncode == 1
    assert "PERMISSION_DENIED" in done.stderr
    assert gcloud.writes() == []
