"""Group commit: which rows are written together, when, and what each caller learns."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import meshpass
import pytest
from enrichment.errors import BadEventError, EnrichmentError, FaultError, Stage, TransientError
from enrichment.row import Row
from enrichment.settings.model import BatchLimits
from enrichment.sink.group_commit import MAX_WRITE_S, GroupCommit
from enrichment.sink.when_to_write import MAX_RESENDS, MAX_WRITES, RefusedError, Sharing, StoppedError

from tests.clock import Clock

# One write at a time, whatever it writes: the rule under load, with few rows to count.
ONE_AT_A_TIME = Sharing(few_rows=0, many_rows=1_000)
SLOW_S = ONE_AT_A_TIME.slow_s

INVALID = BadEventError(Stage.WRITE, "row_invalid", "the row is bad")
STOPPED = StoppedError(Stage.WRITE, "row_stopped", "another row stopped it")
BUSY = TransientError(Stage.WRITE, "busy", "try again")
FORBIDDEN = FaultError(Stage.WRITE, "forbidden", "no permission")
TOO_LARGE = BadEventError(Stage.WRITE, "row_too_large", "too large")


@dataclass
class Request:
    """One request, held until the test answers it."""

    rows: Sequence[Row]
    deadline: meshpass.Deadline
    answer: "asyncio.Future[Sequence[EnrichmentError | None]]"

    @property
    def ids(self) -> list[str]:
        return [row.insert_id for row in self.rows]

    def succeed(self) -> None:
        self.answer.set_result([None] * len(self.rows))

    def say(self, *verdicts: EnrichmentError | None) -> None:
        self.answer.set_result(verdicts)

    def fail(self, error: Exception) -> None:
        self.answer.set_exception(error)


@dataclass
class Back:
    """A back end in the test's hands."""

    arrived: "asyncio.Queue[Request]" = field(default_factory=asyncio.Queue)
    under_way: int = 0

    async def insert(
        self, rows: Sequence[Row], deadline: meshpass.Deadline
    ) -> Sequence[EnrichmentError | None]:
        request = Request(rows, deadline, asyncio.get_running_loop().create_future())
        self.arrived.put_nowait(request)
        self.under_way += 1
        try:
            return await request.answer
        finally:
            self.under_way -= 1

    async def request(self) -> Request:
        return await self.arrived.get()


@dataclass
class Bench:
    """A group commit on a back end in the test's hands, and its callers."""

    limits: BatchLimits = field(default_factory=BatchLimits)
    back: Back = field(default_factory=Back)
    clock: Clock = field(default_factory=lambda: Clock(0.0))
    attempts: list[int] = field(default_factory=list)
    delay_s: float = 0.0
    sharing: Sharing = ONE_AT_A_TIME
    counted: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.groups = GroupCommit(
            self.back.insert, self.limits, self._count, self._delay_s, self.clock, self.sharing
        )

    def _delay_s(self, attempt: int) -> float:
        self.attempts.append(attempt)
        return self.delay_s

    def _count(self, name: str, amount: int = 1, /, **_: str) -> None:
        self.counted[name] = self.counted.get(name, 0) + amount

    def write(
        self, insert_id: str, size_bytes: int = 1, within_s: float = 60.0, text: str = ""
    ) -> "asyncio.Task[None]":
        row = Row(insert_id, {"text": text}, size_bytes)
        return asyncio.create_task(self.groups.write(row, meshpass.Deadline.after(within_s)))

    async def under_way(self, insert_id: str = "first") -> "tuple[asyncio.Task[None], Request]":
        """A write that is under way."""
        task = self.write(insert_id)
        return task, await self.back.request()


Check = Callable[[], Coroutine[Any, Any, None]]


def run(check: Coroutine[Any, Any, None], *, debug: bool = False) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):  # a caller that is never released is to fail the test, not to hang it
            await check

    asyncio.run(bounded(), debug=debug)


def in_a_loop(check: Check) -> Callable[[], None]:
    def test() -> None:
        run(check())

    test.__name__ = check.__name__
    return test


async def turns(number: int = 5) -> None:
    """Lets the loop turn, so that whatever can happen by itself has happened."""
    for _ in range(number):
        await asyncio.sleep(0)


async def failure(written: Awaitable[None]) -> EnrichmentError | None:
    try:
        await written
    except EnrichmentError as error:
        return error
    return None


async def failures(*written: Awaitable[None]) -> list[str | None]:
    errors = [await failure(each) for each in written]
    return [error.reason if error else None for error in errors]


@in_a_loop
async def test_a_row_that_finds_nothing_under_way_is_written_at_once() -> None:
    bench = Bench()
    written = bench.write("a")
    request = await bench.back.request()
    assert request.ids == ["a"]
    assert not written.done()
    request.succeed()
    assert await failure(written) is None


@in_a_loop
async def test_rows_that_come_in_one_turn_of_the_loop_go_together() -> None:
    bench = Bench()
    written = [bench.write(name) for name in "abc"]
    request = await bench.back.request()
    assert request.ids == ["a", "b", "c"]
    request.succeed()
    await asyncio.gather(*written)


@in_a_loop
async def test_what_comes_while_a_write_is_under_way_goes_together_into_the_next_in_order_of_arrival() -> (
    None
):
    bench = Bench()
    _, first = await bench.under_way()
    late = []
    for name in "abc":
        late.append(bench.write(name))
        await turns()
    assert bench.back.under_way == 1
    first.succeed()
    request = await bench.back.request()
    assert request.ids == ["a", "b", "c"]
    request.succeed()
    await asyncio.gather(*late)


@in_a_loop
async def test_a_request_holds_no_more_rows_than_the_limit() -> None:
    bench = Bench(BatchLimits(max_rows=2))
    written = [bench.write(name) for name in "abcde"]
    requests: list[list[str]] = []
    while sum(map(len, requests)) < len(written):
        request = await bench.back.request()
        requests.append(request.ids)
        request.succeed()
    assert requests == [["a", "b"], ["c", "d"], ["e"]]
    await asyncio.gather(*written)


@in_a_loop
async def test_a_request_holds_no_more_bytes_than_the_limit_but_a_larger_row_goes_alone() -> None:
    bench = Bench(BatchLimits(max_bytes=10))
    sizes = {"a": 6, "b": 4, "c": 1, "d": 11, "e": 1}
    written = [bench.write(name, size) for name, size in sizes.items()]
    requests: list[list[str]] = []
    while sum(map(len, requests)) < len(sizes):
        request = await bench.back.request()
        requests.append(request.ids)
        request.succeed()
    assert requests == [["a", "b"], ["c"], ["d"], ["e"]]
    await asyncio.gather(*written)


@in_a_loop
async def test_a_second_write_starts_beside_the_first_once_a_full_request_waits() -> None:
    bench = Bench(BatchLimits(max_rows=2))
    _, first = await bench.under_way()
    bench.write("a")
    await turns()
    assert bench.back.under_way == 1
    bench.write("b")
    assert (await bench.back.request()).ids == ["a", "b"]
    assert not first.answer.done()


@in_a_loop
async def test_no_more_writes_are_under_way_than_the_limit() -> None:
    bench = Bench(BatchLimits(max_rows=1))
    written = [bench.write(str(number)) for number in range(20)]
    await turns()
    assert bench.back.under_way == MAX_WRITES
    while not all(task.done() for task in written):
        (await bench.back.request()).succeed()
        await turns()
        assert bench.back.under_way <= MAX_WRITES


@in_a_loop
async def test_with_little_under_way_no_row_waits_for_another() -> None:
    bench = Bench(sharing=Sharing(few_rows=2, many_rows=1_000))
    for number in range(MAX_WRITES):
        await bench.under_way(str(number))
    bench.write("waits")  # for one of the places, and for no rows
    await turns()
    assert bench.back.under_way == MAX_WRITES


@in_a_loop
async def test_a_write_of_many_rows_has_the_next_ones_gather_until_they_are_many_as_well() -> None:
    bench = Bench(sharing=Sharing(few_rows=2, many_rows=5))
    for number in range(3):
        bench.write(f"large-{number}")
    assert len((await bench.back.request()).rows) == 3
    for number in range(4):
        bench.write(f"next-{number}")
    await turns()
    assert bench.back.under_way == 1
    bench.write("next-4")
    assert len((await bench.back.request()).rows) == 5


@in_a_loop
async def test_a_hung_write_does_not_hold_the_rows_that_come_after_it() -> None:
    bench = Bench()
    hung, _ = await bench.under_way()
    bench.clock.now_s += SLOW_S
    written = bench.write("a")
    await turns()
    assert bench.back.under_way == 1
    bench.clock.now_s += 0.1
    also = bench.write("b")
    second = await bench.back.request()
    assert second.ids == ["a", "b"]
    third = bench.write("c")
    await turns()
    second.succeed()
    (await bench.back.request()).succeed()
    await asyncio.gather(written, also, third)
    assert not hung.done()


@in_a_loop
async def test_a_write_that_follows_a_slow_one_is_not_slow_itself() -> None:
    bench = Bench()
    _, slow = await bench.under_way()
    bench.write("a")
    await turns()
    bench.clock.now_s += 2 * SLOW_S
    slow.succeed()
    assert (await bench.back.request()).ids == ["a"]
    bench.write("b")
    await turns()
    assert bench.back.under_way == 1


@in_a_loop
async def test_each_row_is_answered_by_its_own_verdict_and_stopped_ones_go_again_without_the_culprits() -> (
    None
):
    bench = Bench()
    a, b, c, d = (bench.write(name) for name in "abcd")
    (await bench.back.request()).say(STOPPED, INVALID, STOPPED, FORBIDDEN)
    assert await failures(b, d) == ["row_invalid", "forbidden"]
    again = await bench.back.request()
    assert again.ids == ["a", "c"]
    assert not bench.attempts  # at once
    again.succeed()
    assert await failures(a, c) == [None, None]
    assert bench.counted == {"insert_requests": 2, "insert_rows": 4, "insert_rows_resent": 2}


@in_a_loop
async def test_new_rows_do_not_join_stopped_ones_and_do_not_wait_for_them() -> None:
    bench = Bench()
    bench.write("a")
    bench.write("bad")
    first = await bench.back.request()
    bench.write("new")
    await turns()
    first.say(STOPPED, INVALID)
    assert (await bench.back.request()).ids == ["a"]
    assert (await bench.back.request()).ids == ["new"]


@in_a_loop
async def test_a_row_with_a_passing_error_goes_again_after_a_growing_delay_and_its_neighbours_at_once() -> (
    None
):
    bench = Bench()
    busy, stopped = bench.write("busy"), bench.write("stopped")
    (await bench.back.request()).say(BUSY, STOPPED)
    at_once = await bench.back.request()
    assert at_once.ids == ["stopped"]
    at_once.succeed()
    later = await bench.back.request()
    assert later.ids == ["busy"]
    later.say(BUSY)
    (await bench.back.request()).succeed()
    assert await failures(busy, stopped) == [None, None]
    assert bench.attempts == [1, 2]


@in_a_loop
async def test_stopped_rows_without_a_culprit_go_again_after_a_delay_and_not_for_ever_at_once() -> None:
    bench = Bench()
    written = bench.write("a"), bench.write("b")
    (await bench.back.request()).say(STOPPED, STOPPED)
    (await bench.back.request()).succeed()
    assert await failures(*written) == [None, None]
    assert bench.attempts == [1]


@in_a_loop
async def test_a_caller_that_cannot_wait_for_the_next_attempt_gets_the_error_now() -> None:
    bench = Bench(delay_s=3600.0)
    written = bench.write("a")
    (await bench.back.request()).say(BUSY)
    assert await failures(written) == ["busy"]


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (BUSY, TransientError, "busy"),
        (FORBIDDEN, FaultError, "forbidden"),
        (KeyError("value of a row"), FaultError, "unexpected_error"),
        (INVALID, FaultError, "unexpected_error"),  # no request is to be dead-lettered as a whole
    ],
    ids=["transient", "fault", "defect", "bad-event"],
)
def test_a_failed_write_releases_all_of_its_callers_and_the_next_rows_are_written(
    error: Exception, kind: type, reason: str
) -> None:
    async def check() -> None:
        bench = Bench()
        written = [bench.write(name) for name in "abc"]
        request = await bench.back.request()
        late = bench.write("late")
        request.fail(error)
        errors = [await failure(each) for each in written]
        assert {type(each) for each in errors} == {kind}
        assert {each.reason for each in errors if each} == {reason}
        assert "value" not in str(errors[0])
        assert len(set(map(id, errors))) == 3  # one each: a raised exception is its catcher's own
        (await bench.back.request()).succeed()
        assert await failure(late) is None

    run(check())


@in_a_loop
async def test_an_answer_with_too_few_verdicts_is_a_defect_and_no_row_counts_as_written() -> None:
    bench = Bench()
    written = bench.write("a"), bench.write("b")
    (await bench.back.request()).say(None)
    assert await failures(*written) == ["unexpected_error", "unexpected_error"]


@in_a_loop
async def test_a_write_that_is_cancelled_releases_its_callers_and_those_in_line() -> None:
    bench = Bench()
    first, request = await bench.under_way()
    waiting = bench.write("waiting")
    await turns()
    request.answer.cancel()
    assert await failures(first, waiting) == ["write_interrupted", "write_interrupted"]
    after = bench.write("after")
    (await bench.back.request()).succeed()
    assert await failure(after) is None


@in_a_loop
async def test_a_write_that_is_cancelled_releases_those_whose_turn_to_be_sent_again_had_not_come() -> None:
    bench = Bench()
    written = [bench.write(name) for name in "abcdefgh"]
    (await bench.back.request()).fail(RefusedError(TOO_LARGE))
    halves = [await bench.back.request(), await bench.back.request()]
    for half in halves:
        half.fail(RefusedError(TOO_LARGE))
    cancelled, *others = [await bench.back.request() for _ in range(MAX_RESENDS)]
    cancelled.answer.cancel()
    await turns()
    for other in others:
        other.succeed()
    assert await failures(*written) == ["write_interrupted"] * 2 + [None] * 4 + ["write_interrupted"] * 2


@in_a_loop
async def test_a_write_that_is_cancelled_before_its_first_step_releases_its_callers() -> None:
    bench = Bench()
    written = bench.write("a")
    known = asyncio.all_tasks()
    await turns(2)  # one to join the line, one to start the writer, whose own turn would be the third
    (writer,) = asyncio.all_tasks() - known
    writer.cancel()
    assert await failures(written) == ["write_interrupted"]
    assert bench.back.arrived.empty()


@in_a_loop
async def test_a_caller_that_is_cancelled_in_line_takes_its_row_along() -> None:
    bench = Bench()
    _, first = await bench.under_way()
    leaves, stays = bench.write("leaves"), bench.write("stays")
    await turns()
    leaves.cancel()
    await turns()
    first.succeed()
    request = await bench.back.request()
    assert request.ids == ["stays"]
    request.succeed()
    await stays
    assert leaves.cancelled()


def test_the_outcome_of_a_row_whose_caller_has_left_is_dropped_without_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check() -> None:
        bench = Bench()
        left, request = await bench.under_way()
        left.cancel()
        await turns()
        request.fail(BUSY)
        await turns()
        stopped, request = await bench.under_way()
        stopped.cancel()
        await turns()
        request.say(BUSY)  # no caller waits for it: it is not sent again
        await turns()
        assert bench.back.arrived.empty()
        assert left.cancelled()
        assert stopped.cancelled()

    with caplog.at_level(logging.DEBUG, "asyncio"):
        run(check(), debug=True)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@in_a_loop
async def test_a_caller_out_of_time_is_released_and_its_row_not_sent() -> None:
    bench = Bench()
    first, request = await bench.under_way()
    late = bench.write("late", within_s=0.001)
    error = await failure(late)
    assert isinstance(error, TransientError)
    assert error.reason == "write_timeout"
    request.succeed()
    await first
    await turns()
    assert bench.back.arrived.empty()


@in_a_loop
async def test_a_caller_out_of_time_is_released_while_its_row_is_under_way_and_its_neighbours_wait_on() -> (
    None
):
    bench = Bench()
    late, patient = bench.write("late", within_s=0.001), bench.write("patient")
    request = await bench.back.request()
    assert await failures(late) == ["write_timeout"]
    request.succeed()
    assert await failure(patient) is None


@in_a_loop
async def test_a_caller_without_time_gets_the_error_at_once() -> None:
    bench = Bench()
    assert await failures(bench.write("a", within_s=0.0)) == ["write_timeout"]
    await turns()
    assert bench.back.arrived.empty()


@in_a_loop
async def test_a_write_has_as_long_as_its_most_patient_row_and_no_longer_than_the_limit() -> None:
    bench = Bench()
    bench.write("a", within_s=2.0)
    bench.write("b", within_s=5.0)
    request = await bench.back.request()
    assert 2.0 < request.deadline.left_s() <= 5.0
    bench.write("c", within_s=500.0)
    request.succeed()
    assert (await bench.back.request()).deadline.left_s() <= MAX_WRITE_S


@in_a_loop
async def test_rows_of_one_id_that_wait_together_are_sent_once_and_both_callers_are_answered() -> None:
    bench = Bench()
    written = bench.write("same", text="one"), bench.write("same", text="two")
    request = await bench.back.request()
    assert [row.columns["text"] for row in request.rows] == ["one"]
    request.succeed()
    assert await failures(*written) == [None, None]


@in_a_loop
async def test_a_bad_row_does_not_condemn_another_event_that_bears_its_id() -> None:
    bench = Bench()
    bad, good = bench.write("same", text="bad"), bench.write("same", text="good")
    (await bench.back.request()).say(INVALID)
    assert await failures(bad) == ["row_invalid"]
    request = await bench.back.request()
    assert [row.columns["text"] for row in request.rows] == ["good"]
    request.succeed()
    assert await failure(good) is None


@in_a_loop
async def test_of_two_callers_with_one_id_the_one_that_leaves_takes_only_its_own_row() -> None:
    bench = Bench(BatchLimits(max_bytes=100))
    _, first = await bench.under_way()
    leaves, stays = bench.write("same", 90, text="one"), bench.write("same", 1, text="two")
    await turns()
    leaves.cancel()
    await turns()
    bench.write("other", 99)  # fits beside a row of 1 byte, not beside one of 90
    await turns()
    first.succeed()
    request = await bench.back.request()
    assert [row.columns["text"] for row in request.rows] == ["two", ""]
    request.succeed()
    await stays


@in_a_loop
async def test_a_request_that_is_refused_as_a_whole_is_halved_until_the_culprit_is_found() -> None:
    bench = Bench()
    written = {name: bench.write(name) for name in "abcdefgh"}
    requests = 0
    while not all(task.done() for task in written.values()):
        request = await bench.back.request()
        requests += 1
        if "f" in request.ids:
            request.fail(RefusedError(TOO_LARGE))
        else:
            request.succeed()
        await turns()
    assert await failures(*written.values()) == [*[None] * 5, "row_too_large", None, None]
    assert requests == 1 + 2 * 3


@in_a_loop
async def test_a_single_row_that_is_refused_has_the_refusals_verdict() -> None:
    bench = Bench()
    written = bench.write("a")
    (await bench.back.request()).fail(RefusedError(FORBIDDEN))
    error = await failure(written)
    assert isinstance(error, FaultError)
    assert error.reason == "forbidden"
