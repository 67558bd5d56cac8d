"""Delivery of events: the function's subscription, and ``deploy/subscription``, which sets it alone.

With ``FUNCTION_TRIGGER=push`` the subscription is the deployment's own, and is made with all its settings at once. With
``eventarc`` it is one that Eventarc makes for the function's trigger, under a name and with settings of its own choice.
https://docs.cloud.google.com/run/docs/triggering/pubsub-triggers
https://docs.cloud.google.com/eventarc/docs/retry-events
"""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING

import meshcontract

from .. import RefusalError, gcloud
from ..arguments import contract_option
from ..gcloud import Value
from . import plan
from .plan import Check, Empty, Matches, Read, Refusal, Run, Step, When, present

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAST_STOPS = ("DEAD_LETTER_TOPIC", "UNDELIVERED_TOPIC")

# The longest that Pub/Sub keeps an event which the function does not take, and its own default for new subscriptions.
_RETENTION = "7d"


def uses_push(values: Mapping[str, str]) -> bool:
    """Return whether the deployment has a push subscription of its own."""
    return values["FUNCTION_TRIGGER"] == "push"


def topic(values: Mapping[str, str]) -> str:
    """Return the full name of the topic whose events the function takes."""
    name = values["TRIGGER_TOPIC"]
    return name if "/" in name else f"projects/{values['GOOGLE_CLOUD_PROJECT']}/topics/{name}"


def require_readers(values: Mapping[str, str]) -> tuple[Step, ...]:
    """Return steps that refuse a topic in which events end without a subscription: messages to it would be lost."""
    reads = tuple(
        Read((_reader(name),), ("pubsub", "topics", "list-subscriptions", values[name], "--limit=1"), (".",))
        for name in _LAST_STOPS
    )
    return (
        *reads,
        Check(tuple(Refusal(Empty(_reader(name)), (_no_reader(name, values),)) for name in _LAST_STOPS)),
    )


def _no_reader(name: str, values: Mapping[str, str]) -> str:
    project, short = values["GOOGLE_CLOUD_PROJECT"], values[name].rpartition("/")[2]
    return (
        f"{name} ({values[name]}) has no subscription: every event that ends there would be lost; make one: "
        f"gcloud pubsub subscriptions create {short} --project={project} --topic={values[name]} "
        "--expiration-period=never --message-retention-duration=31d"
    )


def _reader(name: str) -> str:
    return f"{name.lower()}_reader"


def find_function(values: Mapping[str, str], function: str) -> Read:
    """Return the step that reads ``function``, ``url``, ``event_topic`` and ``trigger``; empty without a function."""
    return Read(
        ("function", "url", "event_topic", "trigger"),
        (
            "functions",
            "describe",
            function,
            f"--project={values['GOOGLE_CLOUD_PROJECT']}",
            f"--region={values['REGION']}",
            "--v2",
        ),
        ("name", "serviceConfig.uri", "eventTrigger.pubsubTopic", "eventTrigger.trigger"),
        optional=True,
    )


def require_same_trigger(values: Mapping[str, str], function: str, *, push: bool) -> tuple[Step, ...]:
    """Return a check that the deployment keeps the function's kind of trigger and its topic.

    A change would delete the old subscription with the events that wait in it.
    """
    see = 'docs/deploy.md, "Change the trigger", says how to do it without losing events'
    if push:
        refusal = Refusal(
            present("event_topic"),
            (
                f"{function} has an Eventarc trigger, and this deployment would delete it and its events; ",
                see,
            ),
        )
        return (Check((refusal,)),)
    wrong_topic = Refusal(
        Matches("event_topic", topic(values), negated=True),
        (
            f"{function} takes no events of {topic(values)} by Eventarc (its topic: '",
            Value("event_topic"),
            f"'); {see}",
        ),
    )
    return (When(present("function"), (Check((wrong_topic,)),)),)


def find(values: Mapping[str, str]) -> Read:
    """Return the step that reads the push subscription: ``subscription``, ``topic``, ``endpoint``, ``detached``."""
    return Read(
        ("subscription", "topic", "endpoint", "detached"),
        ("pubsub", "subscriptions", "describe", *_named(values)),
        ("name", "topic", "pushConfig.pushEndpoint", "detached"),
        optional=True,
    )


def require_own(values: Mapping[str, str]) -> tuple[Step, ...]:
    """Return a check that a push subscription which exists is the function's."""
    name, function = values["SUBSCRIPTION_NAME"], values["FUNCTION_NAME"]
    other = "; write another SUBSCRIPTION_NAME into the contract"
    elsewhere = (f"the subscription {name} pushes to '", Value("endpoint"), f"', not to {function}{other}")
    refusals = (
        Refusal(
            Matches("topic", topic(values), negated=True),
            (
                f"the subscription {name} belongs to the topic '",
                Value("topic"),
                f"', not to {topic(values)}{other}",
            ),
        ),
        Refusal(Matches("endpoint", f"https://{function}-*", negated=True), elsewhere),
        # The name of another function can begin with this one's. Behind its own name, each of a service's addresses has
        # one more hyphen: NAME-HASH-xx.a.run.app, NAME-NUMBER.REGION.run.app.
        # https://cloud.google.com/run/docs/triggering/https-request#urls
        Refusal(Matches("endpoint", f"https://{function}-*-*-*"), elsewhere),
        Refusal(Matches("detached", "True"), (f"the subscription {name} is detached from its topic{other}",)),
    )
    return (When(present("subscription"), (Check(refusals),)),)


def create(values: Mapping[str, str]) -> Run:
    """Return the step that makes the push subscription with all its settings; it needs ``url``."""
    return Run(
        f"the subscription {values['SUBSCRIPTION_NAME']} delivers events",
        (
            "pubsub",
            "subscriptions",
            "create",
            *_named(values),
            f"--topic={topic(values)}",
            *_push(values),
            *_delivery(values),
        ),
    )


def update_own(values: Mapping[str, str]) -> Run:
    """Return the step that sets everything on the push subscription; it needs ``url``."""
    return Run(
        f"the subscription {values['SUBSCRIPTION_NAME']} has its delivery settings",
        ("pubsub", "subscriptions", "update", *_named(values), *_push(values), *_delivery(values)),
    )


def update_of_eventarc(values: Mapping[str, str]) -> tuple[Step, ...]:
    """Return steps that find the subscription of the variable ``trigger`` and set its delivery."""
    find_it = Read(
        ("subscription",),
        ("eventarc", "triggers", "describe", Value("trigger")),
        ("transport.pubsub.subscription",),
    )
    missing = Refusal(
        Empty("subscription"),
        (
            "Eventarc names no subscription for ",
            Value("trigger"),
            "; look at `gcloud eventarc triggers describe`",
        ),
    )
    update = Run(
        "the subscription of Eventarc has its delivery settings",
        ("pubsub", "subscriptions", "update", Value("subscription"), *_delivery(values)),
    )
    return (find_it, Check((missing,)), update)


def _named(values: Mapping[str, str]) -> tuple[str, ...]:
    return (values["SUBSCRIPTION_NAME"], f"--project={values['GOOGLE_CLOUD_PROJECT']}")


def _push(values: Mapping[str, str]) -> tuple[str | Value, ...]:
    return (
        Value("url", "--push-endpoint="),
        f"--push-auth-service-account={values['TRIGGER_SERVICE_ACCOUNT']}",
        # Cloud Run takes a token for the service's own address.
        Value("url", "--push-auth-token-audience="),
    )


def _delivery(values: Mapping[str, str]) -> tuple[str, ...]:
    return (
        # For push this is also how long Pub/Sub waits for the function's response.
        f"--ack-deadline={values['SUBSCRIPTION_ACK_DEADLINE_S']}",
        f"--min-retry-delay={values['SUBSCRIPTION_MIN_RETRY_DELAY_S']}s",
        f"--max-retry-delay={values['SUBSCRIPTION_MAX_RETRY_DELAY_S']}s",
        f"--dead-letter-topic={values['UNDELIVERED_TOPIC']}",
        f"--max-delivery-attempts={values['SUBSCRIPTION_MAX_DELIVERY_ATTEMPTS']}",
        # Both otherwise end events: Eventarc keeps them for a day, and a subscription without use is deleted.
        f"--message-retention-duration={_RETENTION}",
        "--expiration-period=never",
    )


def steps(values: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the plan of ``deploy/subscription``."""
    function = values["FUNCTION_NAME"]
    before = (*require_readers(values), find_function(values, function))
    if uses_push(values):
        missing = (
            Refusal(Empty("url"), (f"there is no function {function}; run deploy/deploy",)),
            Refusal(
                Empty("subscription"),
                (f"there is no subscription {values['SUBSCRIPTION_NAME']}; run deploy/deploy",),
            ),
        )
        return (*before, find(values), Check(missing), *require_own(values), update_own(values))
    no_trigger = Refusal(
        Empty("trigger"), (f"the function {function} has no event trigger; run deploy/deploy",)
    )
    return (*before, Check((no_trigger,)), *update_of_eventarc(values))


def main(arguments: Sequence[str]) -> None:
    """Update the function's subscription; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="deploy/subscription",
        description="Sets endpoint, ack deadline, retry backoff, retention and undelivered topic on the function's "
        "subscription. deploy/deploy does this in every deployment.",
        epilog="The grants that Pub/Sub's own service agent needs: docs/deploy.md",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print a shell script that does the same; run nothing"
    )
    contract_option(parser)
    options = parser.parse_args(arguments)
    values = meshcontract.load(options.contract)
    refusals = []
    if meshcontract.placeholders(values):
        refusals.append(
            f"the contract still names the placeholder project {meshcontract.PLACEHOLDER_PROJECT!r}; "
            "write your own"
        )
    name = "deploy/subscription"
    if options.dry_run:
        sys.stdout.write(plan.script(steps(values), name, refusals))
        return
    if refusals:
        raise RefusalError("\n  ".join(refusals))
    gcloud.require()
    plan.run(steps(values), shlex.join([name, *arguments]))
