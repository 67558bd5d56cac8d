"""The Pub/Sub message inside a delivery."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from enrichment.documents.instant import parse_rfc3339
from enrichment.errors import BadEventError, EnrichmentError, failure

REDRIVE_MESSAGE_ID = "redrive_message_id"
REDRIVE_PUBLISH_TIME = "redrive_publish_time"
REDRIVE_COUNT = "redrive_count"
REDRIVE_ATTRIBUTES = (REDRIVE_MESSAGE_ID, REDRIVE_PUBLISH_TIME, REDRIVE_COUNT)
"""What `python -m enrichment redrive` adds to a message that it publishes again."""

MAX_REDRIVES = 100
"""Highest `redrive_count`: beyond it, a message is not believed to be a redriven one."""

MAX_LIFE = timedelta(days=62)
"""How long an event can take from one publication to the next: 31 days in the trigger's subscription and 31 in that of
the dead letters, the longest that Pub/Sub keeps a message (https://cloud.google.com/pubsub/docs/subscription-properties).
"""

UNNAMED = "unnamed:"
"""What the id of a message begins with where the push named none."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_ID_LENGTH = 128
_MAX_ATTEMPT = 2**31 - 1  # the field's type in Pub/Sub's API
_SUBSCRIPTION = r"\Aprojects/[^/\s]+/subscriptions/[^/\s]+\Z"
_COUNT = re.compile(r"[1-9][0-9]{0,2}")


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was published, plus what the server stamped on it.

    Of a redriven message, everything but `attempt` and `delivery_id` is the original's, so that the same event has the
    same identity whichever way it came.

    Args:
        data: The published bytes.
        attributes: The published attributes.
        message_id: The server's id, empty if the delivery named none.
        publish_time: The server's clock at publication in UTC, None if the delivery named none.
        ordering_key: The published ordering key, usually empty.
        attempt: Which delivery of this message it is, 1 for the first; 0 if the delivery does not say.
        redriven: How often it was redriven; 0 for a message that never was a dead letter.
        delivery_id: The server's id of the message that was delivered, which is what Pub/Sub's own logs name; empty if
            the delivery named none.
    """

    data: bytes
    attributes: dict[str, str]
    message_id: str
    publish_time: datetime | None
    ordering_key: str = ""
    attempt: int = 0
    redriven: int = 0
    delivery_id: str = ""


def read(body: bytes) -> Message:
    """Read the message out of the body of a push.

    The shape is that of a Pub/Sub push (https://cloud.google.com/pubsub/docs/push#receive_push) and of Eventarc's
    `google.events.cloud.pubsub.v1.MessagePublishedData` (https://github.com/googleapis/google-cloudevents,
    `proto/google/events/cloud/pubsub/v1/data.proto`). `deliveryAttempt` is there under a dead-letter policy alone
    (https://cloud.google.com/pubsub/docs/handling-failures); Eventarc's shape does not list it, so it is taken where
    it is there.

    A redriven message says so in its attributes, which any publisher can write. They are believed only where they
    could be true, all of them or none. Where a field names an event they give a publisher nothing new: who may publish
    may choose an event's id, and so which row it makes, anyway. Where `message.id` does, they let one publisher name
    an event of another's, and in either case choose the time that it is filed under.

    Args:
        body: The body.

    Returns:
        The message.

    Raises:
        BadEventError: `envelope_invalid`, the body does not hold a Pub/Sub message.
    """
    return _of_body(body, _Envelope)


def read_wrapped(body: bytes) -> Message | None:
    """Read the message out of a body that has the outline of Pub/Sub's own push.

    Args:
        body: The body.

    Returns:
        The message; None where the body is no such push, but data.

    Raises:
        BadEventError: As `read`.
    """
    if b'"subscription"' not in body or b'"message"' not in body:
        return None
    try:
        return _of_body(body, _Wrapped)
    except BadEventError:
        if _is_wrapped(body):
            raise
        return None


def _of_body(body: bytes, form: "type[_Envelope]") -> Message:
    try:
        envelope = msgspec.json.decode(body, type=form)
        publish_time = _publish_time(envelope.message.publish_time)
    except msgspec.DecodeError as error:
        raise _invalid(str(error) if body.strip() else "its body is empty") from None
    except UnicodeDecodeError:
        raise _invalid("it holds text that is not Unicode") from None
    except RecursionError:
        raise _invalid("it is nested too deeply") from None
    found = envelope.message
    return _message(
        found.data,
        found.attributes or {},
        found.message_id,
        publish_time,
        found.ordering_key or "",
        _attempt(envelope.delivery_attempt),
    )


def _is_wrapped(body: bytes) -> bool:
    """Return whether a body has the outline of Pub/Sub's own: `message`, an object, and `subscription`, a full name."""
    try:
        outline = msgspec.json.decode(body, type=_Outline)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return (
        bytes(outline.message).lstrip().startswith(b"{")
        and re.search(_SUBSCRIPTION, outline.subscription) is not None
    )


def of_parts(
    data: bytes, attributes: dict[str, str], message_id: str, publish_time: str | datetime, ordering_key: str
) -> Message:
    """Make the message of a delivery that names each part by itself.

    Args:
        data: The published bytes.
        attributes: The published attributes.
        message_id: The server's id.
        publish_time: The server's clock at publication: RFC 3339, or an instant in UTC.
        ordering_key: The ordering key, empty for none.

    Returns:
        The message.

    Raises:
        BadEventError: `envelope_invalid`, the id is empty, or the time is none.
    """
    if not message_id:
        raise _invalid("its message id is empty")
    if isinstance(publish_time, str):
        try:
            publish_time = parse_rfc3339(publish_time)
        except ValueError:
            raise _invalid("its publish time is no time of RFC 3339") from None
    return _message(data, attributes, message_id, publish_time, ordering_key, 0)


def of_pull(
    data: bytes,
    attributes: dict[str, str],
    message_id: str,
    published: tuple[int, int],
    ordering_key: str,
    attempt: int,
) -> Message:
    """Make the message of a delivery over gRPC, which has a type for each part.

    Args:
        data: The published bytes.
        attributes: The published attributes.
        message_id: The server's id.
        published: The server's clock at publication, in seconds since the epoch and nanoseconds.
        ordering_key: The ordering key, empty for none.
        attempt: Which delivery it is, 1 for the first; 0 where the subscription does not count.
    """
    seconds, nanoseconds = published
    publish_time = _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    return _message(data, attributes, message_id, publish_time, ordering_key, attempt)


def unnamed(data: bytes, arrived_at: datetime) -> Message:
    """Make the message of a push that brings nothing but data.

    Its id is made of the data, so that it is the same when it comes again. It is no name of an event: two messages of
    the same data would have one.

    Args:
        data: The published bytes.
        arrived_at: When it arrived, in UTC.
    """
    return Message(data, {}, UNNAMED + hashlib.sha256(data).hexdigest(), arrived_at)


def unreadable(body: bytes) -> Message:
    """Wrap a delivery that holds no message, so that its dead letter carries all that came.

    Args:
        body: The request's body.
    """
    return Message(body, {}, "", None)


def _message(
    data: bytes,
    attributes: dict[str, str],
    message_id: str,
    publish_time: datetime,
    ordering_key: str,
    attempt: int,
) -> Message:
    original = _original(attributes, publish_time)
    if original is not None:
        attributes = {name: value for name, value in attributes.items() if name not in REDRIVE_ATTRIBUTES}
    return Message(
        data=data,
        attributes=attributes,
        message_id=original.message_id if original else message_id,
        publish_time=original.publish_time if original else publish_time,
        ordering_key=ordering_key,
        attempt=attempt,
        redriven=original.redriven if original else 0,
        delivery_id=message_id,
    )


class _PubsubMessage(msgspec.Struct, rename="camel"):
    message_id: Annotated[str, msgspec.Meta(min_length=1)]
    publish_time: str  # msgspec would round what it reads as a time
    data: bytes = b""
    attributes: dict[str, str] | None = None
    ordering_key: str | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    message: _PubsubMessage
    delivery_attempt: object = None


class _Wrapped(_Envelope, kw_only=True):
    subscription: Annotated[str, msgspec.Meta(pattern=_SUBSCRIPTION)]


class _Outline(msgspec.Struct):
    message: msgspec.Raw
    subscription: str


class _Original(msgspec.Struct, frozen=True):
    message_id: str
    publish_time: datetime
    redriven: int


def _original(attributes: Mapping[str, str], delivered_publish_time: datetime) -> _Original | None:
    message_id = attributes.get(REDRIVE_MESSAGE_ID, "")
    count = attributes.get(REDRIVE_COUNT, "")
    if not (0 < len(message_id) <= _MAX_ID_LENGTH and message_id.isprintable()):
        return None
    if not (_COUNT.fullmatch(count) and int(count) <= MAX_REDRIVES):
        return None
    try:
        publish_time = parse_rfc3339(attributes.get(REDRIVE_PUBLISH_TIME, ""))
    except ValueError:
        return None
    if not timedelta(0) <= delivered_publish_time - publish_time <= int(count) * MAX_LIFE:
        return None
    return _Original(message_id, publish_time, int(count))


def _publish_time(text: str) -> datetime:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise _invalid(f"publishTime: {error}") from None


def _attempt(value: object) -> int:
    # A counter that cannot be read makes no event a bad one.
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_ATTEMPT:
        return value
    return 0


def _invalid(problem: str) -> EnrichmentError:
    return failure("envelope_invalid", f"the delivery does not hold a Pub/Sub message: {problem}")
