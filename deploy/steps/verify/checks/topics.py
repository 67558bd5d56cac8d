"""Topics and who reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...cloud import fields, names, questions
from ..deployment import finding
from . import delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..deployment import Deployment
    from ..findings import Finding

LAST_STOPS = ("dead-letter", "undelivered")
"""Topics in which events end."""


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about the topics' subscriptions."""
    for name in LAST_STOPS:
        topic = questions.topic(deployment.values, questions.TOPICS[name])
        if deployment.ok(f"readers-{name}") and not deployment.data(f"readers-{name}"):
            yield finding(
                "topic-without-reader",
                f"the topic {topic.rpartition('/')[2]}",
                "no subscription",
                "a subscription that never expires",
                (
                    "gcloud",
                    "pubsub",
                    "subscriptions",
                    "create",
                    topic.rpartition("/")[2],
                    deployment.project_flag(),
                    f"--topic={topic}",
                    "--expiration-period=never",
                    "--message-retention-duration=31d",
                ),
            )
    yield from _readers(deployment)
    yield from _duplicates(deployment)


def _readers(deployment: Deployment) -> Iterator[Finding]:
    known = delivery.addresses(deployment)
    ends = {questions.topic(deployment.values, questions.TOPICS[name]) for name in LAST_STOPS}
    for item in fields.items(deployment.data("subscriptions")):
        name, topic = fields.text(item, "name"), fields.text(item, "topic")
        if topic not in ends or not names.is_name("subscription", name):
            continue
        subject = f"the subscription {name.rpartition('/')[2]} of {topic.rpartition('/')[2]}"
        if found := delivery.expires(item):
            yield finding(
                "reader-expires",
                subject,
                found,
                "never",
                (
                    "gcloud",
                    "pubsub",
                    "subscriptions",
                    "update",
                    name,
                    deployment.project_flag(),
                    "--expiration-period=never",
                ),
            )
        if delivery.is_address(fields.text(item, "pushConfig", "pushEndpoint"), known):
            yield finding(
                "dead-letter-loop",
                subject,
                "pushes to the function",
                "does not push to the function",
                _deletion(deployment, name),
            )


def _duplicates(deployment: Deployment) -> Iterator[Finding]:
    ends = {questions.topic(deployment.values, questions.TOPICS[name]) for name in LAST_STOPS}
    topics = {
        fields.text(item, "name"): fields.text(item, "topic")
        for item in fields.items(deployment.data("subscriptions"))
    }
    for name in delivery.duplicates(deployment):
        if topics[name] in ends:
            continue  # reported as a loop
        yield finding(
            "duplicate-subscription",
            f"the subscription {name.rpartition('/')[2]} of {topics[name].rpartition('/')[2]}",
            "pushes to the function",
            "only the function's own subscription does",
            _deletion(deployment, name),
        )


def _deletion(deployment: Deployment, name: str) -> tuple[str, ...]:
    return ("gcloud", "pubsub", "subscriptions", "delete", name, deployment.project_flag())
