"""Exactly-once delivery: the rules, and the official client as their judge.

Rules: https://cloud.google.com/pubsub/docs/exactly-once-delivery
"""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeError, AcknowledgeStatus
from google.pubsub_v1 import types
from meshlab.cloud.pubsub import Backlog, PullFaults, backlog, fail_pull, pull_counts
from meshlab.cloud.pubsub.delivery_leases import Consumer, Lease
from meshlab.cloud.pubsub.delivery_rules import Policy
from meshlab.cloud.pubsub.messages import raw, to_messages
from meshlab.cloud.pubsub.subscription import Subscription

from tests.lab.cloud.pubsub_lab import SUB, Lab, Stream, connected, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.cloud.pubsub_v1.subscriber.message import Message as PulledMessage

T = 1_000_000.0
INVALID = "PERMANENT_FAILURE_INVALID_ACK_ID"
UNORDERED = "TRANSIENT_FAILURE_UNORDERED_ACK_ID"


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    yield from connected(monkeypatch, 1.0)


@pytest.fixture
def fast_lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    yield from connected(monkeypatch, 100.0)


def exactly_once(lab: Lab, **settings: Any) -> None:  # noqa: ANN401 - fields of a subscription
    lab.topic()
    lab.subscription(enable_exactly_once_delivery=True, **settings)


def reasons(call: Callable[[], object], error: type[exceptions.GoogleAPICallError]) -> dict[str, str]:
    """Return what the error says of each ack ID."""
    with pytest.raises(error) as caught:
        call()
    assert caught.value.reason == "EXACTLY_ONCE_ACKID_FAILURE"
    assert caught.value.domain == "pubsub.googleapis.com"
    return dict(caught.value.metadata)


def test_only_the_latest_ack_id_of_a_message_is_valid(lab: Lab) -> None:
    exactly_once(lab)
    lab.publish(b"x")
    (first,) = lab.pull()
    lab.nack([first])
    (second,) = lab.pull()
    for call in (lab.ack, lab.nack):
        found = reasons(lambda call=call: call([first]), exceptions.InvalidArgument)  # type: ignore[misc]
        assert found == {first.ack_id: INVALID}
    lab.ack([second])
    assert backlog(lab.host, SUB) == Backlog(undelivered=0, outstanding=0, acked=1, dead_lettered=0)


def test_what_is_acknowledged_may_be_acknowledged_again_but_not_nacked(lab: Lab) -> None:
    exactly_once(lab)
    lab.publish(b"x")
    received = lab.pull()
    lab.ack(received)
    lab.ack(received)
    assert list(reasons(lambda: lab.nack(received), exceptions.InvalidArgument).values()) == [INVALID]
    assert backlog(lab.host, SUB).acked == 1


def test_the_valid_ack_ids_of_a_request_take_effect_and_the_others_are_named(lab: Lab) -> None:
    exactly_once(lab)
    lab.publish(b"one", b"two")
    one, two = lab.pull()
    ids = [one.ack_id, "nonsense", "9-9-9", two.ack_id]
    found = reasons(
        lambda: lab.subscriber.acknowledge(subscription=SUB, ack_ids=ids), exceptions.InvalidArgument
    )
    assert found == {"nonsense": INVALID, "9-9-9": INVALID}
    assert backlog(lab.host, SUB).acked == 2


def test_an_ack_after_the_deadline_is_invalid_and_a_message_that_is_held_does_not_come_back(
    fast_lab: Lab,
) -> None:
    exactly_once(fast_lab)
    fast_lab.publish(b"x")
    (held,) = fast_lab.pull()
    fast_lab.modack([held], 600)
    assert fast_lab.pull() == []
    fast_lab.modack([held], 10)
    again = list[Any]()

    def came_back() -> bool:
        again.extend(fast_lab.pull())
        return bool(again)

    until(came_back)
    assert reasons(lambda: fast_lab.ack([held]), exceptions.InvalidArgument) == {held.ack_id: INVALID}
    fast_lab.ack(again)


def test_without_it_a_late_ack_is_answered_ok_and_has_no_effect(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    lab.publish(b"x")
    received = lab.pull()
    lab.nack(received)
    lab.ack(received)
    assert backlog(lab.host, SUB).unacked == 1


def test_it_can_be_turned_on_and_off(lab: Lab) -> None:
    lab.topic()
    lab.subscription()
    lab.publish(b"x")
    stream = Stream(lab)
    assert not stream.next().subscription_properties.exactly_once_delivery_enabled
    for on in (True, False):
        lab.subscriber.update_subscription(
            subscription=types.Subscription(name=SUB, enable_exactly_once_delivery=on),
            update_mask={"paths": ["enable_exactly_once_delivery"]},
        )
        lab.publish(b"y")
        assert stream.next().subscription_properties.exactly_once_delivery_enabled is on
    stream.end()


def test_a_stream_confirms_each_ack_id(lab: Lab) -> None:
    exactly_once(lab)
    lab.publish(b"one", b"two", b"three")
    stream = Stream(lab)
    one, two, three = (each.ack_id for each in stream.take(3))
    stream.send(ack_ids=[one, "nonsense"])
    response = stream.next()
    assert response.subscription_properties.exactly_once_delivery_enabled
    assert list(response.acknowledge_confirmation.ack_ids) == [one]
    assert list(response.acknowledge_confirmation.invalid_ack_ids) == ["nonsense"]
    stream.send(modify_deadline_ack_ids=[two, one], modify_deadline_seconds=[60, 60])
    confirmation = stream.next().modify_ack_deadline_confirmation
    assert (list(confirmation.ack_ids), list(confirmation.invalid_ack_ids)) == ([two], [one])
    fail_pull(lab.host, SUB, PullFaults(lost_ack_share=1.0))
    stream.send(ack_ids=[three])
    assert list(stream.next().acknowledge_confirmation.temporary_failed_ack_ids) == [three]
    assert stream.end() == []
    assert backlog(lab.host, SUB) == Backlog(undelivered=0, outstanding=2, acked=1, dead_lettered=0)


# With message ordering


def ordered(lab: Lab, count: int) -> list[Any]:
    exactly_once(lab, enable_message_ordering=True)
    lab.publish_batch([{"data": b"%d" % number, "ordering_key": "a"} for number in range(count)])
    return lab.pull()


def test_an_ack_before_that_of_an_earlier_message_of_its_key_is_refused_for_now(lab: Lab) -> None:
    first, second = ordered(lab, 2)
    found = reasons(lambda: lab.ack([second]), exceptions.FailedPrecondition)
    assert found == {second.ack_id: UNORDERED}
    lab.ack([first])
    lab.ack([second])
    assert backlog(lab.host, SUB).acked == 2


def test_acks_of_one_request_may_come_in_any_order(lab: Lab) -> None:
    lab.ack(list(reversed(ordered(lab, 3))))
    assert backlog(lab.host, SUB).acked == 3


def test_a_stream_names_what_was_out_of_order(lab: Lab) -> None:
    exactly_once(lab, enable_message_ordering=True)
    lab.publish_batch([{"data": b"%d" % number, "ordering_key": "a"} for number in range(2)])
    stream = Stream(lab)
    _, second = stream.take(2)
    stream.send(ack_ids=[second.ack_id])
    assert list(stream.next().acknowledge_confirmation.unordered_ack_ids) == [second.ack_id]
    stream.end()


def test_a_nack_makes_the_ack_ids_of_the_later_ones_invalid(lab: Lab) -> None:
    first, second = ordered(lab, 2)
    lab.nack([first])
    assert reasons(lambda: lab.ack([second]), exceptions.InvalidArgument) == {second.ack_id: INVALID}
    assert [each.message.data for each in lab.pull()] == [b"0", b"1"]


# The official client


def test_the_official_client_learns_what_became_of_its_acks(lab: Lab) -> None:
    exactly_once(lab, ack_deadline_seconds=60)
    messages: queue.Queue[PulledMessage] = queue.Queue()
    pulling = lab.subscriber.subscribe(SUB, messages.put)
    lab.publish(b"x")
    first = messages.get(timeout=10)
    assert first.nack_with_response().result(10) is AcknowledgeStatus.SUCCESS
    second = messages.get(timeout=10)
    assert second.message_id == first.message_id
    with pytest.raises(AcknowledgeError) as late:
        first.ack_with_response().result(10)
    assert late.value.error_code is AcknowledgeStatus.INVALID_ACK_ID
    assert second.ack_with_response().result(10) is AcknowledgeStatus.SUCCESS
    assert backlog(lab.host, SUB).acked == 1
    pulling.cancel()
    pulling.result(10)


def test_the_official_client_repeats_an_ack_until_its_answer_comes_through(lab: Lab) -> None:
    exactly_once(lab, ack_deadline_seconds=60)
    messages: queue.Queue[PulledMessage] = queue.Queue()
    pulling = lab.subscriber.subscribe(SUB, messages.put)
    lab.publish(b"x")
    message = messages.get(timeout=10)
    fail_pull(lab.host, SUB, PullFaults(lost_answer_share=1.0))
    acked = message.ack_with_response()
    until(lambda: pull_counts(lab.host, SUB).lost_answers > 0)
    # It took effect, and the client does not know.
    assert backlog(lab.host, SUB).acked == 1
    fail_pull(lab.host, SUB, PullFaults())
    assert acked.result(10) is AcknowledgeStatus.SUCCESS
    assert backlog(lab.host, SUB).acked == 1
    pulling.cancel()
    pulling.result(10)


def test_an_ack_that_was_lost_was_not_confirmed(lab: Lab) -> None:
    exactly_once(lab, ack_deadline_seconds=60)
    messages: queue.Queue[PulledMessage] = queue.Queue()
    pulling = lab.subscriber.subscribe(SUB, messages.put)
    lab.publish(b"x")
    message = messages.get(timeout=10)
    fail_pull(lab.host, SUB, PullFaults(lost_ack_share=1.0))
    acked = message.ack_with_response()
    until(lambda: pull_counts(lab.host, SUB).lost_acks > 0)
    assert not acked.done()
    assert backlog(lab.host, SUB).acked == 0
    fail_pull(lab.host, SUB, PullFaults())
    assert acked.result(10) is AcknowledgeStatus.SUCCESS
    pulling.cancel()
    pulling.result(10)


# Memory


def take(subscription: Subscription, count: int) -> list[Lease]:
    published = [raw("PubsubMessage")(data=b"x") for _ in range(count)]
    subscription.add(to_messages(published, iter(range(count)), T))
    return subscription.lease(T, consumer=Consumer(), max_messages=count)


def test_what_is_kept_of_acknowledged_messages_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshlab.cloud.pubsub.subscription._REMEMBERED_ACKS", 10)
    subscription = Subscription(Policy(exactly_once=True), lambda *_: False)
    leases = take(subscription, 25)
    for lease in leases:
        assert not subscription.ack([lease.ack_id])
    assert not subscription.ack([lease.ack_id for lease in leases[15:]])
    assert subscription.ack([leases[14].ack_id]).invalid == [leases[14].ack_id]


def test_without_it_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    subscription = Subscription(Policy(), lambda *_: False)
    leases = take(subscription, 5)
    subscription.ack([lease.ack_id for lease in leases])
    kept = (subscription._recent_acks._ids, subscription._leases, subscription._ready)
    assert [len(each) for each in kept] == [0, 0, 0]
