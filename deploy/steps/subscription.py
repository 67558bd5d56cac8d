"""``deploy/subscription``: the settings of delivery that ``gcloud functions deploy`` cannot set.

They belong to the Pub/Sub subscription that Eventarc makes for the function, under a name that Eventarc chooses.
https://cloud.google.com/eventarc/docs/retry-events
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import meshcontract

from . import CONTRACT, RefusalError, gcloud

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAST_STOPS = ("DEAD_LETTER_TOPIC", "UNDELIVERED_TOPIC")


def find_trigger(values: Mapping[str, str]) -> list[str]:
    """Return the command that prints the name of the function's Eventarc trigger."""
    return [
        "functions",
        "describe",
        values["FUNCTION_NAME"],
        f"--project={values['GOOGLE_CLOUD_PROJECT']}",
        f"--region={values['REGION']}",
        "--v2",
        "--format=value(eventTrigger.trigger)",
    ]


def find_subscription(trigger: str) -> list[str]:
    """Return the command that prints the name of a trigger's subscription."""
    return ["eventarc", "triggers", "describe", trigger, "--format=value(transport.pubsub.subscription)"]


def find_readers(topic: str) -> list[str]:
    """Return the command that prints one subscription of a topic, or nothing."""
    return ["pubsub", "topics", "list-subscriptions", topic, "--limit=1", "--format=value(.)"]


def update(values: Mapping[str, str], subscription: str) -> list[str]:
    """Return the command that sets ack deadline, backoff and undelivered topic on the subscription."""
    return [
        "pubsub",
        "subscriptions",
        "update",
        subscription,
        # For push this is also how long Pub/Sub waits for the function's response.
        f"--ack-deadline={values['SUBSCRIPTION_ACK_DEADLINE_S']}",
        f"--min-retry-delay={values['SUBSCRIPTION_MIN_RETRY_DELAY_S']}s",
        f"--max-retry-delay={values['SUBSCRIPTION_MAX_RETRY_DELAY_S']}s",
        f"--dead-letter-topic={values['UNDELIVERED_TOPIC']}",
        f"--max-delivery-attempts={values['SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS']}",
    ]


def readers_script(values: Mapping[str, str]) -> str:
    """Return shell commands that do the same as ``require_readers``."""
    return "".join(
        f'test -n "$({gcloud.show(find_readers(values[name]))})" # {name} must have a subscription\n'
        for name in _LAST_STOPS
    )


def apply_script(values: Mapping[str, str]) -> str:
    """Return shell commands that do the same as ``apply``."""
    return (
        f"trigger=$({gcloud.show(find_trigger(values))})\n"
        f"subscription=$({gcloud.show(find_subscription('$trigger'))})\n"
        f"{gcloud.show(update(values, '$subscription'))}\n"
    )


def require_readers(values: Mapping[str, str]) -> None:
    """Refuse if a topic in which events end has no subscription, because messages to it would be lost.

    Raises:
        RefusalError: a topic has none, or gcloud failed.
    """
    for name in _LAST_STOPS:
        if not gcloud.read(find_readers(values[name])):
            topic = values[name]
            raise RefusalError(
                f"{name} ({topic}) has no subscription: every event that ends there would be lost; make one: "
                f"gcloud pubsub subscriptions create {topic.rpartition('/')[2]} --topic={topic} "
                "--expiration-period=never --message-retention-duration=31d"
            )


def apply(values: Mapping[str, str]) -> None:
    """Find the function's subscription and update its settings.

    Raises:
        RefusalError: the function has no trigger, the trigger has no subscription, or gcloud failed.
    """
    function = values["FUNCTION_NAME"]
    trigger = gcloud.read(find_trigger(values))
    if not trigger:
        raise RefusalError(f"the function {function} has no event trigger; run deploy/deploy")
    subscription = gcloud.read(find_subscription(trigger))
    if not subscription:
        raise RefusalError(
            f"Eventarc names no subscription for {trigger}; look at `gcloud eventarc triggers describe`"
        )
    gcloud.run(update(values, subscription))


def main(arguments: Sequence[str]) -> None:
    """Update the function's subscription; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="deploy/subscription",
        description="Sets ack deadline, retry backoff and undelivered topic on the subscription that "
        "Eventarc made for the function. deploy/deploy does this after every deployment.",
        epilog="The grants that Pub/Sub's own service agent needs: docs/deploy.md",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the commands, shell-quoted; run nothing"
    )
    parser.add_argument(
        "--contract", type=Path, default=CONTRACT, help="KEY=VALUE file (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    values = meshcontract.load(options.contract)
    if options.dry_run:
        sys.stdout.write(readers_script(values) + apply_script(values))
        return
    if meshcontract.placeholders(values):
        raise RefusalError(
            f"the contract still names the placeholder project {meshcontract.PLACEHOLDER_PROJECT!r}; "
            "write your own"
        )
    gcloud.require()
    require_readers(values)
    apply(values)
