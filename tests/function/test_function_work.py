"""The worker: each message is taken to its end once, in its order, within bounds, and answered once."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable

import pytest
from enrichment.core.received import Received
from enrichment.drivers.work.api import CallError
from enrichment.drivers.work.leased_message import LeasedMessage
from enrichment.drivers.work.worker import EVENT_MARGIN_S, MAX_WAIT_S, Limits, Worker
from enrichment.errors import Disposition, Outcome
from enrichment.event.message import Message
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from . import virtual_time
from .scripted_pubsub import Lines, ScriptedApi, leased

Handle = Callable[[str], Awaitable[Disposition]]
GOOD = (Disposition.WRITTEN, Disposition.DEAD_LETTERED, Disposition.DROPPED)


class Bench:
    """A worker over a scripted API, and what it did with each message."""

    def __init__(
        self, handle: Handle, *, messages: int = 256, size_bytes: int = 1 << 20, server_waits: bool = True
    ) -> None:
        self.api = ScriptedApi()
        self.lines = Lines()
        self.under_way: set[str] = set()
        self.most_under_way = 0
        self.began: list[str] = []
        self._handle = handle
        self.worker = Worker(
            self.api,
            self._take,
            Limits(messages, size_bytes, event_s=60, lease_s=30),
            self.lines.counters,
            self.lines.report,
            jitter=lambda: 1.0,
        )
        self.worker.server_waits = server_waits

    async def _take(self, received: Received) -> Outcome:
        assert isinstance(received.message, Message)
        name = received.message.message_id
        self.began.append(name)
        self.under_way.add(name)
        self.most_under_way = max(self.most_under_way, len(self.under_way))
        try:
            return Outcome(await self._handle(name))
        finally:
            self.under_way.discard(name)

    @property
    def answered(self) -> list[str]:
        return sorted((self.api.acked + self.api.nacked).elements())


async def written(_: str) -> Disposition:
    await asyncio.sleep(0.05)
    return Disposition.WRITTEN


def numbered(count: int, **fields: object) -> list[LeasedMessage]:
    return [leased(f"{number:04}", **fields) for number in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize("disposition", Disposition)
def test_the_outcome_decides_between_ack_and_nack(disposition: Disposition) -> None:
    async def work() -> None:
        async def handle(_: str) -> Disposition:
            return disposition

        bench = Bench(handle)
        await bench.worker.take(numbered(1))
        await asyncio.sleep(1)
        acked, nacked = (["0000"], []) if disposition in GOOD else ([], ["0000"])
        assert (list(bench.api.acked), list(bench.api.nacked)) == (acked, nacked)

    virtual_time.run(work())


def test_nothing_is_acknowledged_before_its_end() -> None:
    async def work() -> None:
        durable: set[str] = set()

        async def handle(name: str) -> Disposition:
            await asyncio.sleep(random.Random(name).random())
            durable.add(name)
            return Disposition.WRITTEN

        bench = Bench(handle)
        await bench.worker.take(numbered(200))
        while len(bench.api.acked) < 200:
            await asyncio.sleep(0.01)
            assert set(bench.api.acked) <= durable
        assert max(bench.api.acked.values()) == 1

    virtual_time.run(work())


def test_a_defect_of_the_core_nacks_and_is_logged() -> None:
    async def work() -> None:
        async def handle(_: str) -> Disposition:
            raise KeyError("a secret value")

        bench = Bench(handle)
        await bench.worker.take(numbered(1))
        await asyncio.sleep(1)
        assert list(bench.api.nacked) == ["0000"]
        (line,) = bench.lines.with_severity("ERROR")
        assert "KeyError" in line
        assert "secret" not in line

    virtual_time.run(work())


def test_messages_in_the_process_are_bounded_and_reading_waits() -> None:
    async def work() -> None:
        bench = Bench(written, messages=10)
        await bench.worker.take(numbered(25))
        reading = asyncio.ensure_future(bench.worker.room())
        await asyncio.sleep(0.08)
        assert not reading.done()
        await asyncio.sleep(0.04)
        assert reading.done()  # the last five are under way
        await asyncio.sleep(1)
        assert bench.most_under_way == 10
        assert len(bench.api.acked) == 25
        assert bench.worker.in_process == 0

    virtual_time.run(work())


def test_bytes_in_the_process_are_bounded() -> None:
    async def work() -> None:
        bench = Bench(written, size_bytes=100)
        await bench.worker.take([*numbered(9, size_bytes=30), leased("large", size_bytes=5000)])
        await asyncio.sleep(2)
        assert bench.most_under_way == 3
        assert len(bench.api.acked) == 10

    virtual_time.run(work())


def test_messages_of_a_key_are_handled_one_after_the_other_and_keys_beside_each_other() -> None:
    async def work() -> None:
        ended: dict[str, list[str]] = defaultdict(list)

        async def handle(name: str) -> Disposition:
            await asyncio.sleep(random.Random(name).random())
            ended[name[0]].append(name)
            return Disposition.WRITTEN

        bench = Bench(handle)
        messages = [leased(f"{key}{number}", key) for number in range(10) for key in "abc"]
        await bench.worker.take([*messages, *numbered(5)])
        await asyncio.sleep(60)
        for key in "abc":
            assert ended[key] == [f"{key}{number}" for number in range(10)]
        assert bench.most_under_way == 8
        assert len(bench.api.acked) == 35

    virtual_time.run(work())


def test_a_failed_message_takes_those_of_its_key_with_it_in_one_request_and_in_order() -> None:
    async def work() -> None:
        fails = {"a1"}

        async def handle(name: str) -> Disposition:
            await asyncio.sleep(0.05)
            return Disposition.RETRY if name in fails else Disposition.WRITTEN

        bench = Bench(handle)
        await bench.worker.take([leased(f"a{number}", "a") for number in range(5)])
        await asyncio.sleep(5)
        assert list(bench.api.acked) == ["a0"]
        assert bench.api.of_kind("nack") == [["a1", "a2", "a3", "a4"]]
        assert bench.began == ["a0", "a1"]
        fails.clear()
        await bench.worker.take([leased(f"a{number}", "a") for number in range(1, 6)])
        await asyncio.sleep(5)
        assert sorted(bench.api.acked) == [f"a{number}" for number in range(6)]
        assert bench.began[2:] == ["a1", "a2", "a3", "a4", "a5"]

    virtual_time.run(work())


def test_what_comes_for_a_key_before_pubsub_knows_of_a_failure_is_nacked_too() -> None:
    async def work() -> None:
        async def handle(name: str) -> Disposition:
            return Disposition.RETRY if name == "a0" else Disposition.WRITTEN

        bench = Bench(handle)
        bench.api.answer_s = 2.0
        await bench.worker.take([leased("a0", "a")])
        await asyncio.sleep(1)  # the nack is under way
        await bench.worker.take([leased("a1", "a"), leased("b0", "b")])
        await asyncio.sleep(10)
        assert sorted(bench.api.nacked) == ["a0", "a1"]
        assert bench.began == ["a0", "b0"]
        await bench.worker.take([leased("a1", "a")])
        await asyncio.sleep(10)
        assert bench.began == ["a0", "b0", "a1"]

    virtual_time.run(work())


def test_without_a_retry_policy_a_failed_message_rests_before_its_nack_and_longer_each_time() -> None:
    async def work() -> None:
        async def handle(_: str) -> Disposition:
            return Disposition.RETRY

        bench = Bench(handle, server_waits=False)
        waits = []
        for _ in range(6):
            began_at_s = asyncio.get_running_loop().time()
            before = len(bench.api.of_kind("nack"))
            await bench.worker.take([leased("a")])
            await asyncio.sleep(100)
            assert len(bench.api.of_kind("nack")) == before + 1
            waits.append(bench.api.requests[-1][2] - began_at_s)
        assert [round(wait) for wait in waits] == [1, 2, 4, 8, 16, 30]
        assert bench.worker.in_process == 0

    virtual_time.run(work())


def test_the_attempt_of_pubsub_counts_where_it_is_known() -> None:
    async def work() -> None:
        async def handle(_: str) -> Disposition:
            return Disposition.RETRY

        bench = Bench(handle, server_waits=False)
        await bench.worker.take([leased("a", attempt=4)])
        await asyncio.sleep(7.9)
        assert not bench.api.nacked
        await asyncio.sleep(0.2)
        assert bench.api.nacked

    virtual_time.run(work())


def test_where_every_event_fails_few_are_tried_and_one_success_brings_all_back() -> None:
    async def work() -> None:
        is_down = True

        async def handle(_: str) -> Disposition:
            await asyncio.sleep(0.01)
            return Disposition.FAULT if is_down else Disposition.WRITTEN

        bench = Bench(handle)
        await bench.worker.take(numbered(256))
        await asyncio.sleep(1)
        left = [leased(f"x{number}") for number in range(300)]
        await bench.worker.take(left)
        before = len(bench.began)
        await asyncio.sleep(100)
        assert len(bench.began) - before < 10
        assert bench.worker.window == 1
        is_down = False
        await asyncio.sleep(31)
        assert bench.worker.window == 256
        assert len(bench.api.acked) > 280

    virtual_time.run(work())


def test_a_lease_is_extended_while_its_event_is_under_way_and_not_beyond_its_time() -> None:
    async def work() -> None:
        async def handle(_: str) -> Disposition:
            await asyncio.sleep(10_000)
            return Disposition.WRITTEN

        bench = Bench(handle)
        began_at_s = asyncio.get_running_loop().time()
        await bench.worker.take(numbered(1))
        await asyncio.sleep(200)
        assert [when - began_at_s for kind, _, when in bench.api.requests if kind == "extend 30"] == [
            15,
            30,
            45,
            60,
        ]
        ((nacked_at_s),) = [when - began_at_s for kind, _, when in bench.api.requests if kind == "nack"]
        assert nacked_at_s <= 60 + EVENT_MARGIN_S + 30 / 2 + 1
        assert bench.worker.in_process == 0
        assert bench.under_way == set()

    virtual_time.run(work())


def test_a_lease_is_not_extended_while_its_nack_is_sent_again() -> None:
    """An extension that came after the nack would undo it."""

    async def work() -> None:
        async def handle(_: str) -> Disposition:
            return Disposition.RETRY

        bench = Bench(handle)
        bench.api.failures = [CallError("UNAVAILABLE")] * 30
        await bench.worker.take(numbered(1))
        await asyncio.sleep(120)
        assert len(bench.api.of_kind("nack")) > 20
        assert bench.api.of_kind("extend") == []

    virtual_time.run(work())


def test_messages_that_wait_too_long_go_to_others_whatever_they_wait_for() -> None:
    """For room, for their turn, for the end of a pause, or for another message of their key."""

    async def work() -> None:
        gate = asyncio.Event()

        async def handle(name: str) -> Disposition:
            if name == "k0":
                for _ in range(40):  # each is within its time
                    await asyncio.sleep(1)
                return Disposition.WRITTEN
            await gate.wait()
            return Disposition.FAULT

        bench = Bench(handle, messages=4)
        bench.worker._leases._event_s = 1e9
        await bench.worker.take(
            [leased("k0", "k"), leased("k1", "k"), leased("k2", "k"), leased("a"), leased("line")]
        )
        bench.worker._leases._wait_s = 20
        await asyncio.sleep(32)
        assert sorted(bench.api.nacked) == ["k1", "k2", "line"]
        assert set(bench.api.of_kind("nack")[0]) == {"k1", "k2", "line"}
        await asyncio.sleep(20)
        assert list(bench.api.acked) == ["k0"]
        await bench.worker.take([leased("k1", "k")])
        await asyncio.sleep(1)
        assert "k1" in bench.began
        gate.set()
        await asyncio.sleep(100)
        assert bench.worker.in_process == 0

    assert MAX_WAIT_S == 600
    virtual_time.run(work())


def test_an_exactly_once_message_begins_only_once_its_lease_is_confirmed() -> None:
    async def work() -> None:
        bench = Bench(written)
        bench.worker.answers.exactly_once = True
        bench.api.failures = [
            CallError("FAILED_PRECONDITION", "", {"0001": "PERMANENT_FAILURE_INVALID_ACK_ID"})
        ]
        bench.api.answer_s = 1.0
        taking = asyncio.ensure_future(bench.worker.take(numbered(3)))
        await asyncio.sleep(0.5)
        assert bench.began == []
        await taking
        await asyncio.sleep(5)
        assert bench.began == ["0000", "0002"]
        assert sorted(bench.api.acked) == ["0000", "0002"]
        assert not bench.api.nacked

    virtual_time.run(work())


@pytest.mark.parametrize(
    ("key", "began", "nacked"), [("", ["a", "c"], []), ("k", ["a"], ["c"])], ids=["any order", "one key"]
)
def test_a_message_that_is_lost_while_it_waits_does_not_begin_and_is_not_overtaken(
    key: str, began: list[str], nacked: list[str]
) -> None:
    async def work() -> None:
        async def handle(_: str) -> Disposition:
            await asyncio.sleep(20)
            return Disposition.WRITTEN

        bench = Bench(handle, messages=3)
        bench.worker._window._size = 1
        bench.worker.answers.exactly_once = True
        lost = CallError("INVALID_ARGUMENT", "", {"b": "PERMANENT_FAILURE_INVALID_ACK_ID"})
        bench.api.failures = [None, lost]  # the confirmation, and the first extension
        await bench.worker.take([leased(name, key) for name in "abc"])
        await asyncio.sleep(100)
        assert bench.began == began
        assert (sorted(bench.api.acked), sorted(bench.api.nacked)) == (began, nacked)
        assert bench.worker.in_process == 0

    virtual_time.run(work())


def copy_of(one: LeasedMessage, ack_id: str) -> LeasedMessage:
    """A later delivery of the same message."""
    copy = leased(one.message_id, one.ordering_key)
    copy.ack_id = ack_id
    return copy


@pytest.mark.parametrize("disposition", [Disposition.WRITTEN, Disposition.RETRY])
@pytest.mark.parametrize("key", ["", "k"])
def test_a_second_delivery_of_a_message_in_the_process_is_not_handled_and_gets_the_same_answer(
    key: str, disposition: Disposition
) -> None:
    """Of one under way, one that waits for its turn, and one in line; whatever became of the first lease."""

    async def work() -> None:
        async def handle(_: str) -> Disposition:
            await asyncio.sleep(10)
            return disposition

        bench = Bench(handle, messages=2)
        first = numbered(3, key=key)
        bench.worker._window._size = 1
        await bench.worker.take(first)
        first[1].is_lost = True
        bench.worker._settled([first[1]])
        await bench.worker.take([copy_of(one, f"{one.ack_id}-again") for one in first])
        assert bench.worker.in_process == 3
        await asyncio.sleep(100)
        handled = ["0000"] if key and disposition is Disposition.RETRY else ["0000", "0001", "0002"]
        assert bench.began == handled
        answers = bench.api.acked if disposition is Disposition.WRITTEN else bench.api.nacked
        assert sorted(answers) == ["0000", "0000-again", "0001-again", "0002", "0002-again"]
        assert bench.answered == sorted(answers)
        assert (bench.worker.in_process, bench.worker._by_message_id) == (0, {})
        assert (len(bench.worker._leases), bench.worker._keys._closed) == (0, {})
        await bench.worker.take([copy_of(first[0], "later")])
        await asyncio.sleep(100)
        assert bench.began == [*handled, "0000"], (
            "what is over is handled: a replay of the topic may want that"
        )

    virtual_time.run(work())


def test_a_drain_nacks_all_deliveries_of_what_has_not_begun() -> None:
    async def work() -> None:
        async def handle(_: str) -> Disposition:
            await asyncio.sleep(1)
            return Disposition.WRITTEN

        bench = Bench(handle, messages=2)
        bench.worker._window._size = 1
        first = numbered(3)
        await bench.worker.take([*first, *(copy_of(one, f"{one.ack_id}-again") for one in first)])
        await bench.worker.drain(within_s=8, flush_s=1)
        assert sorted(bench.api.acked) == ["0000", "0000-again"]
        assert sorted(bench.api.nacked) == ["0001", "0001-again", "0002", "0002-again"]
        assert bench.worker._by_message_id == {}
        bench.worker.close()

    virtual_time.run(work())


def test_room_that_a_lost_message_leaves_is_used_although_nothing_is_under_way() -> None:
    async def work() -> None:
        bench = Bench(written, messages=1)
        lost = leased("lost")
        bench.worker._window._resume_at_s = asyncio.get_running_loop().time() + 10
        await bench.worker.take([lost, leased("next")])
        lost.is_lost = True
        await asyncio.sleep(11)
        assert bench.began == ["next"]
        await bench.worker.room()

    virtual_time.run(work())


def test_a_message_whose_lease_is_confirmed_for_too_long_is_given_up_and_leases_go_on() -> None:
    async def work() -> None:
        bench = Bench(written)
        bench.worker.answers.exactly_once = True
        bench.worker._leases._wait_s = 20
        bench.api.answer_s = 50.0
        taking = asyncio.ensure_future(bench.worker.take([leased("a")]))
        await asyncio.sleep(200)
        await taking
        assert bench.began == []
        assert list(bench.api.nacked) == ["a"]
        assert bench.worker.in_process == 0
        bench.worker._leases._wait_s = 600
        bench.api.answer_s = 0.01
        await bench.worker.take([leased("b")])
        await asyncio.sleep(5)
        assert list(bench.api.acked) == ["b"]

    virtual_time.run(work())


@pytest.mark.parametrize(("count", "size_bytes"), [(10, 1), (3, 1000)])
def test_messages_that_rest_leave_half_of_the_bounds_to_others(count: int, size_bytes: int) -> None:
    async def work() -> None:
        async def handle(name: str) -> Disposition:
            return Disposition.WRITTEN if name.startswith("good") else Disposition.RETRY

        bench = Bench(handle, messages=10, size_bytes=3000, server_waits=False)
        await bench.worker.take(
            [leased(f"bad{number}", attempt=30, size_bytes=size_bytes) for number in range(count)]
        )
        await asyncio.sleep(1)
        assert 0 < len(bench.api.nacked) <= count // 2 + 1
        await bench.worker.take([leased(f"good{number}", size_bytes=size_bytes) for number in range(5)])
        await asyncio.sleep(20)
        assert len(bench.api.acked) == 5
        await asyncio.sleep(20)
        assert len(bench.api.nacked) == count
        assert bench.worker.in_process == 0

    virtual_time.run(work())


def test_a_single_message_rests_however_large_it_is() -> None:
    async def work() -> None:
        async def handle(_: str) -> Disposition:
            return Disposition.RETRY

        bench = Bench(handle, messages=1, size_bytes=100, server_waits=False)
        await bench.worker.take([leased("large", attempt=30, size_bytes=1000)])
        await asyncio.sleep(29)
        assert not bench.api.nacked

    virtual_time.run(work())


def test_a_drain_keeps_its_time_where_an_event_cannot_be_stopped_and_pubsub_does_not_answer() -> None:
    async def work() -> None:
        async def handle(name: str) -> Disposition:
            if name == "0001":
                return Disposition.WRITTEN
            for _ in range(100):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(1)
            return Disposition.WRITTEN

        bench = Bench(handle)
        bench.api.answer_s = 1000.0
        await bench.worker.take(numbered(2))
        began_at_s = asyncio.get_running_loop().time()
        assert await bench.worker.drain(within_s=8, flush_s=1.5) == 1
        assert asyncio.get_running_loop().time() - began_at_s <= 9.5 + 0.01
        assert bench.api.of_kind("ack") == [["0001"]]
        bench.worker.close()
        await asyncio.sleep(200)

    virtual_time.run(work())


def test_a_drain_finishes_what_is_under_way_and_gives_back_the_rest_at_once() -> None:
    async def work() -> None:
        async def handle(name: str) -> Disposition:
            await asyncio.sleep(100 if name == "0001" else 2)
            return Disposition.WRITTEN

        bench = Bench(handle, messages=4)
        await bench.worker.take(numbered(9))
        began_at_s = asyncio.get_running_loop().time()
        draining = asyncio.ensure_future(bench.worker.drain(within_s=8, flush_s=1))
        await asyncio.sleep(0.1)
        assert sorted(bench.api.nacked) == ["0004", "0005", "0006", "0007", "0008"]
        await bench.worker.take([leased("late")])  # was on its way in the stream
        await asyncio.sleep(0.1)
        assert "late" in bench.api.nacked
        assert await draining == 1
        assert asyncio.get_running_loop().time() - began_at_s == pytest.approx(8, abs=0.1)
        assert sorted(bench.api.acked) == ["0000", "0002", "0003"]
        assert "0001" in bench.api.nacked
        assert max((bench.api.acked + bench.api.nacked).values()) == 1
        bench.worker.close()

    virtual_time.run(work())


def test_a_drain_keeps_the_order_of_a_key_and_gives_back_what_rests() -> None:
    async def work() -> None:
        async def handle(name: str) -> Disposition:
            await asyncio.sleep(2)
            return Disposition.RETRY if name == "r" else Disposition.WRITTEN

        bench = Bench(handle, server_waits=False)
        await bench.worker.take([leased("r", attempt=30)])
        await asyncio.sleep(3)
        await bench.worker.take([leased("a0", "a"), leased("a1", "a"), leased("a2", "a")])
        assert await bench.worker.drain(within_s=8, flush_s=1) == 0
        assert list(bench.api.acked) == ["a0"]
        assert bench.api.of_kind("nack") == [["r"], ["a1", "a2"]]
        bench.worker.close()

    virtual_time.run(work())


@hypothesis_settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_every_message_gets_exactly_one_answer_whatever_happens(seed: int) -> None:
    """Arrivals, keys, times, outcomes, failures of requests, lost leases and a drain at any time, at random."""
    chance = random.Random(seed)

    async def work() -> None:
        async def handle(_: str) -> Disposition:
            await asyncio.sleep(chance.choice((0, 0.01, 1, 20, 200)))
            if chance.random() < 0.05:
                raise ValueError
            return chance.choice([*GOOD, Disposition.RETRY, Disposition.FAULT])

        bench = Bench(handle, messages=chance.choice((1, 4, 50)), server_waits=chance.random() < 0.5)
        bench.api.answer_s = chance.choice((0, 0.01, 3))
        bench.worker.answers.exactly_once = chance.random() < 0.3
        bench.worker._leases._wait_s = chance.choice((20, 600))
        bench.api.failures = [
            chance.choice((None, None, CallError("UNAVAILABLE"))) for _ in range(chance.randrange(40))
        ]
        names = 0
        for _ in range(chance.randrange(1, 12)):
            batch = []
            for _ in range(chance.randrange(12)):
                batch.append(leased(f"{names:04}", chance.choice(("", "", "a", "b"))))
                if names and chance.random() < 0.2:  # an earlier message again
                    batch[-1].message_id = f"{chance.randrange(names):04}"
                names += 1
            await bench.worker.take(batch)
            await asyncio.sleep(chance.choice((0, 0.01, 5, 40)))
        if chance.random() < 0.5:
            await bench.worker.drain(within_s=chance.choice((0, 3, 300)), flush_s=400)
        else:
            await asyncio.sleep(20_000)
        assert bench.answered == [f"{number:04}" for number in range(names)]
        assert bench.worker.in_process == 0
        worker = bench.worker
        assert (len(worker._leases), len(worker._keys), worker._keys._closed) == (0, 0, {})
        assert worker._by_message_id == {}
        worker.close()

    virtual_time.run(work())
