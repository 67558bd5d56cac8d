"""Messages that Pub/Sub itself gave up delivering, as it marks them on a subscription's dead-letter topic.

The marks are those of https://cloud.google.com/pubsub/docs/dead-letter-topics#track-delivery-attempts. Any publisher
could write them, as it could write a dead letter's own attributes.
"""

from collections.abc import Mapping

REASON = "undelivered"
"""What a redrive calls the reason of such a message. The function never writes it."""

DELIVERY_COUNT = "CloudPubSubDeadLetterSourceDeliveryCount"
SUBSCRIPTION = "CloudPubSubDeadLetterSourceSubscription"
PROJECT = "CloudPubSubDeadLetterSourceSubscriptionProject"
PUBLISH_TIME = "CloudPubSubDeadLetterSourceTopicPublishTime"

PREFIX = "CloudPubSubDeadLetterSource"
"""How the name of each mark begins, those of later versions of Pub/Sub included."""


def is_undelivered(attributes: Mapping[str, str]) -> bool:
    """Return whether Pub/Sub gave up delivering a message with these attributes."""
    return bool(attributes.get(DELIVERY_COUNT)) and bool(source_subscription(attributes))


def source_subscription(attributes: Mapping[str, str]) -> str:
    """Return the full name of the subscription that could not deliver the message, empty if it is not named."""
    project, name = attributes.get(PROJECT, ""), attributes.get(SUBSCRIPTION, "")
    return f"projects/{project}/subscriptions/{name}" if project and name else ""
