"""Topics and who reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...cloud import fields, names, questions
from ..deployment import finding
from . import delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..deployment import Deployment
    from ..finding import Finding

LAST_STOPS = ("dead-letter", "undelivered")
"""Topics in which events end."""


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about the topics and their subscriptions."""
    for name in LAST_STOPS:
        topic = questions.topic(deployment.values, questions.TOPICS[name])
        yield from _restricted(deployment, name, topic)
        if deployment.ok(f"readers-{name}") and not deployment.data(f"readers-{name}"):
            yield _without_reader(deployment, topic, "no subscription")
        elif deployment.ok(f"readers-{name}", "subscriptions"):
            yield from _readers(deployment, name, topic)
    yield from _loops(deployment)
    yield from _duplicates(deployment)


def _restricted(deployment: Deployment, name: str, topic: str) -> Iterator[Finding]:
    """Yield a finding if a topic in which events end refuses or changes some of them."""
    answer = deployment.data(f"topic-{name}")
    update = ("gcloud", "pubsub", "topics", "update", topic, deployment.project_flag())
    subject = f"the topic {topic.rpartition('/')[2]}"
    if fields.value(answer, "schemaSettings"):
        yield finding(
            "topic-restricted", subject, "has a schema", "no schema", (*update, "--clear-schema-settings")
        )
    if fields.items(answer, "messageTransforms"):
        clear = (*update, "--clear-message-transforms")
        yield finding("topic-restricted", subject, "has message transforms", "no message transform", clear)


def _without_reader(deployment: Deployment, topic: str, found: str, name: str = "") -> Finding:
    create = (
        "gcloud",
        "pubsub",
        "subscriptions",
        "create",
        name or topic.rpartition("/")[2],
        deployment.project_flag(),
        f"--topic={topic}",
        "--expiration-period=never",
        "--message-retention-duration=31d",
    )
    subject = f"the topic {topic.rpartition('/')[2]}"
    return finding("topic-without-reader", subject, found, "a subscription that keeps every event", create)


def _readers(deployment: Deployment, name: str, topic: str) -> Iterator[Finding]:
    """Yield findings if no subscription of a topic keeps every event; further ones may do as they like."""
    listed = {
        fields.text(item, "name"): item
        for item in fields.items(deployment.data("subscriptions"))
        if fields.text(item, "topic") == topic
    }
    known = fields.strings(deployment.data(f"readers-{name}"))
    if any(reader not in listed for reader in known):
        return  # one is of another project, and its settings cannot be read here
    keeping = {reader: item for reader, item in listed.items() if not _loses(item)}
    if not keeping:
        reasons = "; ".join(f"{reader.rpartition('/')[2]} {_loses(item)}" for reader, item in listed.items())
        other = f"{topic.rpartition('/')[2]}-all"
        yield _without_reader(deployment, topic, reasons or "no subscription is listed", other)
        return
    if any(not delivery.expires(item) for item in keeping.values()):
        return
    for reader, item in keeping.items():
        if names.is_name("subscription", reader):
            words = ("gcloud", "pubsub", "subscriptions", "update", reader, deployment.project_flag())
            yield finding(
                "reader-expires",
                f"the subscription {reader.rpartition('/')[2]} of {topic.rpartition('/')[2]}",
                delivery.expires(item),
                "never",
                (*words, "--expiration-period=never"),
            )


def _loses(item: Any) -> str:  # noqa: ANN401 - JSON
    """Return how a subscription loses events that no reader has taken yet; "" if it keeps them."""
    kept = fields.seconds(item, "messageRetentionDuration")
    if fields.flag(item, "detached"):
        return "is detached"
    if fields.text(item, "filter"):
        return "has a filter"
    if fields.items(item, "messageTransforms"):
        return "has message transforms"
    if kept is None or kept < delivery.RETENTION_S:
        return f"keeps events for {'an unknown time' if kept is None else f'{kept:g} s'}"
    return ""


def _loops(deployment: Deployment) -> Iterator[Finding]:
    known = delivery.addresses(deployment)
    ends = {questions.topic(deployment.values, questions.TOPICS[name]) for name in LAST_STOPS}
    for item in fields.items(deployment.data("subscriptions")):
        name, topic = fields.text(item, "name"), fields.text(item, "topic")
        if topic not in ends or not names.is_name("subscription", name):
            continue
        if delivery.reaches(fields.text(item, "pushConfig", "pushEndpoint"), known):
            yield finding(
                "dead-letter-loop",
                f"the subscription {name.rpartition('/')[2]} of {topic.rpartition('/')[2]}",
                "pushes to the function",
                "does not push to the function",
                _deletion(deployment, name),
            )


def _duplicates(deployment: Deployment) -> Iterator[Finding]:
    trigger = questions.topic(deployment.values, "TRIGGER_TOPIC")
    topics = {
        fields.text(item, "name"): fields.text(item, "topic")
        for item in fields.items(deployment.data("subscriptions"))
    }
    for name in delivery.duplicates(deployment):
        if topics[name] != trigger:
            continue  # events of its own; one of a topic in which events end is reported as a loop
        yield finding(
            "duplicate-subscription",
            f"the subscription {name.rpartition('/')[2]} of {topics[name].rpartition('/')[2]}",
            "pushes to the function",
            "only the function's own subscription does",
            _deletion(deployment, name),
        )


def _deletion(deployment: Deployment, name: str) -> tuple[str, ...]:
    return ("gcloud", "pubsub", "subscriptions", "delete", name, deployment.project_flag())
