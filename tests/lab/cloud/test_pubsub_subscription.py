"""The state machine of a subscription, against a clock that only the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshlab.cloud.pubsub.delivery_leases import Consumer, Lease
from meshlab.cloud.pubsub.delivery_rules import Backoff, DeadLetter, Policy
from meshlab.cloud.pubsub.errors import InvalidArgumentError
from meshlab.cloud.pubsub.messages import Message, raw, to_messages
from meshlab.cloud.pubsub.subscription import Subscription

T = 1_000_000.0


def message(name: str, *, size: int = 0) -> Message:
    """A message with that name as its ID, and, if it is asked for, of so many bytes."""
    (made,) = to_messages([raw("PubsubMessage")(data=b"x")], iter([0]), T)
    wanted = made.parsed()
    wanted.message_id = name
    received = raw("ReceivedMessage")(message=wanted)
    if size:
        received.message.data += b"x" * (size - received.ByteSize())
    assert not size or received.ByteSize() == size
    return Message(received.SerializeToString())


class Bench:
    """A subscription, and the dead letters it has forwarded."""

    def __init__(self, policy: Policy | None = None, *, accepts_dead_letters: bool = True) -> None:
        self.dead: list[tuple[str, int]] = []
        self.accepts_dead_letters = accepts_dead_letters
        self.subscription = Subscription(policy or Policy(), self._forward)

    def _forward(self, message: Message, attempts: int, now_s: float) -> bool:
        if self.accepts_dead_letters:
            self.dead.append((message.message_id, attempts))
        return self.accepts_dead_letters

    def add(self, *ids: str, size: int = 0) -> None:
        self.subscription.add([message(message_id, size=size) for message_id in ids])

    def take(self, at: float, room: int = 100, consumer: Consumer | None = None) -> list[Lease]:
        self.subscription.advance(at)
        return self.subscription.lease(at, consumer=consumer or Consumer(), max_messages=room)

    def nack(self, lease: Lease, at: float) -> None:
        self.subscription.modify_deadline([lease.ack_id], 0, at)


def ids(leases: list[Lease]) -> list[str]:
    return [lease.message.message_id for lease in leases]


def test_messages_are_handed_out_oldest_first_and_only_once() -> None:
    bench = Bench()
    bench.add("a", "b", "c")
    assert ids(bench.take(T, room=2)) == ["a", "b"]
    assert ids(bench.take(T)) == ["c"]
    assert bench.take(T) == []


def test_an_acknowledged_message_never_comes_back() -> None:
    bench = Bench()
    bench.add("a")
    bench.subscription.ack([bench.take(T)[0].ack_id])
    assert bench.take(T + 10_000) == []
    assert bench.subscription.next_event_s() is None
    assert bench.subscription.backlog.acked == 1


def test_a_message_comes_back_at_its_ack_deadline_and_not_before() -> None:
    bench = Bench(Policy(ack_deadline_s=10))
    bench.add("a")
    bench.take(T)
    assert bench.subscription.next_event_s() == T + 10
    assert bench.take(T + 9.9) == []
    (again,) = bench.take(T + 10)
    assert again.attempt == 2


def test_an_extended_deadline_counts_from_the_extension() -> None:
    bench = Bench(Policy(ack_deadline_s=10))
    bench.add("a")
    (lease,) = bench.take(T)
    bench.subscription.modify_deadline([lease.ack_id], 60, T + 9)
    assert bench.take(T + 68) == []
    assert bench.subscription.next_event_s() == T + 69
    assert ids(bench.take(T + 69)) == ["a"]


def test_a_shortened_deadline_counts_too() -> None:
    bench = Bench(Policy(ack_deadline_s=600))
    bench.add("a")
    (lease,) = bench.take(T)
    bench.subscription.modify_deadline([lease.ack_id], 10, T)
    assert ids(bench.take(T + 10)) == ["a"]


def test_a_nack_brings_the_message_back_at_once() -> None:
    bench = Bench()
    bench.add("a")
    bench.nack(bench.take(T)[0], T)
    assert ids(bench.take(T)) == ["a"]


def test_a_retry_policy_doubles_the_rest_after_each_failure_up_to_its_maximum() -> None:
    bench = Bench(Policy(retry=Backoff(10, 35)))
    bench.add("a")
    now = T
    for rest_s in (10, 20, 35, 35):
        bench.nack(bench.take(now)[0], now)
        assert bench.subscription.next_event_s() == now + rest_s
        assert bench.take(now + rest_s - 0.1) == []
        now += rest_s


def test_a_missed_deadline_rests_like_a_nack() -> None:
    bench = Bench(Policy(ack_deadline_s=10, retry=Backoff(30, 600)))
    bench.add("a")
    bench.take(T)
    assert bench.take(T + 10) == []
    assert ids(bench.take(T + 40)) == ["a"]


def test_push_rests_100_ms_then_longer_without_a_retry_policy() -> None:
    bench = Bench(Policy(push_endpoint="http://127.0.0.1:1/"))
    bench.add("a")
    bench.nack(bench.take(T)[0], T)
    assert bench.subscription.next_event_s() == T + 0.1
    bench.nack(bench.take(T + 0.1)[0], T + 1)
    assert bench.subscription.next_event_s() == T + 1.2


def test_the_fifth_failure_of_five_makes_a_dead_letter() -> None:
    bench = Bench(Policy(dead_letter=DeadLetter("projects/p/topics/dead", 5)))
    bench.add("a")
    for attempt in (1, 2, 3, 4, 5):
        (lease,) = bench.take(T)
        assert lease.attempt == attempt
        assert bench.dead == []
        bench.nack(lease, T)
    assert bench.dead == [("a", 5)]
    assert bench.take(T + 10_000) == []
    assert bench.subscription.backlog.dead_lettered == 1
    assert bench.subscription.backlog.acked == 0


def test_missed_deadlines_use_up_attempts_too() -> None:
    bench = Bench(Policy(ack_deadline_s=10, dead_letter=DeadLetter("projects/p/topics/dead", 5)))
    bench.add("a")
    for n in range(5):
        assert len(bench.take(T + 10 * n)) == 1
    assert bench.take(T + 50) == []
    assert bench.dead == [("a", 5)]


def test_a_dead_letter_that_is_not_taken_is_delivered_again_rather_than_lost() -> None:
    bench = Bench(Policy(dead_letter=DeadLetter("projects/p/topics/dead", 5)), accepts_dead_letters=False)
    bench.add("a")
    for _ in range(7):
        bench.nack(bench.take(T)[0], T)
    bench.accepts_dead_letters = True
    bench.nack(bench.take(T)[0], T)
    assert bench.dead == [("a", 8)]


def test_an_ack_after_the_deadline_does_not_settle_the_next_delivery() -> None:
    bench = Bench(Policy(ack_deadline_s=10))
    bench.add("a")
    (late,) = bench.take(T)
    bench.take(T + 10)
    bench.subscription.ack([late.ack_id])
    assert bench.subscription.backlog.outstanding == 1
    assert ids(bench.take(T + 20)) == ["a"]


def test_one_malformed_ack_id_refuses_the_whole_request() -> None:
    bench = Bench()
    bench.add("a")
    (lease,) = bench.take(T)
    with pytest.raises(InvalidArgumentError, match=r"invalid ack ID to the service \(ack_id=bogus\)"):
        bench.subscription.ack([lease.ack_id, "bogus"])
    assert bench.subscription.backlog.outstanding == 1


def test_an_ack_id_of_another_subscription_settles_nothing_here() -> None:
    policy = Policy()
    first = Subscription(policy, lambda *_: False, number=1)
    second = Subscription(policy, lambda *_: False, number=2)
    for subscription in (first, second):
        subscription.add([message("a")])
    (lease,) = first.lease(T, consumer=Consumer(), max_messages=1)
    second.lease(T, consumer=Consumer(), max_messages=1)
    second.ack([lease.ack_id])
    assert second.backlog.outstanding == 1


def test_a_consumer_is_charged_for_what_it_holds_and_no_longer() -> None:
    bench = Bench(Policy(ack_deadline_s=10))
    consumer = Consumer()
    bench.add("a", "b", "c", size=70)
    acked, nacked, _ = bench.take(T, consumer=consumer)
    assert (consumer.messages, consumer.size) == (3, 210)
    bench.subscription.ack([acked.ack_id])
    bench.nack(nacked, T)
    assert (consumer.messages, consumer.size) == (1, 70)
    bench.subscription.advance(T + 10)
    assert (consumer.messages, consumer.size) == (0, 0)


def test_the_byte_bound_lets_the_message_through_that_crosses_it() -> None:
    bench = Bench()
    bench.add("a", "b", "c", size=60)
    leases = bench.subscription.lease(T, consumer=Consumer(), max_messages=10, max_size=100)
    assert ids(leases) == ["a", "b"]


def test_a_new_policy_applies_to_messages_in_flight() -> None:
    bench = Bench()
    bench.add("a")
    (lease,) = bench.take(T)
    bench.subscription.policy = Policy(retry=Backoff(5, 5))
    bench.nack(lease, T)
    assert bench.subscription.next_event_s() == T + 5


def test_deadlines_of_settled_messages_do_not_pile_up() -> None:
    bench = Bench()
    for n in range(5000):
        bench.add(str(n))
        bench.subscription.ack([bench.take(T)[0].ack_id])
    assert len(bench.subscription._due) <= 1001


_STEP = st.sampled_from(["publish", "take", "ack", "nack", "extend", "wait"])


@given(st.lists(_STEP, max_size=60))
def test_whatever_happens_every_message_ends_acknowledged_or_dead_and_none_twice(steps: list[str]) -> None:
    bench = Bench(
        Policy(ack_deadline_s=10, retry=Backoff(1, 4), dead_letter=DeadLetter("projects/p/topics/dead", 5))
    )
    now, published, acked = T, 0, list[str]()
    held: list[Lease] = []

    def settle(lease: Lease) -> None:
        before = bench.subscription.backlog.acked
        bench.subscription.ack([lease.ack_id])
        if bench.subscription.backlog.acked > before:
            acked.append(lease.message.message_id)

    for step in steps:
        match step:
            case "publish":
                bench.add(str(published))
                published += 1
            case "take":
                held += bench.take(now, room=2)
            case "ack" if held:
                settle(held.pop(0))
            case "nack" if held:
                bench.nack(held.pop(), now)
            case "extend" if held:
                bench.subscription.modify_deadline([held[0].ack_id], 30, now)
            case "wait":
                now += 7
        counted = bench.subscription.backlog
        assert counted.unacked + counted.acked + counted.dead_lettered == published
    while bench.subscription.backlog.unacked:
        now += 60
        for lease in bench.take(now):
            settle(lease)
    finished = acked + [message_id for message_id, _ in bench.dead]
    assert sorted(finished, key=int) == [str(n) for n in range(published)]
