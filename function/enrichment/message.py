"""The Pub/Sub message inside a delivery."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from enrichment.instant import to_utc
from enrichment.outcome import BadEventError, Stage


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was published, plus what the server stamped on it.

    Args:
        data: The published bytes.
        attributes: The published attributes.
        message_id: The server's id, empty if the delivery named none.
        publish_time: The server's clock at publication in UTC, None if the delivery named none.
        ordering_key: The published ordering key, usually empty.
    """

    data: bytes
    attributes: dict[str, str]
    message_id: str
    publish_time: datetime | None
    ordering_key: str = ""


def read(data: object) -> Message:
    """Reads the message out of a CloudEvent's data.

    The shape is Eventarc's `google.events.cloud.pubsub.v1.MessagePublishedData`
    (https://github.com/googleapis/google-cloudevents, `proto/google/events/cloud/pubsub/v1/data.proto`).
    functions-framework hands over whatever it found, a malformed envelope even as raw bytes, so nothing is
    assumed.

    Args:
        data: The CloudEvent's data, of any type.

    Returns:
        The message.

    Raises:
        BadEventError: `envelope_invalid`, the data is not a Pub/Sub message.
    """
    try:
        message = msgspec.convert(data, _Envelope).message
        publish_time = to_utc(message.publish_time)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except OverflowError:
        raise _invalid("publishTime lies outside the years 1 to 9999") from None
    attributes, ordering_key = message.attributes or {}, message.ordering_key or ""
    try:
        # The framework's parser lets lone surrogates through, and nothing written later could carry them.
        "".join((message.message_id, ordering_key, *attributes, *attributes.values())).encode()
    except UnicodeEncodeError:
        raise _invalid("it holds text that is not Unicode") from None
    return Message(message.data, attributes, message.message_id, publish_time, ordering_key)


def unreadable(data: object) -> Message:
    """Wraps a delivery that `read` refused, so that its dead letter carries all that came.

    Args:
        data: The CloudEvent's data, of any type.

    Returns:
        A message holding the raw bytes, or the JSON of what the framework parsed out of them.
    """
    raw = data if isinstance(data, bytes) else b"" if data is None else json.dumps(data, default=str).encode()
    return Message(raw, {}, "", None)


class _PubsubMessage(msgspec.Struct, rename="camel"):
    message_id: Annotated[str, msgspec.Meta(min_length=1)]
    publish_time: Annotated[datetime, msgspec.Meta(tz=True)]
    data: bytes = b""
    attributes: dict[str, str] | None = None
    ordering_key: str | None = None


class _Envelope(msgspec.Struct):
    message: _PubsubMessage


def _invalid(problem: str) -> BadEventError:
    return BadEventError(
        Stage.DECODE, "envelope_invalid", f"the delivery does not hold a Pub/Sub message: {problem}"
    )
