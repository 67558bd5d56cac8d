"""N in, N out: whatever comes, fails, leaves or shares an id, every caller is released once, with its own verdict."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import meshpass
from enrichment.errors import BadEventError, EnrichmentError, FaultError, Stage, TransientError
from enrichment.row import Row
from enrichment.settings.model import BatchLimits
from enrichment.sink.group_commit import GroupCommit
from enrichment.sink.when_to_write import (
    FIRST_DELAY_S,
    MAX_DELAY_S,
    MAX_RESENDS,
    MAX_WRITES,
    SHARING,
    RefusedError,
    Sharing,
    StoppedError,
    Write,
    jittered_delay_s,
    may_resend,
    may_write,
)
from hypothesis import given
from hypothesis import strategies as st

LIMITS = BatchLimits(max_rows=3, max_bytes=10)


class Nature(Enum):
    """What a row is like."""

    GOOD = "good"
    BAD = "bad"
    SPOILS = "spoils its request"
    BUSY_ONCE = "cannot be written the first time"


class Luck(Enum):
    """What becomes of a request, besides what is in it."""

    NONE = "no luck needed"
    OUTAGE = "transient error"
    FAULT = "fault"
    DEFECT = "defect"


@dataclass(frozen=True)
class Arrive:
    name: str
    size_bytes: int
    nature: Nature


@dataclass(frozen=True)
class LookupResult:
    which: int
    luck: Luck


@dataclass(frozen=True)
class Leave:
    which: int


class Turn:
    """The loop turns once."""


arrivals = st.builds(Arrive, st.sampled_from("abcde"), st.integers(1, 12), st.sampled_from(Nature))
answers = st.builds(LookupResult, st.integers(0, 3), st.sampled_from(Luck))
lucky_answers = st.builds(LookupResult, st.integers(0, 3), st.just(Luck.NONE))
leaves = st.builds(Leave, st.integers(0, 30))
turns = st.builds(Turn)


@dataclass
class HeldWrite:
    rows: Sequence[Row]
    luck: "asyncio.Future[Luck]"


@dataclass
class Back:
    """A back end that answers when the test says so, and by the nature of the rows."""

    held: list[HeldWrite] = field(default_factory=list)
    sent: Counter[int] = field(default_factory=Counter)
    durable: set[int] = field(default_factory=set)

    async def insert(self, rows: Sequence[Row], _: meshpass.Deadline) -> Sequence[EnrichmentError | None]:
        assert len(rows) <= LIMITS.max_rows
        assert len(rows) == 1 or sum(row.size_bytes for row in rows) <= LIMITS.max_bytes
        assert len({row.insert_id for row in rows}) == len(rows)
        held = HeldWrite(rows, asyncio.get_running_loop().create_future())
        self.held.append(held)
        assert len(self.held) <= MAX_WRITES
        luck = await held.luck
        self.held.remove(held)
        for row in rows:
            self.sent[number_of(row)] += 1
        return self._answer(rows, luck)

    def _answer(self, rows: Sequence[Row], luck: Luck) -> Sequence[EnrichmentError | None]:
        if luck is Luck.OUTAGE:
            raise TransientError(Stage.WRITE, "outage", "")
        if luck is Luck.FAULT:
            raise FaultError(Stage.WRITE, "fault", "")
        if luck is Luck.DEFECT:
            raise ZeroDivisionError
        if any(nature_of(row) is Nature.SPOILS for row in rows):
            raise RefusedError(BadEventError(Stage.WRITE, f"spoilt-{number_of(rows[0])}", ""))
        found = [self._judge(row) for row in rows]
        if found == [None] * len(rows):
            self.durable.update(map(number_of, rows))
            return found
        return [error or StoppedError(Stage.WRITE, "stopped", "") for error in found]

    def _judge(self, row: Row) -> EnrichmentError | None:
        if nature_of(row) is Nature.BAD:
            return BadEventError(Stage.WRITE, f"bad-{number_of(row)}", "")
        if nature_of(row) is Nature.BUSY_ONCE and self.sent[number_of(row)] == 1:
            return TransientError(Stage.WRITE, "busy", "")
        return None

    def tell(self, which: int, luck: Luck) -> None:
        waiting = [held for held in self.held if not held.luck.done()]
        if waiting:
            waiting[which % len(waiting)].luck.set_result(luck)


def number_of(row: Row) -> int:
    number = row.columns["number"]
    assert isinstance(number, int)
    return number


def nature_of(row: Row) -> Nature:
    return Nature(row.columns["nature"])


@dataclass
class Caller:
    row: Row
    task: "asyncio.Task[None]"

    @property
    def reason(self) -> str | None:
        """Why its row was not written, or None if it was."""
        error = self.task.exception()
        assert error is None or isinstance(error, EnrichmentError)
        return error.reason if error else None


async def play(
    steps: Sequence[Arrive | LookupResult | Leave | Turn], sharing: Sharing
) -> tuple[Back, list[Caller]]:
    back = Back()
    groups = GroupCommit(back.insert, LIMITS, delay_s=lambda _: 0.0, sharing=sharing)
    callers: list[Caller] = []
    for step in steps:
        match step:
            case Arrive(name, size_bytes, nature):
                row = Row(name, {"number": len(callers), "nature": nature.value}, size_bytes)
                task = asyncio.create_task(groups.write(row, meshpass.Deadline.after(60)))
                callers.append(Caller(row, task))
            case LookupResult(which, luck):
                back.tell(which, luck)
            case Leave(which) if callers:
                callers[which % len(callers)].task.cancel()
            case _:
                await asyncio.sleep(0)
    everybody = asyncio.gather(*(caller.task for caller in callers), return_exceptions=True)
    while not everybody.done():
        back.tell(0, Luck.NONE)
        await asyncio.sleep(0)
    return back, callers


def run(steps: Sequence[Arrive | LookupResult | Leave | Turn], sharing: Sharing) -> tuple[Back, list[Caller]]:
    async def bounded() -> tuple[Back, list[Caller]]:
        async with asyncio.timeout(30):  # a caller that is never released is to fail the test, not to hang it
            return await play(steps, sharing)

    return asyncio.run(bounded())


sharings = st.sampled_from([Sharing(few_rows=0, many_rows=1_000), Sharing(few_rows=1, many_rows=4), SHARING])


@given(st.lists(st.one_of(arrivals, arrivals, turns, answers, lucky_answers, leaves), max_size=60), sharings)
def test_every_caller_is_released_with_a_verdict_of_its_own(
    steps: list[Arrive | LookupResult | Leave | Turn],
    sharing: Sharing,
) -> None:
    back, callers = run(steps, sharing)
    for number, caller in enumerate(callers):
        if caller.task.cancelled():
            continue
        assert caller.task.done()
        reason = caller.reason
        if reason is None:  # its row is durable, or that of an event with the same id
            assert any(callers[other].row.insert_id == caller.row.insert_id for other in back.durable)
        elif reason.startswith(("bad-", "spoilt-")):
            assert reason.endswith(f"-{number}")
        else:
            assert reason in ("outage", "fault", "unexpected_error")


@given(st.lists(st.one_of(arrivals, arrivals, turns, lucky_answers), max_size=60), sharings)
def test_without_an_outage_every_good_row_is_written_and_every_bad_one_is_called_so(
    steps: list[Arrive | LookupResult | Leave | Turn],
    sharing: Sharing,
) -> None:
    back, callers = run(steps, sharing)
    by_name: dict[str, list[Nature]] = {}
    for caller in callers:
        by_name.setdefault(caller.row.insert_id, []).append(nature_of(caller.row))
    for number, caller in enumerate(callers):
        if nature_of(caller.row) in (Nature.GOOD, Nature.BUSY_ONCE):
            assert caller.reason is None
        elif len(by_name[caller.row.insert_id]) == 1:
            assert caller.reason in (f"bad-{number}", f"spoilt-{number}")
    good = (Nature.GOOD, Nature.BUSY_ONCE)
    assert {name for name, natures in by_name.items() if set(natures) & set(good)} == {
        callers[number].row.insert_id for number in back.durable
    }


writes_under_way = st.lists(st.builds(Write, st.integers(1, 50), st.floats(0, 100)), max_size=6)
counts = st.integers(0, 6)


@given(writes_under_way, counts, st.integers(1, 50), st.booleans())
def test_a_write_starts_beside_others_only_where_waiting_gains_nothing(
    writes: list[Write], resending: int, waiting: int, full: bool
) -> None:
    may = may_write(writes, resending, waiting, full, SHARING)
    enough = full or waiting >= SHARING.many_rows
    kept_waiting = [
        write for write in writes if write.rows > SHARING.few_rows and write.age_s <= SHARING.slow_s
    ]
    assert may == (len(writes) + resending < MAX_WRITES and (enough or not kept_waiting))


@given(counts, counts)
def test_sending_again_leaves_a_place_for_new_rows(writing: int, resending: int) -> None:
    may = may_resend(writing, resending)
    assert may == (resending < MAX_RESENDS and writing + resending < MAX_WRITES)
    if may and not writing:
        assert may_write([], resending + 1, 1, False, SHARING)


@given(st.integers(1, 60))
def test_the_delay_before_another_attempt_grows_within_bounds(attempt: int) -> None:
    assert 0 <= jittered_delay_s(attempt) <= min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** (attempt - 1))
