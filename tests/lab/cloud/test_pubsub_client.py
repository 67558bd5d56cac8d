"""The fake's resources and pull side, as the official client sees them."""

from __future__ import annotations

import queue
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.api_core import exceptions
from google.pubsub_v1 import types
from meshlab.cloud.pubsub import Backlog, backlog

from tests.lab.cloud.pubsub_lab import DEAD, DEAD_SUB, SUB, TOPIC, Lab, connected, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.pubsub_v1.subscriber.message import Message as PulledMessage


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    yield from connected(monkeypatch, 1.0)


@pytest.fixture
def fast_lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    yield from connected(monkeypatch, 100.0)


# Resources


def test_topics_are_created_shown_listed_and_deleted(lab: Lab) -> None:
    lab.publisher.create_topic(request={"name": TOPIC, "labels": {"team": "data"}})
    lab.topic(DEAD)
    assert lab.publisher.get_topic(topic=TOPIC).labels == {"team": "data"}
    assert [topic.name for topic in lab.publisher.list_topics(project="projects/meshpass-lab")] == [
        TOPIC,
        DEAD,
    ]
    assert list(lab.publisher.list_topics(project="projects/other")) == []
    lab.publisher.delete_topic(topic=TOPIC)
    assert [topic.name for topic in lab.publisher.list_topics(project="projects/meshpass-lab")] == [DEAD]


def test_lists_come_in_pages(lab: Lab) -> None:
    names = [f"projects/meshpass-lab/topics/topic-{n}" for n in range(5)]
    for name in names:
        lab.topic(name)
    request = {"project": "projects/meshpass-lab", "page_size": 2}
    pages = [
        [topic.name for topic in page.topics] for page in lab.publisher.list_topics(request=request).pages
    ]
    assert pages == [names[:2], names[2:4], names[4:]]


def test_a_subscription_gets_the_service_s_defaults(lab: Lab) -> None:
    lab.topic()
    lab.topic(DEAD)
    lab.subscription(retry_policy={}, dead_letter_policy={"dead_letter_topic": DEAD})
    found = lab.subscriber.get_subscription(subscription=SUB)
    assert found.topic == TOPIC
    assert found.ack_deadline_seconds == 10
    assert found.message_retention_duration.days == 7
    assert found.retry_policy.minimum_backoff.seconds == 10
    assert found.retry_policy.maximum_backoff.seconds == 600
    assert found.dead_letter_policy.max_delivery_attempts == 5


def test_subscriptions_are_listed_by_project_and_by_topic_and_deleted(lab: Lab) -> None:
    lab.topic()
    lab.topic(DEAD)
    lab.subscription()
    lab.subscription(DEAD_SUB, DEAD)
    listed = lab.subscriber.list_subscriptions(project="projects/meshpass-lab")
    assert [each.name for each in listed] == [DEAD_SUB, SUB]
    assert list(lab.publisher.list_topic_subscriptions(topic=TOPIC)) == [SUB]
    lab.subscriber.delete_subscription(subscription=SUB)
    with pytest.raises(exceptions.NotFound, match=r"Resource not found \(resource=enrich\)\."):
        lab.subscriber.get_subscription(subscription=SUB)


def test_a_second_resource_of_one_name_already_exists(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    with pytest.raises(
        exceptions.AlreadyExists, match=r"already exists in the project \(resource=events\)\."
    ):
        lab.topic()
    with pytest.raises(
        exceptions.AlreadyExists, match=r"already exists in the project \(resource=enrich\)\."
    ):
        lab.subscription()


def test_what_does_not_exist_is_not_found(lab: Lab) -> None:
    for call in (
        lambda: lab.publisher.get_topic(topic=TOPIC),
        lambda: lab.publisher.delete_topic(topic=TOPIC),
        lambda: lab.publish(b"x"),
        lambda: lab.subscription(),
    ):
        with pytest.raises(exceptions.NotFound, match=r"Resource not found \(resource=events\)\."):
            call()
    lab.topic()
    with pytest.raises(exceptions.NotFound, match="events-dead"):
        lab.subscription(dead_letter_policy={"dead_letter_topic": DEAD})
    with pytest.raises(exceptions.NotFound, match="enrich"):
        lab.pull()


@pytest.mark.parametrize("bad", ["t", "ab", "goog-topic", "1topic", "to pic", "x" * 256])
def test_names_the_service_would_refuse_are_refused(lab: Lab, bad: str) -> None:
    name = f"projects/meshpass-lab/topics/{bad}"
    with pytest.raises(exceptions.InvalidArgument, match="Invalid resource name given"):
        lab.topic(name)
    with pytest.raises(exceptions.InvalidArgument, match="Invalid resource name given"):
        lab.publisher.get_topic(topic=name)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"filter": 'attributes.a = "b"'}, "does not support filter"),
        (
            {
                "enable_exactly_once_delivery": True,
                "push_config": {"push_endpoint": "http://127.0.0.1:1/"},
            },
            "supported by pull subscriptions only",
        ),
        ({"bigquery_config": {"table": "p.d.t"}}, "does not support bigquery_config"),
        ({"ack_deadline_seconds": 9}, "You passed 9 in the request, but the minimum value is 10"),
        ({"ack_deadline_seconds": 601}, "You passed 601 in the request, but the maximum value is 600"),
        ({"retry_policy": {"minimum_backoff": timedelta(seconds=601)}}, "Invalid retry_policy"),
        (
            {"dead_letter_policy": {"dead_letter_topic": TOPIC, "max_delivery_attempts": 4}},
            "max_delivery_attempts is too small",
        ),
        (
            {"dead_letter_policy": {"dead_letter_topic": TOPIC, "max_delivery_attempts": 101}},
            "max_delivery_attempts is too large",
        ),
        ({"push_config": {"push_endpoint": "https://example.com/"}}, "loopback hosts only"),
        ({"push_config": {"push_endpoint": "http://127.0.0.1.example.com/"}}, "loopback hosts only"),
        ({"push_config": {"push_endpoint": "ftp://127.0.0.1/"}}, "must be an http or https URL"),
        ({"push_config": {"push_endpoint": "http://127.0.0.1:x/"}}, "not a URL"),
        (
            {"push_config": {"push_endpoint": "http://127.0.0.1/?__GCP_CloudEventsMode=GCS_NOTIFICATION"}},
            "must be CUSTOM_PUBSUB_",
        ),
        (
            {"push_config": {"push_endpoint": "http://127.0.0.1/", "oidc_token": {"audience": "a"}}},
            "does not support oidc_token",
        ),
    ],
)
def test_a_subscription_with_what_is_wrong_or_not_supported_is_refused(
    lab: Lab, settings: dict[str, Any], reason: str
) -> None:
    lab.topic()
    with pytest.raises(exceptions.InvalidArgument, match=reason):
        lab.subscription(**settings)
    assert list(lab.subscriber.list_subscriptions(project="projects/meshpass-lab")) == []


def test_an_update_changes_what_its_mask_names_and_nothing_else(lab: Lab) -> None:
    lab.topic()
    lab.topic(DEAD)
    lab.subscription(labels={"team": "data"})
    updated = lab.subscriber.update_subscription(
        subscription=types.Subscription(
            name=SUB,
            ack_deadline_seconds=60,
            retry_policy={"minimum_backoff": timedelta(seconds=1)},
            dead_letter_policy={"dead_letter_topic": DEAD, "max_delivery_attempts": 7},
        ),
        update_mask={"paths": ["ack_deadline_seconds", "retry_policy", "dead_letter_policy"]},
    )
    assert updated == lab.subscriber.get_subscription(subscription=SUB)
    assert updated.ack_deadline_seconds == 60
    assert updated.retry_policy.minimum_backoff.seconds == 1
    assert updated.dead_letter_policy.max_delivery_attempts == 7
    assert updated.labels == {"team": "data"}
    cleared = lab.subscriber.update_subscription(
        subscription=types.Subscription(name=SUB),
        update_mask={"paths": ["dead_letter_policy"]},
    )
    assert "dead_letter_policy" not in cleared
    assert cleared.ack_deadline_seconds == 60


@pytest.mark.parametrize(
    "paths",
    [[], ["topic"], ["filter"], ["enable_message_ordering"], ["no_such_field"], ["retry_policy.nonsense"]],
)
def test_an_update_of_what_cannot_be_updated_is_refused(lab: Lab, paths: list[str]) -> None:
    lab.topic()
    lab.subscription()
    with pytest.raises(exceptions.InvalidArgument, match="update_mask"):
        lab.subscriber.update_subscription(
            subscription=types.Subscription(name=SUB, topic=DEAD),
            update_mask={"paths": paths},
        )


def test_a_subscription_of_a_deleted_topic_keeps_its_messages_and_says_so(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    lab.publish(b"kept")
    lab.publisher.delete_topic(topic=TOPIC)
    assert lab.subscriber.get_subscription(subscription=SUB).topic == "_deleted-topic_"
    lab.topic()
    lab.publish(b"for the new topic only")
    assert [each.message.data for each in lab.pull()] == [b"kept"]


def test_methods_that_are_missing_name_themselves(lab: Lab) -> None:
    lab.topic()
    with pytest.raises(exceptions.MethodNotImplemented, match=r"google\.pubsub\.v1\.Subscriber/Seek is not"):
        lab.subscriber.seek(request={"subscription": SUB})
    with pytest.raises(
        exceptions.MethodNotImplemented, match=r"google\.pubsub\.v1\.Publisher/UpdateTopic is"
    ):
        lab.publisher.update_topic(topic=types.Topic(name=TOPIC), update_mask={"paths": ["labels"]})


# Publish


def test_every_subscription_gets_a_copy_with_data_attributes_and_time(lab: Lab) -> None:
    lab.topic()
    for name in (SUB, DEAD_SUB):
        lab.subscription(name)
    first, second = lab.publish(b"one", b"two", kind="greeting")
    assert int(second) > int(first)
    for name in (SUB, DEAD_SUB):
        received = lab.pull(name)
        assert [(each.message.message_id, each.message.data) for each in received] == [
            (first, b"one"),
            (second, b"two"),
        ]
        assert received[0].message.attributes == {"kind": "greeting"}
        assert received[0].message.publish_time.timestamp() > 1.7e9
        assert received[0].delivery_attempt == 0


def test_a_message_may_be_nothing_but_attributes(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    lab.publish(b"", only="this")
    (received,) = lab.pull()
    assert (received.message.data, received.message.attributes) == (b"", {"only": "this"})


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "message_count is too small"),
        ([{"data": b"x"}] * 1001, "message_count is too large. You passed 1001"),
        ([{"data": b"x"}, {"data": b""}], "messages in the publish request is empty"),
        ([{"attributes": {f"k{n}": "v" for n in range(101)}}], "attribute_count is too large"),
        ([{"attributes": {"k" * 257: "v"}}], "attribute_key length is too large. You passed 257"),
        ([{"attributes": {"k": "v" * 1025}}], "attribute_value length is too large. You passed 1025"),
        ([{"data": b"x" * 5_000_000}] * 2, "request_size is too large"),
        (
            [{"data": b"x", "ordering_key": "a"}, {"data": b"x", "ordering_key": "b"}],
            "must all have the same ordering key",
        ),
        ([{"data": b"x", "ordering_key": "a"}, {"data": b"x"}], "must all have the same ordering key"),
        ([{"data": b"x", "ordering_key": "k" * 1025}], "ordering_key length is too large. You passed 1025"),
    ],
)
def test_a_publish_beyond_a_limit_is_refused_whole(
    lab: Lab, messages: list[dict[str, Any]], reason: str
) -> None:
    lab.topic()
    lab.subscription()
    with pytest.raises(exceptions.InvalidArgument, match=reason):
        lab.publish_batch(messages)
    assert backlog(lab.host, SUB).unacked == 0


def test_a_publish_at_the_limits_is_accepted(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    attributes = {f"{n:0256}": "v" * 1024 for n in range(100)}
    assert len(lab.publish_batch([{"attributes": attributes}] + [{"data": b"x"}] * 999).message_ids) == 1000
    assert len(lab.publish_batch([{"data": b"x" * 9_999_900}]).message_ids) == 1


# Pull


def test_an_acknowledged_message_is_settled(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    lab.publish(b"one", b"two", b"three")
    assert backlog(lab.host, SUB) == Backlog(undelivered=3, outstanding=0, acked=0, dead_lettered=0)
    received = lab.pull(most=2)
    lab.ack(received[:1])
    counts = backlog(lab.host, SUB)
    assert counts == Backlog(undelivered=1, outstanding=1, acked=1, dead_lettered=0)
    assert counts.unacked == 2


def test_a_pull_waits_for_a_first_message(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    lab.publisher.publish(TOPIC, b"late")
    assert [each.message.data for each in lab.pull()] == [b"late"]


def test_a_pull_of_nothing_ends_empty(fast_lab: Lab) -> None:
    fast_lab.topic()
    fast_lab.subscription()
    assert fast_lab.pull() == []


def test_a_missed_deadline_brings_a_message_back(fast_lab: Lab) -> None:
    fast_lab.topic()
    fast_lab.subscription()
    (message_id,) = fast_lab.publish(b"again")
    (first,) = fast_lab.pull()
    again = list[Any]()

    def came_back() -> bool:
        again.extend(fast_lab.pull())
        return bool(again)

    until(came_back)
    (second,) = again
    assert second.message.message_id == first.message.message_id == message_id
    assert second.ack_id != first.ack_id


def test_an_extended_message_does_not_come_back(fast_lab: Lab) -> None:
    fast_lab.topic()
    fast_lab.subscription()
    fast_lab.publish(b"mine")
    received = fast_lab.pull()
    fast_lab.modack(received, 600)
    # Each waits for five of the fake's seconds: together longer than the original deadline.
    assert [fast_lab.pull() for _ in range(3)] == [[], [], []]
    fast_lab.ack(received)
    assert backlog(fast_lab.host, SUB).acked == 1


def test_a_nacked_message_comes_back_at_once(lab: Lab) -> None:
    lab.topic()
    lab.subscription(ack_deadline_seconds=600)
    lab.publish(b"no")
    lab.nack(lab.pull())
    assert [each.message.data for each in lab.pull()] == [b"no"]


def test_a_nacked_message_rests_for_the_retry_policy_s_backoff_however_long_its_deadline_was(
    fast_lab: Lab,
) -> None:
    fast_lab.topic()
    backoff = timedelta(seconds=1)
    fast_lab.subscription(
        ack_deadline_seconds=600, retry_policy={"minimum_backoff": backoff, "maximum_backoff": backoff}
    )
    fast_lab.publish(b"later")
    fast_lab.nack(fast_lab.pull())
    assert backlog(fast_lab.host, SUB).outstanding == 0
    # Ten pulls wait for 50 of the fake's seconds at most.
    assert any(fast_lab.pull() for _ in range(10))


def test_after_five_attempts_a_message_is_a_dead_letter_that_names_its_origin(lab: Lab) -> None:
    lab.topic()
    lab.topic(DEAD)
    lab.subscription(dead_letter_policy={"dead_letter_topic": DEAD, "max_delivery_attempts": 5})
    lab.subscription(DEAD_SUB, DEAD)
    (message_id,) = lab.publish(b"poison", kind="order")
    attempts = []
    for _ in range(5):
        received = lab.pull()
        attempts.append(received[0].delivery_attempt)
        lab.nack(received)
    assert attempts == [1, 2, 3, 4, 5]
    (dead_letter,) = lab.pull(DEAD_SUB)
    assert dead_letter.message.data == b"poison"
    assert dead_letter.message.message_id != message_id
    attributes = dict(dead_letter.message.attributes)
    published = attributes.pop("CloudPubSubDeadLetterSourceTopicPublishTime")
    assert published == received[0].message.publish_time.isoformat(timespec="milliseconds")
    assert attributes == {
        "kind": "order",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "enrich",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "meshpass-lab",
    }
    assert backlog(lab.host, SUB) == Backlog(undelivered=0, outstanding=0, acked=0, dead_lettered=1)


def test_dead_letters_wait_while_their_topic_is_gone(lab: Lab) -> None:
    lab.topic()
    lab.topic(DEAD)
    lab.subscription(dead_letter_policy={"dead_letter_topic": DEAD, "max_delivery_attempts": 5})
    lab.publish(b"poison")
    lab.publisher.delete_topic(topic=DEAD)
    for _ in range(6):
        lab.nack(lab.pull())
    assert backlog(lab.host, SUB).unacked == 1


def test_a_bad_ack_id_and_a_bad_deadline_are_refused(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    with pytest.raises(exceptions.InvalidArgument, match="You have passed an invalid ack ID"):
        lab.subscriber.acknowledge(subscription=SUB, ack_ids=["nonsense"])
    for none in (lab.ack, lab.nack):
        with pytest.raises(
            exceptions.InvalidArgument, match="You have not specified an ack ID in the request"
        ):
            none([])
    with pytest.raises(exceptions.InvalidArgument, match="size exceeds the limit: 524288 bytes"):
        lab.subscriber.acknowledge(subscription=SUB, ack_ids=["1-1-1"] * 3000)
    with pytest.raises(exceptions.InvalidArgument, match="maximum value is 600"):
        lab.subscriber.modify_ack_deadline(subscription=SUB, ack_ids=["1-1-1"], ack_deadline_seconds=601)
    with pytest.raises(exceptions.InvalidArgument, match="max_messages is too small"):
        lab.subscriber.pull(subscription=SUB, max_messages=0)


def test_the_backlog_of_an_unknown_subscription_is_not_found(lab: Lab) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        backlog(lab.host, SUB)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


# Streaming pull


def test_a_streaming_subscriber_gets_and_acks_everything_and_shuts_down_cleanly(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    seen: queue.Queue[bytes] = queue.Queue()

    def callback(message: PulledMessage) -> None:
        seen.put(message.data)
        message.ack()

    future = lab.subscriber.subscribe(SUB, callback)
    bodies = {str(n).encode() for n in range(300)}
    futures = [lab.publisher.publish(TOPIC, body) for body in bodies]
    assert {seen.get(timeout=10) for _ in futures} == bodies
    future.cancel()
    future.result(10)
    # The client sends its last acks in the background, also after the shutdown has returned.
    until(lambda: backlog(lab.host, SUB).acked == 300)
    assert seen.empty()


def test_a_streaming_subscriber_s_nack_is_delivered_again(lab: Lab) -> None:
    lab.topic()
    lab.topic(DEAD)
    lab.subscription(dead_letter_policy={"dead_letter_topic": DEAD})
    attempts: queue.Queue[int] = queue.Queue()

    def callback(message: PulledMessage) -> None:
        attempts.put(message.delivery_attempt)
        message.ack() if message.delivery_attempt == 3 else message.nack()

    future = lab.subscriber.subscribe(SUB, callback)
    lab.publish(b"thrice")
    assert [attempts.get(timeout=10) for _ in range(3)] == [1, 2, 3]
    future.cancel()
    future.result(10)


def test_a_stream_holds_no_more_than_its_flow_control_allows(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    lab.publish(*[b"x"] * 10)
    requests: queue.Queue[Any] = queue.Queue()
    requests.put(
        types.StreamingPullRequest(
            subscription=SUB, stream_ack_deadline_seconds=60, max_outstanding_messages=3
        )
    )
    stream = lab.subscriber.streaming_pull(requests=iter(requests.get, None))
    batch = next(stream).received_messages
    assert len(batch) == 3
    assert backlog(lab.host, SUB) == Backlog(undelivered=7, outstanding=3, acked=0, dead_lettered=0)
    requests.put(types.StreamingPullRequest(ack_ids=[each.ack_id for each in batch[:2]]))
    assert len(next(stream).received_messages) in (1, 2)
    assert backlog(lab.host, SUB).outstanding <= 3
    requests.put(None)


def test_a_stream_holds_no_more_bytes_than_its_flow_control_allows(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    lab.publish(*[b"x" * 1000] * 5)
    requests: queue.Queue[Any] = queue.Queue()
    first = types.StreamingPullRequest(
        subscription=SUB, stream_ack_deadline_seconds=60, max_outstanding_bytes=2500
    )
    requests.put(first)
    stream = lab.subscriber.streaming_pull(requests=iter(requests.get, None))
    assert len(next(stream).received_messages) == 3
    requests.put(None)


def test_leases_are_extended_and_dropped_inside_the_stream(fast_lab: Lab) -> None:
    fast_lab.topic()
    fast_lab.subscription(ack_deadline_seconds=600)
    fast_lab.publish(b"x")
    requests: queue.Queue[Any] = queue.Queue()
    requests.put(types.StreamingPullRequest(subscription=SUB, stream_ack_deadline_seconds=10))
    stream = fast_lab.subscriber.streaming_pull(requests=iter(requests.get, None))
    (first,) = next(stream).received_messages
    # The stream's own deadline of 10 s holds, not the subscription's.
    (second,) = next(stream).received_messages
    assert second.message.message_id == first.message.message_id
    requests.put(
        types.StreamingPullRequest(modify_deadline_ack_ids=[second.ack_id], modify_deadline_seconds=[600])
    )
    requests.put(
        types.StreamingPullRequest(modify_deadline_ack_ids=[second.ack_id], modify_deadline_seconds=[0])
    )
    (third,) = next(stream).received_messages
    assert third.message.message_id == first.message.message_id
    requests.put(types.StreamingPullRequest(ack_ids=[third.ack_id]))
    requests.put(None)
    assert list(stream) == []
    assert backlog(fast_lab.host, SUB).acked == 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"subscription": SUB}, "subscription may be set on the first request"),
        ({"max_outstanding_messages": 5}, "max_outstanding_messages may be set on the first request"),
        ({"stream_ack_deadline_seconds": 9}, "minimum value is 10"),
        ({"modify_deadline_ack_ids": ["1-1-1"]}, "there must be one for each"),
        ({"ack_ids": ["nonsense"]}, "invalid ack ID"),
    ],
)
def test_a_bad_request_ends_the_stream_with_its_reason(
    lab: Lab, settings: dict[str, Any], reason: str
) -> None:
    lab.topic()
    lab.subscription()
    requests: queue.Queue[Any] = queue.Queue()
    requests.put(types.StreamingPullRequest(subscription=SUB, stream_ack_deadline_seconds=60))
    requests.put(types.StreamingPullRequest(**settings))
    stream = lab.subscriber.streaming_pull(requests=iter(requests.get, None))
    with pytest.raises(exceptions.InvalidArgument, match=reason):
        next(stream)
    requests.put(None)


def test_deleting_a_subscription_ends_its_streams(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    future = lab.subscriber.subscribe(SUB, lambda message: message.ack())
    lab.publish(b"x")
    until(lambda: backlog(lab.host, SUB).acked == 1)
    lab.subscriber.delete_subscription(subscription=SUB)
    with pytest.raises(exceptions.NotFound, match="enrich"):
        future.result(10)
