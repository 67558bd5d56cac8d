"""Requests, checked against the service's limits and against what this fake does.

What is not supported is refused, never ignored: a subscription that silently skipped its filter would prove
nothing. Limits: https://cloud.google.com/pubsub/quotas#resource_limits
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from . import resource_names
from .delivery_rules import Backoff, DeadLetter, Policy, Unwrapped
from .errors import InvalidArgumentError, check_range

if TYPE_CHECKING:
    from .messages import Proto

CLOUD_EVENTS_MODE = "__GCP_CloudEventsMode"
"""The query parameter by which Eventarc marks an endpoint that wants CloudEvents."""

CUSTOM_PUBSUB = "CUSTOM_PUBSUB_"
"""What its value begins with when the events are the messages of a topic; the topic's name follows."""

MAX_REQUEST_BYTES = 10_000_000
MAX_ACK_REQUEST_BYTES = 524_288
"""The service's limit of a request that names ack IDs."""

_ACK_ID_BYTES = 200
_MAX_MESSAGES = 1000
_MAX_ATTRIBUTES = 100
_MAX_KEY_BYTES = 256
_MAX_VALUE_BYTES = 1024
_MAX_ORDERING_KEY_BYTES = 1024

_UNSUPPORTED_TOPIC_FIELDS = ("schema_settings", "ingestion_data_source_settings", "message_transforms")
_UNSUPPORTED_FIELDS = (
    "filter",
    "bigquery_config",
    "bigtable_config",
    "cloud_storage_config",
    "message_transforms",
)
_UNSUPPORTED_PUSH_FIELDS = ("oidc_token",)
_UPDATABLE = frozenset(
    {
        "ack_deadline_seconds",
        "dead_letter_policy",
        "enable_exactly_once_delivery",
        "expiration_policy",
        "labels",
        "message_retention_duration",
        "push_config",
        "retain_acked_messages",
        "retry_policy",
    }
)


def check_publish(request: Proto) -> None:
    """Refuse a PublishRequest the service would refuse.

    Raises:
        InvalidArgumentError: Too large, too many messages, an empty message, several ordering keys, or attributes
            beyond their limits.
    """
    check_range("request_size", request.ByteSize(), 0, MAX_REQUEST_BYTES)
    check_range("message_count", len(request.messages), 1, _MAX_MESSAGES)
    ordering_key = request.messages[0].ordering_key
    check_range("ordering_key length", len(ordering_key.encode()), 0, _MAX_ORDERING_KEY_BYTES)
    for message in request.messages:
        if message.ordering_key != ordering_key:
            raise InvalidArgumentError(
                "In a single publish request, all messages must have no ordering key or they must all have the same "
                "ordering key."
            )
        if not message.data and not message.attributes:
            raise InvalidArgumentError(
                "One or more messages in the publish request is empty. Each message must contain either "
                "non-empty data, or at least one attribute."
            )
        check_range("attribute_count", len(message.attributes), 0, _MAX_ATTRIBUTES)
        for key, value in message.attributes.items():
            check_range("attribute_key length", len(key.encode()), 1, _MAX_KEY_BYTES)
            check_range("attribute_value length", len(value.encode()), 0, _MAX_VALUE_BYTES)


def check_ack_ids(count: int) -> None:
    """Refuse a request that names too many ack IDs for the service.

    The service counts bytes. Its ack IDs have some 200 of them, and this fake's far fewer; so they are counted as if
    they were as long.

    Raises:
        InvalidArgumentError: The request would be too large.
    """
    if count * _ACK_ID_BYTES > MAX_ACK_REQUEST_BYTES:
        raise InvalidArgumentError(
            f"Request payload size exceeds the limit: {MAX_ACK_REQUEST_BYTES} bytes. (It names {count} ack IDs.)"
        )


def check_topic(topic: Proto) -> None:
    """Refuse a Topic with a bad name or with features this fake does not have.

    Raises:
        InvalidArgumentError: Either of these.
    """
    resource_names.check_topic(topic.name)
    _refuse_unsupported(topic, _UNSUPPORTED_TOPIC_FIELDS, "topic")


def complete(subscription: Proto) -> None:
    """Fill in the defaults the service gives a Subscription, in place."""
    subscription.ack_deadline_seconds = subscription.ack_deadline_seconds or 10
    if not subscription.HasField("message_retention_duration"):
        subscription.message_retention_duration.seconds = 7 * 86_400
    if not subscription.HasField("expiration_policy"):
        subscription.expiration_policy.ttl.seconds = 31 * 86_400
    subscription.push_config.SetInParent()
    if subscription.HasField("retry_policy"):
        retry = subscription.retry_policy
        if not retry.HasField("minimum_backoff"):
            retry.minimum_backoff.seconds = 10
        if not retry.HasField("maximum_backoff"):
            retry.maximum_backoff.seconds = 600
    if subscription.HasField("dead_letter_policy"):
        dead_letter = subscription.dead_letter_policy
        dead_letter.max_delivery_attempts = dead_letter.max_delivery_attempts or 5


def check_update(paths: list[str]) -> None:
    """Refuse an update mask that is empty or names what cannot be updated.

    Raises:
        InvalidArgumentError: Either of these.
    """
    if not paths:
        raise InvalidArgumentError(
            "The update_mask in the UpdateSubscriptionRequest must be set, and must contain a non-empty "
            "paths list."
        )
    for path in paths:
        if path.partition(".")[0] not in _UPDATABLE:
            raise InvalidArgumentError(
                f"Invalid update_mask provided: '{path}' is not a field that can be updated."
            )


def to_policy(subscription: Proto) -> Policy:
    """Read a completed Subscription.

    Raises:
        InvalidArgumentError: A value is out of bounds, or a feature is asked for that this fake does not
            have.
    """
    resource_names.check_subscription(subscription.name)
    _refuse_unsupported(subscription, _UNSUPPORTED_FIELDS, "subscription")
    check_range("ack_deadline_seconds", subscription.ack_deadline_seconds, 10, 600)
    push_endpoint = _endpoint(subscription.push_config)
    if push_endpoint and subscription.enable_exactly_once_delivery:
        raise InvalidArgumentError("Exactly-once delivery is supported by pull subscriptions only.")
    return Policy(
        ack_deadline_s=subscription.ack_deadline_seconds,
        retry=_backoff(subscription.retry_policy) if subscription.HasField("retry_policy") else None,
        dead_letter=_dead_letter(subscription.dead_letter_policy)
        if subscription.HasField("dead_letter_policy")
        else None,
        push_endpoint=push_endpoint,
        unwrapped=_unwrapped(subscription.push_config),
        ordering=subscription.enable_message_ordering,
        exactly_once=subscription.enable_exactly_once_delivery,
    )


def _backoff(retry: Proto) -> Backoff:
    minimum_s = retry.minimum_backoff.ToNanoseconds() / 1e9
    maximum_s = retry.maximum_backoff.ToNanoseconds() / 1e9
    if not 0 <= minimum_s <= maximum_s <= 600:
        raise InvalidArgumentError(
            f"Invalid retry_policy: minimum_backoff ({minimum_s:g}s) and maximum_backoff ({maximum_s:g}s) "
            "must be between 0 and 600 seconds, the minimum not above the maximum."
        )
    return Backoff(minimum_s, maximum_s)


def _dead_letter(policy: Proto) -> DeadLetter:
    check_range("max_delivery_attempts", policy.max_delivery_attempts, 5, 100)
    return DeadLetter(resource_names.check_topic(policy.dead_letter_topic), policy.max_delivery_attempts)


def _endpoint(push: Proto) -> str | None:
    endpoint: str = push.push_endpoint
    if not endpoint:
        return None
    _refuse_unsupported(push, _UNSUPPORTED_PUSH_FIELDS, "push_config")
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
        modes = parse_qs(parts.query).get(CLOUD_EVENTS_MODE, [])
    except ValueError as error:
        raise _bad_endpoint(endpoint, f"it is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise _bad_endpoint(endpoint, "it must be an http or https URL")
    if not _is_loopback(host):
        raise _bad_endpoint(endpoint, "this fake pushes to loopback hosts only, such as 127.0.0.1")
    for mode in modes:
        if not mode.startswith(CUSTOM_PUBSUB):
            raise _bad_endpoint(
                endpoint, f"{CLOUD_EVENTS_MODE} must be {CUSTOM_PUBSUB} and the URL-quoted name of a topic"
            )
        resource_names.check_topic(mode.removeprefix(CUSTOM_PUBSUB))
    return endpoint


def _unwrapped(push: Proto) -> Unwrapped | None:
    if not push.HasField("no_wrapper"):
        return None
    if CLOUD_EVENTS_MODE in parse_qs(urlsplit(push.push_endpoint).query):
        raise _bad_endpoint(push.push_endpoint, "Eventarc's pushes are wrapped, so no_wrapper cannot be set")
    return Unwrapped(write_metadata=push.no_wrapper.write_metadata)


def _bad_endpoint(endpoint: str, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"Invalid push endpoint given (endpoint={endpoint}): {reason}.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_unsupported(resource: Proto, fields: tuple[str, ...], kind: str) -> None:
    asked = {descriptor.name for descriptor, _ in resource.ListFields()}
    for name in fields:
        if name in asked:
            raise InvalidArgumentError(
                f"This fake for Pub/Sub does not support {name} of a {kind}, and refuses it rather than "
                "ignore it."
            )
