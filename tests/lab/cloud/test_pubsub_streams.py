"""Streaming pulls over their life, and the faults of pulling that a test orders, as the official client meets them."""

from __future__ import annotations

import asyncio
import queue
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.api_core import exceptions
from meshlab.cloud.pubsub import (
    Backlog,
    PullFaults,
    backlog,
    end_streams,
    fail_pull,
    pull_counts,
    streaming,
)
from meshlab.cloud.pubsub.acknowledging import Acknowledger
from meshlab.cloud.pubsub.clock import Clock
from meshlab.cloud.pubsub.errors import REFUSALS, StreamEndedError
from meshlab.cloud.pubsub.faults import STREAM_STATUSES, PullPlan
from meshlab.cloud.pubsub.hub import Hub
from meshlab.cloud.pubsub.messages import raw
from meshlab.cloud.pubsub.store import Entry, Store

from tests.lab.cloud.pubsub_lab import SUB, TOPIC, Lab, Stream, connected, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from google.cloud.pubsub_v1.subscriber.message import Message as PulledMessage

LONG_S = 1_000_000.0
"""Longer than any test."""


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    for lab in connected(monkeypatch, 1.0):
        lab.topic()
        lab.subscription()
        yield lab


@pytest.fixture
def fast_lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    for lab in connected(monkeypatch, 100.0):
        lab.topic()
        lab.subscription()
        yield lab


def opened(lab: Lab, **settings: Any) -> Stream:  # noqa: ANN401 - fields of a request
    """Open a stream, and return it once the fake has it."""
    before = pull_counts(lab.host, SUB).streams
    stream = Stream(lab, **settings)
    until(lambda: pull_counts(lab.host, SUB).streams > before)
    return stream


class StoppedClock(Clock):
    """A clock that only the test moves."""

    time_s = 1_000_000.0

    def now_s(self) -> float:
        return self.time_s


def stored() -> Entry:
    """Return a subscription without a server."""
    store = Store()
    store.create_topic(raw("Topic")(name=TOPIC))
    store.create_subscription(raw("Subscription")(name=SUB, topic=TOPIC))
    return store.entry(SUB)


# The end of a stream


@pytest.mark.parametrize("status", sorted(STREAM_STATUSES))
def test_all_streams_end_with_the_status_that_was_ordered(lab: Lab, status: str) -> None:
    first, second = opened(lab), opened(lab)
    assert end_streams(lab.host, SUB, status) == 2
    for stream in (first, second):
        with pytest.raises(exceptions.GoogleAPICallError) as caught:
            stream.next()
        assert caught.value.grpc_status_code is grpc.StatusCode[status]
    counts = pull_counts(lab.host, SUB)
    assert (counts.streams, counts.streams_opened, counts.streams_ended) == (0, 2, 2)


def test_a_stream_that_is_opened_afterwards_lives(lab: Lab) -> None:
    opened(lab)
    end_streams(lab.host, SUB)
    stream = Stream(lab)
    lab.publish(b"x")
    assert len(stream.take(1)) == 1
    stream.end()


def test_what_a_stream_held_when_it_ended_can_be_acknowledged_elsewhere(lab: Lab) -> None:
    lab.publish(b"x")
    stream = Stream(lab)
    held = stream.take(1)
    end_streams(lab.host, SUB)
    with pytest.raises(exceptions.ServiceUnavailable, match="8a75"):
        stream.next()
    assert backlog(lab.host, SUB).outstanding == 1
    lab.ack(held)
    assert backlog(lab.host, SUB).acked == 1


def test_the_official_client_opens_a_new_stream_and_goes_on(lab: Lab) -> None:
    seen: queue.Queue[bytes] = queue.Queue()

    def callback(message: PulledMessage) -> None:
        seen.put(message.data)
        message.ack()

    pulling = lab.subscriber.subscribe(SUB, callback)
    for body in (b"one", b"two"):
        lab.publish(body)
        assert seen.get(timeout=10) == body
        until(lambda: pull_counts(lab.host, SUB).streams == 1)
        end_streams(lab.host, SUB)
    until(lambda: pull_counts(lab.host, SUB).streams_opened == 3)
    until(lambda: backlog(lab.host, SUB).acked == 2)
    pulling.cancel()
    pulling.result(10)


def test_a_cancelled_stream_ends_the_official_client_s_pulling(lab: Lab) -> None:
    pulling = lab.subscriber.subscribe(SUB, lambda message: message.ack())
    until(lambda: pull_counts(lab.host, SUB).streams == 1)
    end_streams(lab.host, SUB, "CANCELLED")
    with pytest.raises(exceptions.Cancelled):
        pulling.result(10)


def test_each_stream_ends_at_its_age(fast_lab: Lab) -> None:
    fail_pull(fast_lab.host, SUB, PullFaults(stream_life_s=30, stream_status="INTERNAL"))
    for _ in range(2):
        stream = Stream(fast_lab)
        with pytest.raises(exceptions.InternalServerError):
            stream.next()


def test_an_age_counts_for_streams_that_are_open_already(fast_lab: Lab) -> None:
    stream = opened(fast_lab)
    fail_pull(fast_lab.host, SUB, PullFaults(stream_life_s=1))
    with pytest.raises(exceptions.ServiceUnavailable):
        stream.next()


def test_an_idle_stream_ends(fast_lab: Lab) -> None:
    fail_pull(fast_lab.host, SUB, PullFaults(idle_stream_s=10))
    with pytest.raises(exceptions.ServiceUnavailable):
        Stream(fast_lab).next()


def test_a_stream_whose_client_pings_is_not_idle() -> None:
    entry, clock = stored(), StoppedClock()
    entry.plan.order(PullFaults(idle_stream_s=60), clock.now_s())
    hub = Hub(Store(), clock, on_push=lambda _: None, on_gone=lambda _: None)
    first = raw("StreamingPullRequest")(stream_ack_deadline_seconds=60)
    stream = streaming.Stream(entry, first, clock, hub, Acknowledger(Store(), clock, hub))

    async def ping() -> AsyncIterator[Any]:
        yield raw("StreamingPullRequest")()

    for _ in range(3):
        clock.time_s += 59
        stream.check_end()
        asyncio.run(stream.read(ping()))
    clock.time_s += 61
    with pytest.raises(StreamEndedError):
        stream.check_end()


# The service is not available


def test_while_it_is_unavailable_every_call_of_a_consumer_says_so_and_then_all_is_well(lab: Lab) -> None:
    lab.publish(b"x")
    stream = Stream(lab)
    held = stream.take(1)
    fail_pull(lab.host, SUB, PullFaults(unavailable_s=LONG_S))
    with pytest.raises(exceptions.ServiceUnavailable):
        stream.next()
    with pytest.raises(exceptions.ServiceUnavailable):
        Stream(lab).next()
    ids = {"subscription": SUB, "ack_ids": [held[0].ack_id]}
    calls: tuple[Callable[[], object], ...] = (
        lambda: lab.subscriber.pull(subscription=SUB, max_messages=1, retry=None),
        lambda: lab.subscriber.acknowledge(request=ids, retry=None),
        lambda: lab.subscriber.modify_ack_deadline(request=ids, retry=None),
    )
    for call in calls:
        with pytest.raises(exceptions.ServiceUnavailable):
            call()
    assert pull_counts(lab.host, SUB).unavailable == 5
    fail_pull(lab.host, SUB, PullFaults())
    lab.ack(held)
    assert backlog(lab.host, SUB).acked == 1


def test_it_ends_by_itself(fast_lab: Lab) -> None:
    fast_lab.publish(b"x")
    fail_pull(fast_lab.host, SUB, PullFaults(unavailable_s=20))
    # The official client tries again until it works.
    assert len(fast_lab.pull()) == 1


@pytest.mark.parametrize("status", sorted(REFUSALS))
def test_a_caller_that_is_refused_hears_why_in_the_service_s_words(lab: Lab, status: str) -> None:
    stream = opened(lab)
    fail_pull(lab.host, SUB, PullFaults(refusal=status))
    calls: tuple[Callable[[], object], ...] = (
        stream.next,
        lambda: lab.subscriber.pull(subscription=SUB, max_messages=1, retry=None),
    )
    for call in calls:
        with pytest.raises(exceptions.GoogleAPICallError, match=REFUSALS[status]) as caught:
            call()
        assert caught.value.grpc_status_code is grpc.StatusCode[status]
    assert pull_counts(lab.host, SUB).refused == 2
    fail_pull(lab.host, SUB, PullFaults())
    lab.publish(b"x")
    assert len(lab.pull()) == 1


# Acknowledgements


def test_a_delayed_ack_takes_effect_later(fast_lab: Lab) -> None:
    fast_lab.publish(b"one", b"two")
    fail_pull(fast_lab.host, SUB, PullFaults(ack_delay_s=5))
    stream = Stream(fast_lab)
    one, two = stream.take(2)
    stream.send(ack_ids=[one.ack_id])
    fast_lab.ack([two])
    assert backlog(fast_lab.host, SUB).acked >= 1
    until(lambda: backlog(fast_lab.host, SUB).acked == 2)
    stream.end()


def test_an_ack_that_is_delayed_past_its_deadline_comes_too_late(fast_lab: Lab) -> None:
    fast_lab.publish(b"x")
    fail_pull(fast_lab.host, SUB, PullFaults(ack_delay_s=15))
    stream = Stream(fast_lab, stream_ack_deadline_seconds=10)
    (first,) = stream.take(1)
    stream.send(ack_ids=[first.ack_id])
    (second,) = stream.take(1)
    assert second.message.message_id == first.message.message_id
    stream.end()


def test_a_malformed_ack_id_ends_a_stream_whose_acks_are_delayed_too(fast_lab: Lab) -> None:
    fail_pull(fast_lab.host, SUB, PullFaults(ack_delay_s=1))
    stream = opened(fast_lab)
    stream.send(ack_ids=["nonsense"])
    with pytest.raises(exceptions.InvalidArgument, match="invalid ack ID"):
        stream.next()


def test_a_lost_ack_is_answered_ok_and_its_message_comes_back(fast_lab: Lab) -> None:
    fast_lab.publish(b"x")
    fail_pull(fast_lab.host, SUB, PullFaults(lost_ack_share=1.0))
    stream = Stream(fast_lab, stream_ack_deadline_seconds=10)
    (first,) = stream.take(1)
    fast_lab.ack([first])
    (second,) = stream.take(1)
    assert second.message.message_id == first.message.message_id
    assert pull_counts(fast_lab.host, SUB).lost_acks == 1
    fail_pull(fast_lab.host, SUB, PullFaults())
    stream.send(ack_ids=[second.ack_id])
    until(lambda: backlog(fast_lab.host, SUB).acked == 1)
    stream.end()


def test_a_lost_answer_means_that_the_ack_took_effect(lab: Lab) -> None:
    lab.publish(b"x")
    received = lab.pull()
    fail_pull(lab.host, SUB, PullFaults(lost_answer_share=1.0))
    with pytest.raises(exceptions.ServiceUnavailable):
        lab.subscriber.acknowledge(subscription=SUB, ack_ids=[received[0].ack_id], retry=None)
    assert backlog(lab.host, SUB).acked == 1
    fail_pull(lab.host, SUB, PullFaults())
    lab.ack(received)
    assert backlog(lab.host, SUB) == Backlog(undelivered=0, outstanding=0, acked=1, dead_lettered=0)


def test_the_same_seed_loses_the_same_acks() -> None:
    def lost(seed: int) -> set[str]:
        plan = PullPlan()
        plan.order(PullFaults(lost_ack_share=0.3, seed=seed), now_s=0.0)
        return plan.lost([str(number) for number in range(100)])

    assert lost(1) == lost(1) != lost(2)
    assert 10 < len(lost(1)) < 50


# Orders that are refused


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"nonsense": 1}, "There is no fault nonsense"),
        ({"lost_ack_share": 1.5}, "lost_ack_share must be a number, 0 or more and at most 1"),
        ({"lost_answer_share": True}, "lost_answer_share must be a number"),
        ({"unavailable_s": -1}, "unavailable_s must be a number, 0 or more"),
        ({"ack_delay_s": "1"}, "ack_delay_s must be a number"),
        ({"stream_life_s": float("inf")}, "stream_life_s must be a number"),
        ({"stream_status": "NOT_FOUND"}, "not with 'NOT_FOUND'"),
        ({"refusal": "NOT_FOUND"}, "refusal must be empty or one of"),
        ({"seed": 0.5}, "seed must be a whole number"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        PullFaults.from_json(order)


def test_the_fake_refuses_bad_orders_and_unknown_subscriptions(lab: Lab) -> None:
    with pytest.raises(grpc.RpcError, match="not with 'OK'") as caught:
        end_streams(lab.host, SUB, "OK")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with grpc.insecure_channel(lab.host) as channel:
        for order in (b'{"subscription": "%s", "faults": 1}', b'{"subscription": "%s", "faults": {"x": 1}}'):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary("/meshlab.Lab/FailPull")(order % SUB.encode(), timeout=5)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    missing = "projects/meshpass-lab/subscriptions/missing"
    for call in (
        lambda: fail_pull(lab.host, missing, PullFaults()),
        lambda: end_streams(lab.host, missing),
        lambda: pull_counts(lab.host, missing),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


# Requests of a stream


def test_a_ping_is_answered_where_the_client_speaks_protocol_version_1(lab: Lab) -> None:
    stream = Stream(lab, protocol_version=1)
    for _ in range(2):
        stream.send()
        response = stream.next()
        assert list(response.received_messages) == []
        assert "subscription_properties" in response
    stream.end()


def test_a_ping_of_an_older_client_is_taken_and_not_answered(lab: Lab) -> None:
    stream = Stream(lab)
    stream.send()
    lab.publish(b"x")
    stream.send()
    assert len(stream.next().received_messages) == 1
    assert stream.end() == []


def test_a_new_ack_deadline_of_a_stream_counts_for_what_is_sent_afterwards(fast_lab: Lab) -> None:
    stream = Stream(fast_lab, stream_ack_deadline_seconds=600, protocol_version=1)
    fast_lab.publish(b"long")
    stream.take(1)
    stream.send(stream_ack_deadline_seconds=10)
    stream.send()
    assert list(stream.next().received_messages) == []
    fast_lab.publish(b"short")
    assert [each.message.data for each in stream.take(2)] == [b"short", b"short"]
    stream.end()


def test_a_nack_makes_room_for_the_next_message(lab: Lab) -> None:
    lab.publish(b"one", b"two")
    stream = Stream(lab, max_outstanding_messages=1)
    (one,) = stream.take(1)
    assert one.message.data == b"one"
    stream.send(modify_deadline_ack_ids=[one.ack_id], modify_deadline_seconds=[0])
    (two,) = stream.take(1)
    assert two.message.data == b"two"
    stream.end()


def test_clients_that_are_gone_are_forgotten() -> None:
    entry = stored()
    pulling = entry.client("pulling")
    pulling.streams = 1
    for number in range(100):
        entry.client(str(number))
    assert len(entry.clients) == 2
    assert entry.client("pulling") is pulling
    assert entry.client("") is not entry.client("")
