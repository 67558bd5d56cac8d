"""Messages as Beam reads them, in the form that the core takes."""

from collections.abc import Mapping
from datetime import UTC, datetime

from apache_beam.io.gcp.pubsub import PubsubMessage
from enrichment.core.received import Received
from enrichment.errors import EnrichmentError
from enrichment.event import message

__all__ = ["PubsubMessage", "of_pubsub", "received", "unreadable"]


def of_pubsub(found: PubsubMessage) -> Received:
    """Return a message of ReadFromPubSub as the core takes it.

    A message that was redriven has the identity of its first publication, as in the function.

    Args:
        found: The message. Without a publish time, as a test may make it, it was published now.
    """
    return received(
        found.data or b"",
        found.attributes or {},
        found.message_id or "",
        found.publish_time or datetime.now(UTC),
        found.ordering_key or "",
    )


def received(
    data: bytes,
    attributes: Mapping[str, str],
    message_id: str,
    publish_time: datetime | str,
    ordering_key: str = "",
) -> Received:
    """Return a message that is given by its parts.

    Args:
        data: The published bytes.
        attributes: The published attributes.
        message_id: The server's id.
        publish_time: The server's clock at publication; as text, RFC 3339.
        ordering_key: The published ordering key, usually empty.

    Returns:
        What the core takes. Without an id or a time it is a bad event, `envelope_invalid`.
    """
    at = publish_time if isinstance(publish_time, str) else _in_utc(publish_time)
    try:
        known = message.of_parts(data, dict(attributes), message_id, at, ordering_key)
    except EnrichmentError as error:
        return Received(data, error, {})
    return Received(data, known, {})


def _in_utc(publish_time: datetime) -> datetime:
    found = publish_time.astimezone(UTC)
    # Pub/Sub's client gives a class of its own, which is written with nanoseconds by some encoders.
    return found if type(found) is datetime else datetime.combine(found.date(), found.timetz())


def unreadable(record: bytes, error: EnrichmentError) -> Received:
    """Return a record that holds no message; its dead letter has its bytes.

    Args:
        record: What was read.
        error: Why it holds none.
    """
    return Received(record, error, {})
