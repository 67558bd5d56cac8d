"""What deploy/subscription guarantees."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.deploy.harness import MISSING, OF_EVENTARC, TRIGGER, URL

if TYPE_CHECKING:
    from tests.deploy.harness import Contract, Gcloud, Script


DELIVERY = [
    "--ack-deadline=90",
    "--min-retry-delay=10s",
    "--max-retry-delay=600s",
    "--dead-letter-topic=projects/acme-mesh/topics/user-events-undelivered",
    "--max-delivery-attempts=100",
    "--message-retention-duration=7d",
    "--expiration-period=never",
]


def test_the_push_subscription_gets_endpoint_deadline_backoff_and_undelivered_topic(
    script: Script, gcloud: Gcloud, contract: Contract
) -> None:
    done = script("subscription", f"--contract={contract.path}")
    assert done.returncode == 0, done.stderr
    assert gcloud.call("pubsub", "subscriptions", "update") == [
        "pubsub",
        "subscriptions",
        "update",
        "meshpass-enrichment",
        "--project=acme-mesh",
        f"--push-endpoint={URL}",
        "--push-auth-service-account=meshpass-trigger@acme-mesh.iam.gserviceaccount.com",
        f"--push-auth-token-audience={URL}",
        *DELIVERY,
    ]


def test_the_subscription_of_eventarc_gets_the_same_delivery(
    script: Script, gcloud: Gcloud, contract: Contract
) -> None:
    gcloud.has_function(trigger=TRIGGER)
    done = script("subscription", f"--contract={contract.set(FUNCTION_TRIGGER='eventarc').path}")
    assert done.returncode == 0, done.stderr
    assert TRIGGER in gcloud.call("eventarc", "triggers", "describe")
    assert gcloud.call("pubsub", "subscriptions", "update")[3:] == [OF_EVENTARC, *DELIVERY]


def test_what_does_not_exist_is_named(script: Script, gcloud: Gcloud, contract: Contract) -> None:
    gcloud.answers("functions describe", MISSING, code=1)
    gcloud.answers("pubsub subscriptions describe", MISSING, code=1)
    done = script("subscription", f"--contract={contract.path}")
    assert done.returncode == 1
    assert "there is no function meshpass-enrichment; run deploy/deploy" in done.stderr
    assert "there is no subscription meshpass-enrichment; run deploy/deploy" in done.stderr
    assert gcloud.writes() == []


@pytest.mark.parametrize("key", ["DEAD_LETTER_TOPIC", "UNDELIVERED_TOPIC"])
def test_a_last_stop_without_a_reader_is_refused(
    script: Script, gcloud: Gcloud, contract: Contract, key: str
) -> None:
    topic = "projects/acme-mesh/topics/not-read"
    contract.set(**{key: topic})
    gcloud.answers(f"pubsub topics list-subscriptions {topic}", "")
    done = script("subscription", f"--contract={contract.path}")
    assert done.returncode == 1
    assert f"{key} ({topic}) has no subscription" in done.stderr
    assert f"gcloud pubsub subscriptions create not-read --project=acme-mesh --topic={topic}" in done.stderr
    assert not [call for call in gcloud.calls() if "update" in call]


def test_a_function_without_a_trigger_is_named(script: Script, gcloud: Gcloud, contract: Contract) -> None:
    done = script("subscription", f"--contract={contract.set(FUNCTION_TRIGGER='eventarc').path}")
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
        ["/bin/sh"],
        input=dry.stdout,
        text=True,
        check=True,
        env={"PATH": f"{gcloud.folder}{os.pathsep}/usr/bin{os.pathsep}/bin"},
    )
    by_hand = gcloud.calls()
    script("subscription", f"--contract={contract.path}")
    assert gcloud.calls() == by_hand * 2
