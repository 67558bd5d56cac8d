"""The HTTP request of a push: Pub/Sub's envelope, as a CloudEvent where Eventarc would make it one; or bare data."""

from __future__ import annotations

import json
from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from .messages import rfc3339
from .settings import CLOUD_EVENTS_MODE, CUSTOM_PUBSUB

if TYPE_CHECKING:
    from .delivery_leases import Lease
    from .messages import Proto

_USER_AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"


def body(lease: Lease, subscription: str, *, show_attempt: bool) -> bytes:
    """Return the JSON that is posted (https://cloud.google.com/pubsub/docs/push#receive_push).

    Empty fields are left out, as protobuf's JSON mapping does it. The message's ID and time come under two
    names each, as in the service.

    Args:
        lease: The delivery.
        subscription: The subscription's full name.
        show_attempt: Whether to add `deliveryAttempt`: only under a dead-letter policy.
    """
    message = lease.message.parsed()
    published = _rfc3339(message.publish_time)
    fields: dict[str, Any] = {}
    if message.data:
        fields["data"] = b64encode(message.data).decode()
    if message.attributes:
        fields["attributes"] = dict(message.attributes)
    fields |= {"messageId": message.message_id, "message_id": message.message_id}
    fields |= {"publishTime": published, "publish_time": published}
    if message.ordering_key:
        fields["orderingKey"] = message.ordering_key
    envelope: dict[str, Any] = {"message": fields, "subscription": subscription}
    if show_attempt:
        envelope["deliveryAttempt"] = lease.attempt
    return json.dumps(envelope).encode()


def unwrapped_headers(lease: Lease, subscription: str, *, write_metadata: bool) -> dict[str, str]:
    """Return the headers of a push whose body is the message's data.

    Source: https://cloud.google.com/pubsub/docs/payload-unwrapping.

    Args:
        lease: The delivery.
        subscription: The subscription's full name.
        write_metadata: Whether they carry what the envelope would.
    """
    plain = {"user-agent": _USER_AGENT}
    if not write_metadata:
        return plain
    message = lease.message.parsed()
    known = {
        "x-goog-pubsub-subscription-name": subscription,
        "x-goog-pubsub-message-id": message.message_id,
        "x-goog-pubsub-publish-time": _rfc3339(message.publish_time),
    }
    if message.ordering_key:
        known["x-goog-pubsub-ordering-key"] = message.ordering_key
    return plain | dict(message.attributes) | known


def headers(lease: Lease, endpoint: str) -> dict[str, str]:
    """Return the headers that go with it.

    They make it a CloudEvent in binary mode if the endpoint's query says so
    (https://cloud.google.com/eventarc/docs/cloudevents). No `traceparent` among them: in the cloud it is the
    front end of Cloud Run that adds one to a request without.
    """
    plain = {"content-type": "application/json", "user-agent": _USER_AGENT}
    source = _source(endpoint)
    if source is None:
        return plain
    message = lease.message.parsed()
    return plain | {
        "ce-id": message.message_id,
        "ce-source": source,
        "ce-specversion": "1.0",
        "ce-time": _rfc3339(message.publish_time),
        "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    }


@lru_cache
def _source(endpoint: str) -> str | None:
    """Return the source of the CloudEvents that an endpoint asks for, or None if it asks for none."""
    modes = parse_qs(urlsplit(endpoint).query).get(CLOUD_EVENTS_MODE)
    return f"//pubsub.googleapis.com/{modes[0].removeprefix(CUSTOM_PUBSUB)}" if modes else None


def _rfc3339(time: Proto) -> str:
    return rfc3339(time).replace("+00:00", "Z")
