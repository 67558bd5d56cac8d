"""Where bad events go: as they came, with the reason written beside them."""

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from enrichment.instant import rfc3339
from enrichment.message import Message
from enrichment.outcome import BadEventError, Stage, of_google_error
from enrichment.trace import Trace

if TYPE_CHECKING:
    from google.pubsub_v1 import PublisherClient

DEADLINE_S = 10.0
"""Time for one publication with its retries."""

MAX_ATTRIBUTES = 100
MAX_VALUE_BYTES = 1024
"""Pub/Sub's limits on one message's attributes (https://cloud.google.com/pubsub/quotas#resource_limits)."""

_NAMES = (
    "reason",
    "detail",
    "stage",
    "message_id",
    "publish_time",
    "trace_id",
    "version",
    "attributes_dropped",
)
OUR_ATTRIBUTES = tuple(f"dead_letter_{name}" for name in _NAMES)
"""What a dead letter adds to the message's own attributes; the last only where attributes were dropped."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message for the dead-letter topic.

    Args:
        data: The bytes as they came.
        attributes: The attributes as they came, plus those that say why it is here.
        ordering_key: The ordering key as it came.
    """

    data: bytes
    attributes: dict[str, str]
    ordering_key: str


class DeadLetters(Protocol):
    """Where bad events go."""

    async def publish(self, letter: DeadLetter) -> None:
        """Returns once the letter is durable, or raises TransientError or FaultError."""


def compose(message: Message, error: BadEventError, trace: Trace, version: str) -> DeadLetter:
    """Writes the reason beside a bad message.

    Args:
        message: The message as it came.
        error: Why it is bad.
        trace: The trace it belongs to.
        version: Version of the code that says so.

    Returns:
        The letter. Only where a message comes with so many attributes that the reason finds no room, its last
        ones give way, and `dead_letter_attributes_dropped` counts them. Reasons of an earlier life are
        written over.
    """
    values = (
        error.reason,
        error.detail,
        str(error.stage),
        message.message_id,
        rfc3339(message.publish_time) if message.publish_time else "",
        trace.trace_id,
        version,
    )
    ours = {name: _fit(value) for name, value in zip(OUR_ATTRIBUTES, values, strict=False)}
    theirs = [(name, value) for name, value in message.attributes.items() if name not in OUR_ATTRIBUTES]
    if len(theirs) + len(ours) > MAX_ATTRIBUTES:
        room = MAX_ATTRIBUTES - len(OUR_ATTRIBUTES)
        ours[OUR_ATTRIBUTES[-1]] = str(len(theirs) - room)
        theirs = theirs[:room]
    return DeadLetter(message.data, dict(theirs) | ours, message.ordering_key)


class PubSubDeadLetters:
    """Dead letters into one Pub/Sub topic.

    Each letter is one request that is answered before anything is acknowledged. The batching publisher is not
    used: it waits for company that does not come, and its `publish` takes attributes as keyword arguments,
    where one named `timeout` would change the call.

    Args:
        topic: `projects/P/topics/T`.
        deadline_s: Time for one publication with its retries, in seconds.
    """

    def __init__(self, topic: str, deadline_s: float = DEADLINE_S) -> None:
        self._topic = topic
        self._deadline_s = deadline_s
        self._client: PublisherClient | None = None
        self._lock = threading.Lock()

    async def publish(self, letter: DeadLetter) -> None:
        """Publishes one letter.

        Args:
            letter: The letter.

        Raises:
            TransientError: Pub/Sub is unavailable.
            FaultError: there is no such topic, no permission or no credentials, or the letter is refused.
        """
        try:
            await asyncio.to_thread(self._publish, letter)
        except Exception as error:
            raise of_google_error(error, Stage.DEAD_LETTER, "pubsub", self._topic) from error

    def _publish(self, letter: DeadLetter) -> None:
        # Loaded here, in the thread: most instances never see a bad event.
        from google.api_core import exceptions, retry
        from google.pubsub_v1 import PublisherClient, PubsubMessage

        with self._lock:
            if self._client is None:
                self._client = PublisherClient()
        self._client.publish(
            topic=self._topic,
            messages=[
                PubsubMessage(
                    data=letter.data, attributes=letter.attributes, ordering_key=letter.ordering_key
                )
            ],
            retry=retry.Retry(
                predicate=retry.if_exception_type(
                    exceptions.Aborted,
                    exceptions.ServiceUnavailable,
                    exceptions.InternalServerError,
                    exceptions.Unknown,
                    exceptions.ResourceExhausted,
                ),
                initial=0.1,
                timeout=self._deadline_s,
            ),
            timeout=self._deadline_s,
        )


def _fit(value: str) -> str:
    """One line, short enough for an attribute, cut between characters."""
    line = " ".join(value.split())
    return line.encode()[:MAX_VALUE_BYTES].decode(errors="ignore")
