"""Lookups are bounded, fewer while the service refuses them, and as many as before soon after it recovers.

The service of the simulation answers in 20 ms what it has room for, and refuses the rest in 2 ms. 64 workers ask it,
one lookup after the other. No real time passes.
"""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import meshpass
import pytest
from enrichment.errors import EnrichmentError, FaultError, Stage, TransientError
from enrichment.lookup.overload import OverloadError
from enrichment.lookup.throttle import Limit, Throttle
from hypothesis import given
from hypothesis import strategies as st

from tests.clock import Clock

MOST = 100
WORKERS = 64
ANSWER_S = 0.020
REFUSAL_S = 0.002


class Open(Limit):
    """No throttle, for comparison: only the bound."""

    def accepted(self) -> None:
        pass

    def refused(self, began_s: float, now_s: float, retry_after_s: float | None = None) -> None:
        pass


@dataclass
class Course:
    """How a simulation went: when lookups were answered and refused, and how wide the throttle was."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    width: list[tuple[float, int]] = field(default_factory=list)

    def answers(self, begin_s: float, end_s: float) -> int:
        return sum(begin_s <= moment < end_s for moment in self.answered)

    def refusals(self, begin_s: float, end_s: float) -> int:
        return sum(begin_s <= moment < end_s for moment in self.refused)

    def reaches(self, width: int, after_s: float) -> float:
        """When the throttle is as wide again."""
        return next(moment for moment, now in self.width if moment >= after_s and now >= width)


def simulate(
    limit: Limit, *, capacity: Callable[[float], int], end_s: float, refused_at_random: float = 0.0
) -> Course:
    rng = random.Random(1)
    course, now_s, waiting, in_flight, busy, number, alarm_s = Course(), 0.0, WORKERS, 0, 0, 0, 0.0
    ends: list[tuple[float, int, float, str]] = []
    while now_s < end_s:
        while waiting and limit.allows(in_flight, now_s):
            waiting, in_flight, number = waiting - 1, in_flight + 1, number + 1
            accepted = busy < capacity(now_s) and rng.random() >= refused_at_random
            busy += accepted
            took_s = ANSWER_S * (0.8 + 0.4 * rng.random()) if accepted else REFUSAL_S
            heapq.heappush(ends, (now_s + took_s, number, now_s, "answer" if accepted else "refusal"))
        if waiting and limit.resume_at_s > max(now_s, alarm_s):
            alarm_s, number = limit.resume_at_s, number + 1
            heapq.heappush(ends, (alarm_s, number, now_s, "alarm"))
        now_s, _, began_s, end = heapq.heappop(ends)
        if end != "alarm":
            waiting, in_flight = waiting + 1, in_flight - 1
        if end == "answer":
            busy -= 1
            limit.accepted()
            course.answered.append(now_s)
        elif end == "refusal":
            limit.refused(began_s, now_s)
            course.refused.append(now_s)
        course.width.append((now_s, limit.width))
        assert 1 <= limit.width <= MOST
    return course


def between(begin_s: float, end_s: float, low: int) -> Callable[[float], int]:
    """A service that has room for all but between two moments."""
    return lambda now_s: low if begin_s <= now_s < end_s else MOST


def test_a_healthy_service_is_not_held_back() -> None:
    course, free = (simulate(limit, capacity=lambda _: MOST, end_s=10) for limit in (Limit(MOST), Open(MOST)))
    assert len(course.answered) == len(free.answered)


def test_in_a_brownout_it_asks_for_what_the_service_can_give_and_wastes_little() -> None:
    brownout = between(5, 15, low=10)
    course, free = (simulate(limit, capacity=brownout, end_s=20) for limit in (Limit(MOST), Open(MOST)))
    assert course.answers(5, 15) >= 0.98 * free.answers(5, 15)  # it still does all that can be done
    assert course.refusals(6, 15) <= 0.12 * course.answers(
        11, 40
    )  # one refusal a round, of some eleven calls
    assert free.refusals(6, 15) > 100 * course.refusals(6, 15)  # what came of it without a throttle


def test_after_a_brownout_all_may_ask_at_once_again_within_sixty_rounds() -> None:
    course = simulate(Limit(MOST), capacity=between(5, 15, low=10), end_s=20)
    assert course.reaches(WORKERS, after_s=15) - 15 <= 60 * ANSWER_S


def test_an_outage_costs_one_round_and_then_a_probe_every_other_second() -> None:
    outage = between(5, 15, low=0)
    course, free = (simulate(limit, capacity=outage, end_s=20) for limit in (Limit(MOST), Open(MOST)))
    assert course.refusals(5, 6) <= MOST + 10
    assert course.refusals(6, 15) <= 9 / 2 + 3
    assert free.refusals(5, 15) > 100_000


def test_after_an_outage_all_may_ask_at_once_again_within_a_pause_and_ten_rounds() -> None:
    course = simulate(Limit(MOST), capacity=between(5, 15, low=0), end_s=20)
    first_answer_s = next(moment for moment in course.answered if moment >= 15)
    assert first_answer_s <= 15 + 2 + 2 * ANSWER_S
    assert course.reaches(WORKERS, after_s=15) - first_answer_s <= 10 * ANSWER_S


def test_at_the_edge_of_what_the_service_can_do_about_one_call_a_round_is_refused() -> None:
    course = simulate(Limit(MOST), capacity=lambda _: 40, end_s=10)
    rounds = (10 - 1) / ANSWER_S
    assert course.answers(1, 10) >= 0.98 * 40 * rounds
    assert course.refusals(1, 10) <= 1.2 * rounds


def test_refusals_at_random_do_not_narrow_it_down() -> None:
    # A throttle that halves at each, as TCP does, is left with a fifth of this.
    course = simulate(Limit(MOST), capacity=lambda _: MOST, end_s=10, refused_at_random=0.01)
    free = simulate(Open(MOST), capacity=lambda _: MOST, end_s=10)
    assert len(course.answered) >= 0.95 * len(free.answered)


def test_a_service_that_only_fails_is_left_alone_where_beams_throttler_would_go_on() -> None:
    # Beam's default throttler held back none of 2,000 failing calls at 50 a second.
    limit, calls, now_s = Limit(MOST), 0, 0.0
    for _ in range(2000):
        now_s += 0.02
        if limit.allows(0, now_s):
            calls += 1
            limit.refused(now_s, now_s)
    assert calls <= 80


def test_calls_begun_before_the_service_was_found_to_be_down_are_not_counted_again() -> None:
    limit = Limit(4)
    for _ in range(20):
        limit.refused(began_s=0.0, now_s=1.0)
    assert limit.resume_at_s == pytest.approx(1.1)  # the first pause, not the longest


def test_each_probe_that_fails_doubles_the_pause_up_to_two_seconds_and_an_answer_ends_it() -> None:
    limit, now_s, pauses = Limit(1), 0.0, []
    for _ in range(7):
        limit.refused(now_s, now_s)
        pauses.append(round(limit.resume_at_s - now_s, 6))
        assert not limit.allows(0, limit.resume_at_s - 0.001)
        now_s = limit.resume_at_s
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    limit.accepted()
    limit.refused(now_s, now_s)
    assert limit.resume_at_s - now_s == pytest.approx(0.1)


@pytest.mark.parametrize(("asked_s", "waits_s"), [(3.0, 3.0), (86_400.0, 10.0)])
def test_it_comes_back_when_the_service_asks_it_to_but_for_no_answer_later_than_ten_seconds(
    asked_s: float, waits_s: float
) -> None:
    limit = Limit(MOST)
    limit.refused(5.0, 5.0, asked_s)
    assert not limit.allows(0, 5.0 + waits_s - 0.001)
    assert limit.allows(0, 5.0 + waits_s)


class Desk:
    """Calls that go on until they are let go, and how many there are at once."""

    def __init__(self) -> None:
        self.under_way: dict[int, asyncio.Future[str]] = {}
        self.order: list[int] = []
        self.most = 0
        self._begun = asyncio.Event()

    def call(self, number: int) -> Callable[[], Awaitable[str]]:
        async def begin() -> str:
            self.order.append(number)
            self.under_way[number] = asyncio.get_running_loop().create_future()
            self.most = max(self.most, len(self.under_way))
            self._begun.set()
            try:
                return await self.under_way[number]
            finally:
                del self.under_way[number]

        return begin

    async def until_called(self, number: int) -> "asyncio.Future[str]":
        while number not in self.under_way:
            self._begun.clear()
            await self._begun.wait()
        return self.under_way[number]


def late() -> meshpass.Deadline:
    return meshpass.Deadline.after(30)


def soon() -> meshpass.Deadline:
    """A deadline that passes while the test looks on."""
    return meshpass.Deadline.after(0.005)


def play(scene: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scene

    asyncio.run(bounded())


def test_no_more_calls_than_allowed_and_first_come_first_served() -> None:
    async def scene() -> None:
        throttle, desk = Throttle(3), Desk()
        asking = [asyncio.create_task(throttle.call(desk.call(n), late())) for n in range(20)]
        for number in range(20):
            (await desk.until_called(number)).set_result(f"answer {number}")
        assert await asyncio.gather(*asking) == [f"answer {number}" for number in range(20)]
        assert desk.order == list(range(20))
        assert desk.most == 3

    play(scene())


def test_who_waits_too_long_for_a_place_is_sent_away_and_the_next_one_gets_it() -> None:
    async def scene() -> None:
        throttle, desk = Throttle(1), Desk()
        first = asyncio.create_task(throttle.call(desk.call(0), late()))
        await desk.until_called(0)
        second = asyncio.create_task(throttle.call(desk.call(1), soon()))
        third = asyncio.create_task(throttle.call(desk.call(2), late()))
        with pytest.raises(TransientError) as caught:
            await second
        assert caught.value.reason == "lookup_throttled"
        desk.under_way[0].set_result("first")
        (await desk.until_called(2)).set_result("third")
        assert [await first, await third] == ["first", "third"]
        assert desk.order == [0, 2]

    play(scene())


@pytest.mark.parametrize("leaves", ["in the queue", "as it is admitted", "in its call"])
def test_a_cancelled_caller_takes_no_place_along(leaves: str) -> None:
    async def scene() -> None:
        throttle, desk = Throttle(1), Desk()
        first = asyncio.create_task(throttle.call(desk.call(0), late()))
        await desk.until_called(0)
        second = asyncio.create_task(throttle.call(desk.call(1), late()))
        third = asyncio.create_task(throttle.call(desk.call(2), late()))
        await asyncio.sleep(0)  # one turn of the loop: both queue
        if leaves == "in the queue":
            second.cancel()
            desk.under_way[0].set_result("first")
        elif leaves == "as it is admitted":
            desk.under_way[0].set_result("first")
            await first
            second.cancel()
        else:
            desk.under_way[0].set_result("first")
            await desk.until_called(1)
            second.cancel()
        (await desk.until_called(2)).set_result("third")
        assert await third == "third"
        assert second.cancelled()
        last = asyncio.create_task(throttle.call(desk.call(3), late()))
        (await desk.until_called(3)).set_result("last")
        assert await last == "last"

    play(scene())


_act = st.tuples(st.sampled_from(["ask", "ask", "cancel", "answer", "turn"]), st.integers(0, 9))


@given(st.lists(_act, max_size=40))
def test_whatever_happens_no_place_is_lost_and_none_is_given_twice(acts: list[tuple[str, int]]) -> None:
    async def scene() -> None:
        throttle, desk = Throttle(2), Desk()
        asking: list[asyncio.Task[str]] = []
        for act, which in acts:
            if act == "ask":
                asking.append(asyncio.create_task(throttle.call(desk.call(len(asking)), late())))
            elif act == "cancel" and which < len(asking):
                asking[which].cancel()
            elif act == "answer":
                for call in desk.under_way.values():
                    if not call.done():
                        call.set_result("answer")
            else:
                await asyncio.sleep(0)  # one turn of the loop
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        last = [asyncio.create_task(throttle.call(desk.call(number), late())) for number in (1000, 1001)]
        places = [await desk.until_called(1000), await desk.until_called(1001)]  # both at once
        for place in places:
            place.set_result("last")
        assert [await task for task in last] == ["last", "last"]
        assert desk.most <= 2

    play(scene())


def failing(error: BaseException, clock: Clock, took_s: float = 0.0) -> Callable[[], Awaitable[str]]:
    async def begin() -> str:
        clock.now_s += took_s
        raise error

    return begin


@pytest.mark.parametrize(
    ("error", "took_s", "narrower"),
    [
        (OverloadError("service_unavailable", ""), 0.0, True),
        (TransientError(Stage.LOOKUP, "timeout_read", ""), 5.0, True),
        (TransientError(Stage.LOOKUP, "connection_lost", ""), 0.0, False),  # says nothing of the load
        (asyncio.CancelledError(), 5.0, True),  # no caller had the time to wait any longer
        (asyncio.CancelledError(), 0.0, False),  # the caller changed its mind
        (FaultError(Stage.LOOKUP, "not_allowed", ""), 5.0, False),
    ],
    ids=["refused", "no answer", "connection lost", "given up", "cancelled", "not allowed"],
)
def test_what_narrows_it(
    error: EnrichmentError | asyncio.CancelledError, took_s: float, narrower: bool
) -> None:
    async def scene() -> None:
        clock = Clock(1000.0)
        throttle = Throttle(MOST, clock=clock)
        with pytest.raises(type(error)):
            await throttle.call(failing(error, clock, took_s), late())
        assert (throttle.width < MOST) is narrower

    play(scene())


def test_it_holds_back_while_the_service_refuses_and_no_longer_once_it_answers_anything_else() -> None:
    async def scene() -> None:
        clock, counted = Clock(1000.0), Counter[str]()

        def count(name: str, amount: int = 1, /, **_: str) -> None:
            counted[name] += amount

        throttle = Throttle(1, count, clock)
        assert not throttle.holds_back
        with pytest.raises(OverloadError):
            await throttle.call(failing(OverloadError("busy", "", 5.0), clock), late())
        assert throttle.holds_back
        with pytest.raises(TransientError, match="lookup_throttled"):
            await throttle.call(failing(AssertionError(), clock), soon())
        clock.now_s += 5
        assert not throttle.holds_back  # it may probe
        with pytest.raises(FaultError):
            await throttle.call(failing(FaultError(Stage.LOOKUP, "not_allowed", ""), clock), late())
        assert not throttle.holds_back
        assert counted == {"lookup_throttled": 1}

    play(scene())


def test_it_does_not_hold_back_where_it_is_only_busy() -> None:
    async def scene() -> None:
        clock = Clock(1000.0)
        throttle, desk = Throttle(1, clock=clock), Desk()
        for refusal in (None, OverloadError("busy", "")):
            if refusal is not None:
                with pytest.raises(OverloadError):
                    await throttle.call(failing(refusal, clock), late())
                clock.now_s += 5
                with pytest.raises(FaultError):
                    await throttle.call(failing(FaultError(Stage.LOOKUP, "not_allowed", ""), clock), late())
            busy = asyncio.create_task(throttle.call(desk.call(0), late()))
            place = await desk.until_called(0)
            assert not throttle.holds_back
            place.set_result("answer")
            await busy

    play(scene())


def test_who_waits_for_the_end_of_a_pause_is_woken_at_it() -> None:
    async def scene() -> None:
        throttle, desk = Throttle(1), Desk()
        with pytest.raises(OverloadError):
            await throttle.call(failing(OverloadError("busy", ""), Clock(1000.0)), late())
        waiting = asyncio.create_task(throttle.call(desk.call(0), late()))
        (await desk.until_called(0)).set_result("answer")
        assert await waiting == "answer"

    play(scene())
