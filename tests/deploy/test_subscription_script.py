"""What deploy/subscription promises."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.deploy.harness import SUBSCRIPTION, TRIGGER

if TYPE_CHECKING:
    from tests.deploy.harness import Contract, Gcloud, Script


def test_the_subscription_behind_the_function_gets_deadline_backoff_and_undelivered_topic(
    script: Script, gcloud: Gcloud, contract: Contract
) -> None:
    done = script("subscription", f"--contract={contract.path}")
    assert done.returncode == 0, done.stderr
    assert TRIGGER in gcloud.call("eventarc", "triggers", "describe")
    assert gcloud.call("pubsub", "subscriptions", "update") == [
        "pubsub",
        "subscriptions",
        "update",
        SUBSCRIPTION,
        "--ack-deadline=90",
        "--min-retry-delay=10s",
        "--max-retry-delay=600s",
        "--dead-letter-topic=projects/acme-mesh/topics/user-events-undelivered",
        "--max-delivery-attempts=100",
    ]


@pytest.mark.parametrize("key", ["DEAD_LETTER_TOPIC", "UNDELIVERED_TOPIC"])
def test_a_last_stop_that_nobody_reads_is_refused(
    script: Script, gcloud: Gcloud, contract: Contract, key: str
) -> None:
    topic = "projects/acme-mesh/topics/nobody-reads-this"
    contract.set(**{key: topic})
    gcloud.answers(f"pubsub topics list-subscriptions {topic}", "")
    done = script("subscription", f"--contract={contract.path}")
    assert done.returncode == 1
    assert f"{key} ({topic}) has no subscription" in done.stderr
    assert f"gcloud pubsub subscriptions create nobody-reads-this --topic={topic}" in done.stderr
    assert not [call for call in gcloud.calls() if "update" in call]


def test_a_function_without_a_trigger_is_named(script: Script, gcloud: Gcloud, contract: Contract) -> None:
    gcloud.answers("functions describe", "")
    done = script("subscription", f"--contract={contract.path}")
    assert done.returncode == 1
    assert "meshpass-enrichment has no event trigger; run deploy/deploy" in done.stderr


def test_the_placeholder_project_is_never_touched(script: Script, gcloud: Gcloud) -> None:
    done = script("subscription")
    assert done.returncode == 1
    assert "placeholder project" in done.stderr
    assert gcloud.calls() == []


def test_the_printed_script_does_in_a_shell_what_the_real_run_does(
    script: Script, gcloud: Gcloud, contract: Contract
) -> None:
    dry = script("subscription", "--dry-run", f"--contract={contract.path}")
    assert gcloud.calls() == []
    subprocess.run(
        ["/bin/sh", "-eu"],
        input=dry.stdout,
        text=True,
        check=True,
        env={"PATH": f"{gcloud.folder}{os.pathsep}/usr/bin{os.pathsep}/bin"},
    )
    by_hand = gcloud.calls()
    script("subscription", f"--contract={contract.path}")
    assert gcloud.calls() == by_hand * 2
