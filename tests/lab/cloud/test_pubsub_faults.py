"""Faults that a test orders of the Pub/Sub fake, as the official client meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, PubsubMessage, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from meshlab.cloud.pubsub import backlog, fail_publish
from meshlab.cloud.pubsub.errors import UnavailableError
from meshlab.cloud.pubsub.faults import PublishFaults
from meshlab.cloud.pubsub.server import running

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPIC = "projects/meshpass-lab/topics/events"
OTHER = "projects/meshpass-lab/topics/others"
SUB = "projects/meshpass-lab/subscriptions/enrich"


@pytest.fixture
def host() -> Iterator[str]:
    with running() as host:
        yield host


@pytest.fixture
def publisher(host: str) -> Iterator[PublisherClient]:
    with grpc.insecure_channel(host) as channel:
        client = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        for topic in (TOPIC, OTHER):
            client.create_topic(name=topic)
        SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)).create_subscription(
            name=SUB, topic=TOPIC
        )
        yield client


def publish(publisher: PublisherClient, topic: str = TOPIC) -> None:
    """One message, tried once."""
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"x")], retry=None)


def test_a_topic_fails_until_the_next_order_and_takes_nothing_while_it_does(
    host: str, publisher: PublisherClient
) -> None:
    fail_publish(host, TOPIC, None)
    for _ in range(2):
        with pytest.raises(exceptions.ServiceUnavailable):
            publish(publisher)
    assert backlog(host, SUB).unacked == 0
    assert fail_publish(host, TOPIC, 0) == 2
    publish(publisher)
    assert backlog(host, SUB).unacked == 1


def test_other_topics_go_on(host: str, publisher: PublisherClient) -> None:
    fail_publish(host, OTHER, None)
    publish(publisher)
    with pytest.raises(exceptions.ServiceUnavailable):
        publish(publisher, OTHER)


def test_the_official_clients_own_retry_outlives_a_short_failure(
    host: str, publisher: PublisherClient
) -> None:
    fail_publish(host, TOPIC, 0.2)
    publisher.publish(topic=TOPIC, messages=[PubsubMessage(data=b"x")])
    assert backlog(host, SUB).unacked == 1


def test_a_failure_ends_when_its_seconds_are_over() -> None:
    faults = PublishFaults()
    faults.order(TOPIC, 5, now_s=100.0)
    for now_s in (100.0, 104.9):
        with pytest.raises(UnavailableError):
            faults.check(TOPIC, now_s)
    faults.check(TOPIC, 105.0)


def test_an_unknown_topic_is_refused(host: str, publisher: PublisherClient) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        fail_publish(host, "projects/meshpass-lab/topics/nowhere", 1)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "order",
    [
        b"not JSON",
        b"[]",
        b'{"topic": 1, "seconds": 1}',
        b'{"topic": "%s"}' % TOPIC.encode(),
        b'{"topic": "%s", "seconds": -1}' % TOPIC.encode(),
        b'{"topic": "%s", "seconds": true}' % TOPIC.encode(),
        b'{"topic": "%s", "seconds": NaN}' % TOPIC.encode(),
    ],
    ids=["text", "list", "number as topic", "no seconds", "negative", "boolean", "not a number"],
)
def test_an_order_that_is_not_well_formed_is_refused(
    host: str, publisher: PublisherClient, order: bytes
) -> None:
    with grpc.insecure_channel(host) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/meshlab.Lab/FailPublish")(order, timeout=5)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    publish(publisher)
