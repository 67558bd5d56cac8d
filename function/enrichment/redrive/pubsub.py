"""Subscription of the dead letters and topic of the events, behind the official client."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enrichment.redrive.dead_letters import DeadLetter, Original
from enrichment.redrive.errors import of_google_error

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.pubsub_v1 import PublisherClient, ReceivedMessage, SubscriberClient

_ACK_IDS = 1000
"""Ack ids in one request, which takes 512 KiB (https://cloud.google.com/pubsub/quotas#resource_limits): an id has about
200 bytes."""

_ANSWER_S = 30.0
"""Longest time for one request with its retries, in seconds."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a subscription says of itself.

    Args:
        topic: Its topic.
        ack_deadline_s: How long a message is leased to a consumer that asks for no other time, in seconds.
    """

    topic: str
    ack_deadline_s: int


class DeadLetterSource:
    """The subscription that dead letters are pulled from.

    Args:
        name: `projects/P/subscriptions/S`.
        pull_wait_s: How long one pull waits for a first dead letter, in seconds.
        option: The option that named it, for errors.
    """

    def __init__(self, name: str, pull_wait_s: float, option: str = "--subscription") -> None:
        self._name = name
        self._pull_wait_s = pull_wait_s
        self._option = option
        with self._explained():
            self._client = _subscriber()

    def describe(self) -> Described | None:
        """Return what the subscription says of itself; None if asking is not permitted, as pulling does not need it.

        Raises:
            RedriveError: The subscription does not exist, or Pub/Sub does not answer.
        """
        from google.api_core.exceptions import Forbidden

        with self._explained():
            try:
                found = self._client.get_subscription(
                    subscription=self._name, retry=_retry(), timeout=_ANSWER_S
                )
            except Forbidden:
                return None
        return Described(str(found.topic), int(found.ack_deadline_seconds))

    def check_answers(self) -> None:
        """Return if Pub/Sub answers. Whether the account may see the subscription makes no difference.

        Raises:
            RedriveError: Pub/Sub does not answer, or the subscription is gone.
        """
        self.describe()

    def topic_of(self, subscription: str) -> str:
        """Return the topic of any subscription; empty if it does not exist, or asking is not permitted.

        Raises:
            RedriveError: Pub/Sub does not answer.
        """
        from google.api_core.exceptions import Forbidden, InvalidArgument, NotFound

        with self._explained():
            try:
                found = self._client.get_subscription(
                    subscription=subscription, retry=_retry(), timeout=_ANSWER_S
                )
            except (Forbidden, InvalidArgument, NotFound):
                return ""
        return str(found.topic)

    def pull(self, at_most: int) -> list[tuple[str, DeadLetter]]:
        """Pull dead letters.

        Returns:
            Ack ids and dead letters. An empty list does not mean that there are none: Pub/Sub may answer early
            (https://cloud.google.com/pubsub/docs/pull#pull_api).

        Raises:
            RedriveError: The pull subscription does not exist, a permission is missing, or Pub/Sub does not answer.
        """
        from google.api_core.exceptions import DeadlineExceeded

        with self._explained():
            try:
                found = self._client.pull(
                    subscription=self._name, max_messages=at_most, retry=_retry(), timeout=self._pull_wait_s
                )
            except DeadlineExceeded:  # the client's way to say that nothing came
                return []
        return [(received.ack_id, _dead_letter(received)) for received in found.received_messages]

    def acknowledge(self, ack_ids: list[str]) -> None:
        """Take dead letters off the subscription for good. Raises RedriveError."""
        for chunk in _chunks(ack_ids):
            with self._explained():
                self._client.acknowledge(
                    subscription=self._name, ack_ids=chunk, retry=_retry(), timeout=_ANSWER_S
                )

    def extend(self, ack_ids: list[str], seconds: int) -> None:
        """Lease dead letters for so many seconds from now; 0 gives them back. Raises RedriveError."""
        for chunk in _chunks(ack_ids):
            with self._explained():
                self._client.modify_ack_deadline(
                    subscription=self._name,
                    ack_ids=chunk,
                    ack_deadline_seconds=seconds,
                    retry=_retry(),
                    timeout=_ANSWER_S,
                )

    def close(self) -> None:
        """End the connection."""
        self._client.transport.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with _explained(self._name, self._option, "roles/pubsub.subscriber"):
            yield


class EventTarget:
    """The topic that events are published to again.

    Args:
        name: `projects/P/topics/T`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        with self._explained():
            self._client = _publisher()

    def publish(self, originals: Sequence[Original]) -> None:
        """Publish messages of one ordering key in one request, and return once Pub/Sub has them.

        Raises:
            RefusedError: Pub/Sub refuses them.
            RedriveError: The topic does not exist, a permission is missing, or Pub/Sub does not answer.
        """
        from google.pubsub_v1 import PubsubMessage

        messages = [
            PubsubMessage(data=one.data, attributes=one.attributes, ordering_key=one.ordering_key)
            for one in originals
        ]
        with self._explained():
            self._client.publish(topic=self._name, messages=messages, retry=_retry(), timeout=_ANSWER_S)

    def close(self) -> None:
        """End the connection."""
        self._client.transport.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with _explained(self._name, "--topic", "roles/pubsub.publisher"):
            yield


def _dead_letter(received: "ReceivedMessage") -> DeadLetter:
    message = received.message
    return DeadLetter(
        message.data, dict(message.attributes), message.ordering_key, message.message_id, message.publish_time
    )


def _chunks(ack_ids: list[str]) -> Iterator[list[str]]:
    return (ack_ids[begin : begin + _ACK_IDS] for begin in range(0, len(ack_ids), _ACK_IDS))


def _subscriber() -> "SubscriberClient":
    from google.pubsub_v1 import SubscriberClient

    emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
    if not emulator:
        return SubscriberClient()
    # The client's own connection to an emulator lets in 4 MiB at a time, less than one dead letter can be.
    import grpc
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    channel = grpc.insecure_channel(emulator, options=[("grpc.max_receive_message_length", -1)])
    return SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))


def _publisher() -> "PublisherClient":
    from google.pubsub_v1 import PublisherClient

    return PublisherClient()


def _retry() -> "Retry":
    from google.api_core import exceptions, retry

    # The client's own goes on for up to ten minutes. A person waits here, and can run the command again.
    return retry.Retry(
        predicate=retry.if_exception_type(
            exceptions.Aborted,
            exceptions.InternalServerError,
            exceptions.ResourceExhausted,
            exceptions.ServiceUnavailable,
            exceptions.Unknown,
        ),
        initial=0.1,
        timeout=_ANSWER_S,
    )


@contextmanager
def _explained(resource: str, option: str, role: str) -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError) as error:
        raise of_google_error(error, resource, option, role) from error
