"""One call for all who ask for the same at once; the end of one is not another's."""

import asyncio
import traceback
from collections.abc import Coroutine
from typing import Any

import meshpass
import pytest
from enrichment.errors import FaultError, Stage
from enrichment.lookup.single_flight import SingleFlight
from hypothesis import given
from hypothesis import strategies as st


def soon() -> meshpass.Deadline:
    """A deadline that passes while the test looks on."""
    return meshpass.Deadline.after(0.005)


def late() -> meshpass.Deadline:
    return meshpass.Deadline.after(30)


class Calls:
    """Calls that go on until they are let go, and that tell how they ended."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.under_way = asyncio.Event()
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def make(self, key: str) -> str:
        self.begun.append(key)
        self.under_way.set()
        try:
            # Shielded: to be cancelled, as a call may be, must not cancel what another test step still sets.
            return await asyncio.shield(self.answer)
        except asyncio.CancelledError:
            self.cancelled.append(key)
            raise


def join(
    single_flight: SingleFlight[str, str], calls: Calls, deadline: meshpass.Deadline | None = None
) -> "asyncio.Task[tuple[str, bool]]":
    return asyncio.create_task(single_flight.join("k", lambda: calls.make("k"), deadline or late()))


def test_a_thousand_who_ask_at_once_share_one_call() -> None:
    async def scene() -> None:
        single_flight, calls = SingleFlight[str, str](), Calls()
        asking = [join(single_flight, calls) for _ in range(1000)]
        await calls.under_way.wait()
        calls.answer.set_result("value")
        answers = await asyncio.gather(*asking)
        assert answers == [("value", False)] + [("value", True)] * 999
        assert calls.begun == ["k"]
        assert len(single_flight) == 0

    asyncio.run(scene())


def test_who_asks_after_the_answer_begins_a_new_call() -> None:
    async def scene() -> None:
        single_flight, calls = SingleFlight[str, str](), Calls()
        calls.answer.set_result("value")
        assert await join(single_flight, calls) == ("value", False)
        assert await join(single_flight, calls) == ("value", False)
        assert calls.begun == ["k", "k"]

    asyncio.run(scene())


def test_a_caller_that_is_cancelled_cancels_no_other_not_even_the_first_one() -> None:
    async def scene() -> None:
        single_flight, calls = SingleFlight[str, str](), Calls()
        asking = [join(single_flight, calls) for _ in range(3)]
        await calls.under_way.wait()
        asking[0].cancel()
        asking[2].cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking[0]
        calls.answer.set_result("value")
        assert await asking[1] == ("value", True)
        assert calls.begun == ["k"]

    asyncio.run(scene())


def test_a_caller_that_runs_out_of_time_cancels_no_other() -> None:
    async def scene() -> None:
        single_flight, calls = SingleFlight[str, str](), Calls()
        first, second = join(single_flight, calls, soon()), join(single_flight, calls)
        with pytest.raises(TimeoutError):
            await first
        assert not calls.cancelled
        calls.answer.set_result("value")
        assert await second == ("value", True)

    asyncio.run(scene())


def test_who_has_no_time_left_begins_nothing() -> None:
    async def scene() -> None:
        single_flight, calls = SingleFlight[str, str](), Calls()
        with pytest.raises(TimeoutError):
            await join(single_flight, calls, meshpass.Deadline.after(0))
        assert (calls.begun, len(single_flight)) == ([], 0)

    asyncio.run(scene())


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_when_the_last_caller_leaves_the_call_ends_and_the_next_one_is_new(how: str) -> None:
    async def scene() -> None:
        single_flight, calls = SingleFlight[str, str](), Calls()
        asking = [join(single_flight, calls, soon() if how == "timed out" else late()) for _ in range(2)]
        await calls.under_way.wait()
        if how == "cancelled":
            for task in asking:
                task.cancel()
        ends = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(end) for end in ends] == [
            TimeoutError if how == "timed out" else asyncio.CancelledError
        ] * 2
        assert (
            len(single_flight) == 0
        )  # forgotten at once, though the call has yet to see that it is cancelled
        again = join(single_flight, calls)
        calls.answer.set_result("value")
        assert await again == ("value", False)
        assert calls.cancelled == ["k"]
        assert calls.begun == ["k", "k"]

    asyncio.run(scene())


def test_a_caller_cancelled_before_the_call_has_begun_leaves_nothing_behind() -> None:
    async def scene() -> None:
        single_flight, calls = SingleFlight[str, str](), Calls()

        async def ask_and_leave() -> None:
            asking = asyncio.create_task(single_flight.join("k", lambda: calls.make("k"), late()))
            asyncio.get_running_loop().call_soon(asking.cancel)
            await asking

        with pytest.raises(asyncio.CancelledError):
            await ask_and_leave()
        assert len(single_flight) == 0

    asyncio.run(scene())


class _OddError(Exception):
    """One whose arguments are not those of its constructor."""

    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(f"{code} {hint}")
        self.code = code
        self.hint = hint


@pytest.mark.parametrize("kind", ["enrichment", "odd", "os"])
def test_everybody_gets_an_exception_of_their_own_that_tells_the_same(kind: str) -> None:
    async def scene() -> None:
        single_flight, calls = SingleFlight[str, str](), Calls()
        raised: Exception = {
            "enrichment": FaultError(Stage.LOOKUP, "no_route", "mend it"),
            "odd": _OddError(7, hint="look"),
            "os": ConnectionResetError(104, "reset"),
        }[kind]
        asking = [join(single_flight, calls) for _ in range(50)]
        await calls.under_way.wait()
        calls.answer.set_exception(raised)
        ends = await asyncio.gather(*asking, return_exceptions=True)
        depths = set()
        for end in ends:
            assert isinstance(end, Exception)
            assert type(end) is type(raised)
            assert (str(end), vars(end)) == (str(raised), vars(raised))
            assert end.__cause__ is raised
            depths.add(len(traceback.extract_tb(end.__traceback__)))
        assert len({id(end) for end in ends}) == 50
        assert len(depths) == 1  # no traceback holds another caller's frames

    asyncio.run(scene())


def test_a_failure_that_no_caller_waits_for_any_more_is_not_reported_as_lost() -> None:
    reports: list[dict[str, Any]] = []

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        single_flight = SingleFlight[str, str]()
        asking: list[asyncio.Task[tuple[str, bool]]] = []

        async def fail_as_the_caller_leaves() -> str:
            asking[0].cancel()
            raise ValueError

        asking.append(asyncio.create_task(single_flight.join("k", fail_as_the_caller_leaves, late())))
        with pytest.raises(asyncio.CancelledError):
            await asking[0]
        assert len(single_flight) == 0

    asyncio.run(scene())
    assert not reports


def test_the_end_of_the_loop_ends_calls_and_callers_without_a_word() -> None:
    async def scene() -> None:
        single_flight, calls = SingleFlight[str, str](), Calls()
        left_behind.append(join(single_flight, calls))
        await calls.under_way.wait()

    left_behind: list[asyncio.Task[tuple[str, bool]]] = []
    asyncio.run(scene())
    assert left_behind[0].cancelled()


_act = st.tuples(
    st.sampled_from(["ask", "ask", "ask", "cancel", "answer", "fail", "turn"]),
    st.sampled_from("ab"),
    st.integers(0, 9),
)


@given(st.lists(_act, max_size=40))
def test_everybody_gets_the_end_of_one_call_for_their_own_key(acts: list[tuple[str, str, int]]) -> None:
    async def scene() -> None:
        single_flight = SingleFlight[str, tuple[str, int]]()
        held: dict[tuple[str, int], asyncio.Future[None]] = {}  # calls under way
        begun: dict[str, int] = {"a": 0, "b": 0}

        async def call(key: str) -> tuple[str, int]:
            name = (key, begun[key])
            begun[key] += 1
            assert not any(other == key for other, _ in held), "two calls for one key at once"
            held[name] = asyncio.get_running_loop().create_future()
            try:
                await held[name]
            except ValueError:
                raise ValueError(name) from None
            finally:
                del held[name]
            return name

        def asking_for(key: str) -> Coroutine[Any, Any, tuple[tuple[str, int], bool]]:
            return single_flight.join(key, lambda: call(key), late())

        asked: list[tuple[str, asyncio.Task[tuple[tuple[str, int], bool]]]] = []
        cancelled = set()
        for act, key, which in acts:
            if act == "ask":
                asked.append((key, asyncio.create_task(asking_for(key))))
            elif act == "cancel" and which < len(asked):
                if asked[which][1].cancel():
                    cancelled.add(which)
            elif act in ("answer", "fail"):
                for (other, _), future in held.items():
                    if other == key and not future.done():
                        future.set_result(None) if act == "answer" else future.set_exception(ValueError)
            else:
                for _ in range(which):
                    await asyncio.sleep(0)  # one turn of the loop
        while not all(task.done() for _, task in asked):
            for future in held.values():
                if not future.done():
                    future.set_result(None)
            await asyncio.sleep(0)
        firsts = 0
        for number, (key, task) in enumerate(asked):
            if task.cancelled():
                assert number in cancelled  # no other caller's cancellation
                continue
            error = task.exception()
            if error is not None:
                assert isinstance(error, ValueError)
                assert error.args[0][0] == key
                continue
            (answered, _), joined = task.result()
            assert answered == key
            firsts += not joined
        assert firsts <= sum(begun.values()) <= len(asked)
        assert len(single_flight) == 0

    asyncio.run(scene())
