"""What a subscription says of itself, and what of it does not fit a worker. Pure."""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from enrichment.drivers.work.messages import Proto


class Description(msgspec.Struct, frozen=True):
    """A subscription as far as the worker needs to know it.

    Args:
        topic: `projects/P/topics/T`, or `_deleted-topic_`.
        delivers_elsewhere: How it delivers if it cannot be pulled, such as `pushes to a URL`; else empty.
        keeps_order: Whether messages of one ordering key come in order.
        is_exactly_once: Whether delivery is exactly once.
        ack_deadline_s: The subscription's own deadline in seconds; a stream sets another.
        has_retry_policy: Whether Pub/Sub waits before it delivers again.
        undelivered_topic: Where Pub/Sub sends messages it gives up; empty for none.
        max_attempts: After how many deliveries it does so.
        is_detached: Whether it was detached from its topic.
    """

    topic: str
    delivers_elsewhere: str = ""
    keeps_order: bool = False
    is_exactly_once: bool = False
    ack_deadline_s: int = 0
    has_retry_policy: bool = False
    undelivered_topic: str = ""
    max_attempts: int = 0
    is_detached: bool = False

    def problems(self, dead_letter_topic: str) -> list[str]:
        """Return why the worker must not receive from it; each completes the sentence "PULL_SUBSCRIPTION names ...".

        Args:
            dead_letter_topic: Where the worker sends bad events, `projects/P/topics/T`.
        """
        found = []
        if self.delivers_elsewhere:
            found.append(
                f"a subscription that {self.delivers_elsewhere}, so it cannot be pulled. Name a pull subscription of "
                f"{self.topic}, or take the push configuration away."
            )
        if self.topic == dead_letter_topic:
            found.append(
                f"a subscription of {self.topic}, which is DEAD_LETTER_TOPIC: bad events would come back for ever. "
                "Name a subscription of the events' topic, and use `redrive` to send dead letters again."
            )
        if self.undelivered_topic and self.undelivered_topic == self.topic:
            found.append(
                f"a subscription of {self.topic} whose dead-letter policy names the same topic: what was given up "
                "would come back for ever. Name another topic in the policy."
            )
        return found

    def warnings(self) -> list[str]:
        """Return what is not as it should be, and lets the worker run."""
        found = []
        if self.is_detached or self.topic == "_deleted-topic_":
            found.append("it has no topic any more, so no new message comes")
        if not self.has_retry_policy:
            found.append(
                "it has no retry policy, so Pub/Sub delivers at once what was nacked. The worker keeps such messages "
                "for up to 30 s before their nack. To do: gcloud pubsub subscriptions update "
                "--min-retry-delay=10s --max-retry-delay=600s"
            )
        if not self.undelivered_topic:
            found.append(
                "it has no dead-letter policy, so a message that never succeeds comes again until it expires. "
                "To do: gcloud pubsub subscriptions update --dead-letter-topic --max-delivery-attempts"
            )
        return found

    def summary(self) -> str:
        """Return the facts as one part of a sentence."""
        order = "in order of their keys" if self.keeps_order else "in any order"
        once = "exactly once" if self.is_exactly_once else "at least once"
        retry = "with" if self.has_retry_policy else "without"
        attempts = f", {self.max_attempts} delivery attempts" if self.undelivered_topic else ""
        return f"topic {self.topic}, {order}, {once}, {retry} a retry policy{attempts}"


def read(resource: "Proto") -> Description:
    """Read the resource that `GetSubscription` returns."""
    retry = resource.retry_policy if resource.HasField("retry_policy") else None
    policy = resource.dead_letter_policy
    return Description(
        topic=resource.topic,
        delivers_elsewhere=_elsewhere(resource),
        keeps_order=resource.enable_message_ordering,
        is_exactly_once=resource.enable_exactly_once_delivery,
        ack_deadline_s=resource.ack_deadline_seconds,
        has_retry_policy=retry is not None,
        undelivered_topic=policy.dead_letter_topic,
        max_attempts=policy.max_delivery_attempts or 5,
        is_detached=resource.detached,
    )


def _elsewhere(resource: "Proto") -> str:
    if resource.push_config.push_endpoint:
        return "pushes its messages to a URL"
    for field, name in (
        ("bigquery_config", "BigQuery"),
        ("cloud_storage_config", "Cloud Storage"),
        ("bigtable_config", "Bigtable"),
    ):
        if resource.HasField(field):
            return f"writes to {name}"
    return ""
