"""Message ordering: the rules against a clock that only the test moves, and the official client as their judge.

Rules: https://cloud.google.com/pubsub/docs/ordering
"""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import pytest
from google.cloud import pubsub_v1
from hypothesis import given
from hypothesis import strategies as st
from meshlab.cloud.pubsub import Backlog, backlog
from meshlab.cloud.pubsub.delivery_leases import Client, Consumer, Lease
from meshlab.cloud.pubsub.delivery_rules import Backoff, DeadLetter, Policy
from meshlab.cloud.pubsub.messages import Message, raw, to_messages
from meshlab.cloud.pubsub.subscription import Subscription

from tests.lab.cloud.pubsub_lab import SUB, Lab, Stream, connected, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.pubsub_v1.subscriber.message import Message as PulledMessage

T = 1_000_000.0


class Bench:
    """An ordered subscription. A message is called by its key and its number: `a1`, `a2`, `b1`; `-1` has no key."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.dead: list[str] = []
        self.subscription = Subscription(policy or Policy(ordering=True), self._forward)
        self.worker = Consumer()

    def _forward(self, message: Message, attempts: int, now_s: float) -> bool:
        self.dead.append(text(message))
        return True

    def add(self, *names: str) -> None:
        published = [
            raw("PubsubMessage")(data=name.encode(), ordering_key=name[0].strip("-")) for name in names
        ]
        self.subscription.add(to_messages(published, iter(range(len(names))), T))

    def take(self, at: float = T, room: int = 100, consumer: Consumer | None = None) -> list[Lease]:
        self.subscription.advance(at)
        return self.subscription.lease(at, consumer=consumer or self.worker, max_messages=room)

    def ack(self, *leases: Lease) -> None:
        self.subscription.ack([lease.ack_id for lease in leases])

    def nack(self, *leases: Lease, at: float = T) -> None:
        self.subscription.modify_deadline([lease.ack_id for lease in leases], 0, at)


def text(message: Message) -> str:
    return str(message.parsed().data.decode())


def names(leases: list[Lease]) -> list[str]:
    return [text(lease.message) for lease in leases]


def test_the_messages_of_a_key_come_in_order_whatever_lies_between() -> None:
    bench = Bench()
    bench.add("a1", "b1", "-1", "a2", "b2", "a3")
    assert names(bench.take(room=2)) == ["a1", "b1"]
    assert names(bench.take()) == ["-1", "a2", "b2", "a3"]


def test_while_one_is_outstanding_the_others_of_its_key_go_to_no_other_consumer() -> None:
    bench = Bench()
    bench.add("a1", "a2", "b1", "-1")
    (first,) = bench.take(room=1)
    other = Consumer()
    assert names(bench.take(consumer=other)) == ["b1", "-1"]
    assert names(bench.take()) == ["a2"]
    bench.add("a3")
    assert bench.take(consumer=other) == []
    bench.ack(first)
    assert bench.take(consumer=other) == []


def test_once_none_is_outstanding_any_consumer_may_have_the_key() -> None:
    bench = Bench()
    bench.add("a1", "a2")
    (first,) = bench.take(room=1)
    other = Consumer()
    assert bench.take(consumer=other) == []
    bench.ack(first)
    assert names(bench.take(consumer=other)) == ["a2"]
    bench.add("a3")
    assert bench.take() == []


def test_another_stream_of_the_same_client_takes_over_its_keys() -> None:
    bench = Bench()
    bench.add("a1", "a2")
    bench.take(room=1)
    assert names(bench.take(consumer=Consumer(bench.worker.client))) == ["a2"]


def test_a_nack_brings_back_all_later_ones_of_its_key_even_acknowledged_ones_and_no_others() -> None:
    bench = Bench()
    bench.add("a1", "a2", "a3", "a4", "b1")
    a1, a2, a3, a4, b1 = bench.take()
    bench.ack(a3)
    bench.nack(a2)
    again = bench.take()
    assert names(again) == ["a2", "a3", "a4"]
    assert [lease.attempt for lease in again] == [2, 1, 1]
    bench.ack(a4)
    assert bench.subscription.backlog == Backlog(undelivered=0, outstanding=5, acked=0, dead_lettered=0)
    bench.ack(a1, b1, *again)
    assert bench.subscription.backlog == Backlog(undelivered=0, outstanding=0, acked=5, dead_lettered=0)
    assert bench.take(T + 10_000) == []


def test_nothing_new_of_a_key_overtakes_what_came_back() -> None:
    bench = Bench()
    bench.add("a1", "a2")
    (a1,) = bench.take(room=1)
    bench.nack(a1)
    bench.add("a3")
    assert names(bench.take(consumer=Consumer())) == ["a1", "a2", "a3"]


def test_a_missed_deadline_is_like_a_nack_and_each_that_misses_it_has_failed() -> None:
    bench = Bench(Policy(ordering=True, ack_deadline_s=10))
    bench.add("a1", "a2")
    bench.take()
    assert bench.take(T + 9.9) == []
    again = bench.take(T + 10)
    assert names(again) == ["a1", "a2"]
    assert [lease.attempt for lease in again] == [2, 2]


def test_one_missed_deadline_ends_the_leases_behind_it() -> None:
    bench = Bench(Policy(ordering=True, ack_deadline_s=10))
    bench.add("a1", "a2")
    _, a2 = bench.take()
    bench.subscription.modify_deadline([a2.ack_id], 600, T)
    again = bench.take(T + 10)
    assert names(again) == ["a1", "a2"]
    assert [lease.attempt for lease in again] == [2, 1]
    assert bench.worker.messages == 2


def test_a_backoff_holds_up_the_whole_key_and_no_other() -> None:
    bench = Bench(Policy(ordering=True, ack_deadline_s=600, retry=Backoff(10, 60)))
    bench.add("a1", "a2", "b1")
    bench.nack(bench.take()[0])
    bench.add("a3", "b2")
    assert names(bench.take(T + 9.9)) == ["b2"]
    assert bench.subscription.next_event_s() == T + 10
    assert names(bench.take(T + 10)) == ["a1", "a2", "a3"]


def test_a_second_failure_of_a_key_that_rests_makes_the_longer_rest_count() -> None:
    bench = Bench(Policy(ordering=True, ack_deadline_s=600, retry=Backoff(10, 60)))
    bench.add("a1", "a2")
    a1, a2 = bench.take()
    bench.nack(a2)
    bench.nack(a1, at=T + 5)
    assert bench.take(T + 10) == []
    assert names(bench.take(T + 15)) == ["a1", "a2"]


def test_a_dead_letter_lets_its_key_go_on() -> None:
    bench = Bench(Policy(ordering=True, dead_letter=DeadLetter("projects/p/topics/dead", 5)))
    bench.add("a1", "a2")
    for _ in range(5):
        bench.nack(bench.take()[0])
    assert bench.dead == ["a1"]
    assert names(bench.take()) == ["a2"]


def test_a_consumer_that_takes_one_of_a_key_at_a_time_gets_the_next_after_the_ack() -> None:
    bench = Bench()
    pusher = Consumer(Client(one_per_key=True))
    bench.add("a1", "a2", "a3", "b1")
    a1, b1 = bench.take(consumer=pusher)
    assert names([a1, b1]) == ["a1", "b1"]
    assert bench.take(consumer=pusher) == []
    bench.ack(a1)
    (a2,) = bench.take(consumer=pusher)
    bench.nack(a2)
    assert names(bench.take(consumer=pusher)) == ["a2"]


def test_without_ordering_a_key_means_nothing() -> None:
    bench = Bench(Policy())
    bench.add("a1", "a2")
    (a1,) = bench.take(room=1)
    assert names(bench.take(consumer=Consumer())) == ["a2"]
    bench.nack(a1)
    assert names(bench.take()) == ["a1"]


def test_a_key_that_is_done_leaves_nothing_behind() -> None:
    bench = Bench()
    for number in range(100):
        bench.add(f"a{number}", "b1", "c1")
        first, *others = bench.take()
        bench.nack(first)
        bench.ack(*others, *bench.take())
    assert list(bench.subscription._lanes) == []
    assert (bench.worker.client.keys, len(bench.worker.client.offers)) == (0, 0)


_STEP = st.sampled_from(["publish", "take", "take elsewhere", "ack", "ack last", "nack", "wait"])


@given(st.lists(st.tuples(_STEP, st.integers(0, 20)), max_size=60), st.booleans())
def test_whatever_happens_a_key_s_messages_come_in_order_and_step_back_only_to_come_again(
    steps: list[tuple[str, int]], exactly_once: bool
) -> None:
    bench = Bench(Policy(ordering=True, exactly_once=exactly_once, ack_deadline_s=10, retry=Backoff(1, 4)))
    now, published = T, {"a": 0, "b": 0}
    latest = {"a": 0, "b": 0}
    done = {"a": 0, "b": 0}
    held: list[Lease] = []
    consumers = {"take": bench.worker, "take elsewhere": Consumer()}

    def take(consumer: Consumer, room: int) -> None:
        for lease in bench.take(now, room, consumer):
            key, number = text(lease.message)[0], int(text(lease.message)[1:])
            assert number <= latest[key] + 1
            if exactly_once:
                assert number > done[key], "an acknowledged message came back"
            latest[key] = number
            held.append(lease)

    def ack(lease: Lease) -> None:
        refused = bench.subscription.ack([lease.ack_id])
        key, number = text(lease.message)[0], int(text(lease.message)[1:])
        if exactly_once and not refused:
            assert number == done[key] + 1 or number <= done[key]
            done[key] = max(done[key], number)

    for step, pick in steps:
        match step:
            case "publish":
                key = "ab"[pick % 2]
                published[key] += 1
                bench.add(f"{key}{published[key]}")
            case "take" | "take elsewhere":
                take(consumers[step], 1 + pick % 4)
            case "ack" if held:
                ack(held.pop(pick % len(held)))
            case "ack last" if held:
                ack(held.pop())
            case "nack" if held:
                bench.nack(held.pop(pick % len(held)), at=now)
            case "wait":
                now += pick
    for _ in range(1000):
        if not bench.subscription.backlog.unacked:
            break
        now += 60
        held.clear()
        take(bench.worker, 100)
        for lease in held:
            ack(lease)
    assert bench.subscription.backlog == Backlog(0, 0, sum(published.values()), 0)
    assert list(bench.subscription._lanes) == []


# The official client


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    yield from connected(monkeypatch, 1.0)


def test_the_official_client_gets_each_key_in_order_across_nacks(lab: Lab) -> None:
    lab.topic()
    lab.subscription(enable_message_ordering=True)
    publisher = pubsub_v1.PublisherClient(
        publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    )
    seen: queue.Queue[tuple[str, int]] = queue.Queue()
    nacked: set[tuple[str, int]] = set()

    def callback(message: PulledMessage) -> None:
        what = (message.ordering_key, int(message.data))
        if what[1] % 7 == 3 and what not in nacked:
            nacked.add(what)
            message.nack()
        else:
            seen.put(what)
            message.ack()

    futures = [
        publisher.publish("projects/meshpass-lab/topics/events", b"%d" % number, ordering_key=key)
        for number in range(20)
        for key in ("a", "b")
    ]
    for future in futures:
        future.result(10)
    pulling = lab.subscriber.subscribe(SUB, callback)
    until(lambda: backlog(lab.host, SUB).acked == 40)
    pulling.cancel()
    pulling.result(10)
    publisher.stop()
    publisher.transport.close()
    got: dict[str, list[int]] = {"a": [], "b": []}
    while not seen.empty():
        key, number = seen.get()
        got[key].append(number)
    for numbers in got.values():
        # The client has the later ones already when it nacks one, and shows them before the redelivery.
        assert list(dict.fromkeys(reversed(numbers))) == list(reversed(range(20)))


def test_a_pull_takes_a_batch_of_a_key_and_the_next_pull_nothing_of_it(lab: Lab) -> None:
    lab.topic()
    lab.subscription(enable_message_ordering=True)
    lab.publish_batch([{"data": b"%d" % n, "ordering_key": "a"} for n in range(4)])
    lab.publish_batch([{"data": b"other", "ordering_key": "b"}])
    batch = lab.pull(most=2)
    assert [each.message.data for each in batch] == [b"0", b"1"]
    assert [each.message.data for each in lab.pull()] == [b"other"]
    lab.ack(batch)
    assert [each.message.data for each in lab.pull()] == [b"2", b"3"]


def test_a_stream_that_comes_back_with_its_client_id_goes_on_with_its_keys(lab: Lab) -> None:
    lab.topic()
    lab.subscription(enable_message_ordering=True)
    lab.publish_batch([{"data": b"%d" % n, "ordering_key": "a"} for n in range(2)])
    first = Stream(lab, client_id="one", max_outstanding_messages=1)
    (held,) = first.take(1)
    first.end()
    stranger = Stream(lab, client_id="two")
    again = Stream(lab, client_id="one")
    (second,) = again.take(1)
    assert (held.message.data, second.message.data) == (b"0", b"1")
    assert again.end() == stranger.end() == []


def test_an_ordered_subscription_says_so_in_every_response(lab: Lab) -> None:
    lab.topic()
    lab.subscription(enable_message_ordering=True)
    lab.publish(b"x")
    stream = Stream(lab)
    assert stream.next().subscription_properties.message_ordering_enabled
    assert not stream.end()
