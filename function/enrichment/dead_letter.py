"""Dead letters: bad events as they came, with the reason beside them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from enrichment.documents.instant import rfc3339
from enrichment.errors import BadEventError, failure
from enrichment.event.message import Message
from enrichment.telemetry.trace import Trace

if TYPE_CHECKING:
    import meshpass

MAX_ATTRIBUTES = 100
MAX_NAME_BYTES = 256
MAX_VALUE_BYTES = 1024
"""Pub/Sub's limits on one message's attributes (https://cloud.google.com/pubsub/quotas#resource_limits)."""

MAX_REQUEST_BYTES = 10_000_000
"""Pub/Sub's limit on one request to publish (same page)."""

REASON = "dead_letter_reason"
DETAIL = "dead_letter_detail"
STAGE = "dead_letter_stage"
MESSAGE_ID = "dead_letter_message_id"
PUBLISH_TIME = "dead_letter_publish_time"
REDRIVE_COUNT = "dead_letter_redrive_count"
ATTEMPT = "dead_letter_attempt"
TRACE_ID = "dead_letter_trace_id"
VERSION = "dead_letter_version"
FUNCTION = "dead_letter_function"
ATTRIBUTES_DROPPED = "dead_letter_attributes_dropped"

ESSENTIAL = (REASON, STAGE, MESSAGE_ID, PUBLISH_TIME, REDRIVE_COUNT, FUNCTION)
"""What every dead letter has: the reason, and what a redrive needs for the event's identity and its function."""

_OPTIONAL = (DETAIL, TRACE_ID, ATTEMPT, VERSION)
"""What else it has, the most useful first."""

OUR_ATTRIBUTES = (*ESSENTIAL, *_OPTIONAL, ATTRIBUTES_DROPPED)
"""What a dead letter adds to the message's own attributes. The last is there only where attributes were dropped."""

# Of one attribute in a request, beside its name and its value: protobuf's tags and lengths.
_ATTRIBUTE_OVERHEAD = 12
# Of the request beside the message's data, key and attributes: the topic's name (at most 30 characters of project and
# 255 of topic), and tags and lengths.
_REQUEST_OVERHEAD = 384


class DeadLetter(msgspec.Struct, frozen=True):
    """A message for the dead-letter topic.

    Args:
        data: The bytes as they came.
        attributes: The attributes as they came, plus those with the reason.
        ordering_key: The ordering key as it came.
    """

    data: bytes
    attributes: dict[str, str]
    ordering_key: str

    @property
    def size_bytes(self) -> int:
        """Upper bound of the size of the request that publishes it."""
        return (
            _REQUEST_OVERHEAD
            + len(self.data)
            + len(self.ordering_key.encode())
            + sum(
                len(name.encode()) + len(value.encode()) + _ATTRIBUTE_OVERHEAD
                for name, value in self.attributes.items()
            )
        )


class DeadLetterSink(Protocol):
    """Destination of bad events."""

    async def publish(self, dead_letter: DeadLetter, deadline: "meshpass.Deadline") -> None:
        """Return once the dead letter is durable, or raise TransientError or FaultError, by the deadline."""


def compose(
    message: Message, error: BadEventError, trace: Trace, version: str, function: str = ""
) -> DeadLetter:
    """Return a bad message as a dead letter, with the reason beside it.

    The data always stays whole. Attributes that Pub/Sub would not take are left out: no publisher sent them, and in an
    unwrapped push any header that a proxy adds is one. If the rest has more bytes than Pub/Sub takes, the detail is
    left out first, then the other attributes that are not essential, then the message's last ones. If it has more
    attributes, as many of ours are left out as are not essential, before any of the message's.
    `dead_letter_attributes_dropped` counts the message's own that were left out.

    Args:
        message: The message as it came.
        error: Why it is bad.
        trace: The trace that it belongs to.
        version: Version of the code that decided.
        function: Name of the function that decided, empty if unknown.

    Returns:
        The dead letter. Reasons of an earlier dead letter of the same event are replaced.
    """
    ours = {
        REASON: error.reason,
        STAGE: str(error.stage),
        MESSAGE_ID: message.message_id,
        PUBLISH_TIME: rfc3339(message.publish_time) if message.publish_time else "",
        REDRIVE_COUNT: str(message.redriven),
        DETAIL: error.detail,
        ATTEMPT: str(message.attempt) if message.attempt else "",
        TRACE_ID: trace.trace_id,
        VERSION: version,
        FUNCTION: function,
    }
    ours = {name: _fit(value) for name, value in ours.items()}
    theirs = {
        name: value
        for name, value in message.attributes.items()
        if name not in OUR_ATTRIBUTES and _can_be_published(name, value)
    }
    for name in reversed(_OPTIONAL):
        if len(theirs) + len(ours) > MAX_ATTRIBUTES:
            del ours[name]
    publishable = len(theirs)
    dead_letter = _dead_letter(message, theirs, ours, publishable)
    for fewer in (ours.keys() - {DETAIL}, ESSENTIAL):
        if dead_letter.size_bytes <= MAX_REQUEST_BYTES:
            break
        ours = {name: ours[name] for name in ours if name in fewer}
        dead_letter = _dead_letter(message, theirs, ours, publishable)
    while dead_letter.size_bytes > MAX_REQUEST_BYTES and theirs:
        theirs.popitem()
        dead_letter = _dead_letter(message, theirs, ours, publishable)
    return dead_letter


def refuse_loop(message: Message, error: BadEventError, source: str, topic: str) -> None:
    """Refuse to dead-letter what would come back as an event, or has: one bad event would go round without an end.

    The event is nacked and not acknowledged: the trigger's subscription may be the only one that holds it. It
    comes again with the subscription's backoff and ends in `UNDELIVERED_TOPIC`, so nothing is lost.

    Args:
        message: The bad message.
        error: Why it is bad.
        source: The CloudEvent's source, `//pubsub.googleapis.com/projects/P/topics/T`; empty where there is none.
        topic: Where bad events go, `projects/P/topics/T`; empty if unknown.

    Raises:
        FaultError: `event_is_dead_letter`, the message came from the dead-letter topic, or is a dead letter.
    """
    came_from_there = bool(topic) and source.endswith(f"/{topic}")
    # All of them: one name alone may be a publisher's own.
    if not came_from_there and not all(name in message.attributes for name in ESSENTIAL):
        return
    why = (
        f"the trigger reads {topic}, the dead-letter topic"
        if came_from_there
        else "it is a dead letter itself"
    )
    raise failure(
        "event_is_dead_letter",
        f"a bad event ({error.reason}) is not dead-lettered: {why}. It is kept and comes again. "
        "To do: give DEAD_LETTER_TOPIC a topic of its own, and use `redrive` to send dead letters again",
    )


def _dead_letter(
    message: Message, theirs: Mapping[str, str], ours: Mapping[str, str], publishable: int
) -> DeadLetter:
    kept = dict(theirs)
    if len(kept) + len(ours) > MAX_ATTRIBUTES:
        most = MAX_ATTRIBUTES - len(ours) - 1
        kept = dict(list(kept.items())[:most])
    dropped = publishable - len(kept)
    counted = {ATTRIBUTES_DROPPED: str(dropped)} if dropped else {}
    return DeadLetter(message.data, kept | dict(ours) | counted, message.ordering_key)


def _can_be_published(name: str, value: str) -> bool:
    """Return whether Pub/Sub takes an attribute (https://cloud.google.com/pubsub/quotas#resource_limits)."""
    return (
        0 < len(name.encode()) <= MAX_NAME_BYTES
        and len(value.encode()) <= MAX_VALUE_BYTES
        and (not name.startswith("goog") or name.startswith("googclient_"))
    )


def _fit(value: str) -> str:
    """Return one line that is short enough for an attribute, cut between characters."""
    line = " ".join(value.split())
    return line.encode()[:MAX_VALUE_BYTES].decode(errors="ignore")
