"""A running fake of Pub/Sub with both official clients, for tests."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Any

from google.cloud import pubsub_v1
from google.pubsub_v1 import PublisherClient as GeneratedPublisherClient
from google.pubsub_v1 import types
from meshlab.cloud.pubsub.server import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

TOPIC = "projects/meshpass-lab/topics/events"
DEAD = "projects/meshpass-lab/topics/events-dead"
SUB = "projects/meshpass-lab/subscriptions/enrich"
DEAD_SUB = "projects/meshpass-lab/subscriptions/dead-letters"


class Lab:
    """A running fake, and both official clients."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.publisher = pubsub_v1.PublisherClient()
        self.subscriber = pubsub_v1.SubscriberClient()

    def topic(self, name: str = TOPIC) -> None:
        self.publisher.create_topic(name=name)

    def subscription(self, name: str = SUB, topic: str = TOPIC, **settings: object) -> None:
        self.subscriber.create_subscription(request={"name": name, "topic": topic, **settings})

    def publish(self, *bodies: bytes, topic: str = TOPIC, **attributes: str) -> list[str]:
        return [self.publisher.publish(topic, body, **attributes).result(10) for body in bodies]

    def publish_batch(self, messages: list[dict[str, Any]], topic: str = TOPIC) -> types.PublishResponse:
        """Publish as given, where the hand-written client would batch and refuse some of this by itself."""
        client = GeneratedPublisherClient(transport=self.publisher.transport)
        return client.publish(request={"topic": topic, "messages": messages})

    def pull(self, name: str = SUB, most: int = 100) -> list[Any]:
        return list(self.subscriber.pull(subscription=name, max_messages=most).received_messages)

    def ack(self, received: list[Any], name: str = SUB) -> None:
        self.subscriber.acknowledge(subscription=name, ack_ids=[each.ack_id for each in received])

    def nack(self, received: list[Any], name: str = SUB) -> None:
        self.modack(received, 0, name)

    def modack(self, received: list[Any], seconds: int, name: str = SUB) -> None:
        self.subscriber.modify_ack_deadline(
            subscription=name, ack_ids=[each.ack_id for each in received], ack_deadline_seconds=seconds
        )


class Stream:
    """A streaming pull, request by request and response by response."""

    def __init__(self, lab: Lab, name: str = SUB, **settings: object) -> None:
        self._requests: queue.Queue[Any] = queue.Queue()
        self.send(**{"subscription": name, "stream_ack_deadline_seconds": 60, **settings})
        self._responses = lab.subscriber.streaming_pull(requests=iter(self._requests.get, None))

    def send(self, **settings: object) -> None:
        """Send a request."""
        self._requests.put(types.StreamingPullRequest(**settings))

    def next(self) -> types.StreamingPullResponse:
        """Return the next response."""
        response: types.StreamingPullResponse = next(self._responses)
        return response

    def take(self, count: int) -> list[Any]:
        """Return the next messages, from as many responses as it takes."""
        received: list[Any] = []
        while len(received) < count:
            received += self.next().received_messages
        return received

    def end(self) -> list[Any]:
        """Send no more, and return the responses that still come."""
        self._requests.put(None)
        return list(self._responses)


def connected(monkeypatch: pytest.MonkeyPatch, speed: float) -> Iterator[Lab]:
    """Run a fake, and lead the official clients to it.

    Args:
        monkeypatch: Sets the variable by which they find it.
        speed: How much faster the fake's time runs: at 100 its ten-second deadlines take a tenth of a second.
    """
    with running(speed=speed) as host:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)
        lab = Lab(host)
        yield lab
        lab.publisher.stop()
        lab.publisher.transport.close()
        lab.subscriber.close()


def until(condition: Callable[[], bool]) -> None:
    """Polls until the condition holds; a minute without is a failure."""
    gives_up_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < gives_up_s, "gave up after a minute"
        time.sleep(0.02)
