"""Settings of the worker alone, from the environment; those of the core are read beside them."""

import re
from collections.abc import Mapping

import msgspec
from meshcontract import value_types

SUBSCRIPTION = value_types.Type(
    "a full name of a subscription",
    "the full name of a pull subscription, projects/PROJECT/subscriptions/NAME",
    r"projects/[^/\s]+/subscriptions/[^/\s]+",
)


class Number(msgspec.Struct, frozen=True):
    """A setting that is a whole number.

    Args:
        default: What holds where it is not set.
        type: What it may be.
        about: What it is for, as `--help` says it.
    """

    default: int
    type: value_types.Type
    about: str


NUMBERS = {
    "EVENT_TIMEOUT_S": Number(
        60,
        value_types.whole(5, 600, "seconds"),
        "how long one event may take, from its begin to its row; the lease is extended for that long",
    ),
    "WORK_MAX_MESSAGES": Number(
        256, value_types.whole(1, 10_000, "messages"), "the most messages in the process"
    ),
    "WORK_MAX_BYTES": Number(
        32 * 1024 * 1024,
        value_types.whole(1024, 1024**3, "bytes"),
        "the most bytes of messages in the process",
    ),
    "WORK_STREAMS": Number(
        1,
        value_types.whole(1, 16, "streams"),
        "how many streams bring messages; one brings up to 10 MB a second",
    ),
    "WORK_LEASE_S": Number(
        30,
        value_types.whole(10, 600, "seconds"),
        "how long a message is leased at a time, and so how long it waits when the process is killed",
    ),
    "WORK_DRAIN_S": Number(
        8,
        value_types.whole(0, 3600, "seconds"),
        "how long events under way may take after SIGTERM; at least 2 s less than the platform's grace",
    ),
    "PORT": Number(8080, value_types.whole(0, 65_535, "a port"), "where /live and /ready are answered"),
}
"""By name, in the order in which they are listed."""

SUBSCRIPTION_ABOUT = "where events come from: projects/PROJECT/subscriptions/NAME; no default"


class WorkSettings(msgspec.Struct, frozen=True):
    """Settings of the worker.

    Args:
        subscription: `projects/P/subscriptions/S`.
        emulator: `host:port` of an emulator of Pub/Sub; empty for Google's own.
        event_s: How long one event may take, in seconds.
        max_messages: The most messages in the process.
        max_bytes: The most bytes of them.
        streams: How many streams bring messages.
        lease_s: How long a message is leased at a time, in seconds.
        drain_s: How long events under way may take after SIGTERM, in seconds.
        port: Port of the health endpoints.
    """

    subscription: str
    emulator: str
    event_s: int
    max_messages: int
    max_bytes: int
    streams: int
    lease_s: int
    drain_s: int
    port: int


def read(env: Mapping[str, str], problems: list[str]) -> WorkSettings:
    """Read and check the settings.

    Args:
        env: The environment.
        problems: Where problems are noted, one sentence for each.

    Returns:
        The settings; with problems, some of them are defaults.
    """
    subscription = env.get("PULL_SUBSCRIPTION", "")
    if not subscription:
        problems.append(f"PULL_SUBSCRIPTION is not set. Write {SUBSCRIPTION.form}.")
    elif problem := SUBSCRIPTION.problem(subscription):
        problems.append(f"PULL_SUBSCRIPTION {problem}")
    emulator = env.get("PUBSUB_EMULATOR_HOST", "")
    if emulator and not re.fullmatch(r"[^/\s]+:[0-9]+", emulator):
        problems.append(f"PUBSUB_EMULATOR_HOST is {value_types.shown(emulator)}. Write host:port.")
    numbers = {name: _number(env, name, problems) for name in NUMBERS}
    return WorkSettings(
        subscription=subscription,
        emulator=emulator,
        event_s=numbers["EVENT_TIMEOUT_S"],
        max_messages=numbers["WORK_MAX_MESSAGES"],
        max_bytes=numbers["WORK_MAX_BYTES"],
        streams=numbers["WORK_STREAMS"],
        lease_s=numbers["WORK_LEASE_S"],
        drain_s=numbers["WORK_DRAIN_S"],
        port=numbers["PORT"],
    )


def _number(env: Mapping[str, str], name: str, problems: list[str]) -> int:
    """Return the number, or its default and a problem if it is none."""
    known, text = NUMBERS[name], env.get(name, "")
    if not text:
        return known.default
    if problem := known.type.problem(text):
        problems.append(f"{name} {problem}")
        return known.default
    return int(text)
