"""The time limit of a request ends as `asyncio.timeout` does, which is the reference."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from meshpass._http.time_limit import TimeLimit

_SOON_S = 0.01
_NEVER_S = 60.0

Limited = Callable[[float, Callable[[], Awaitable[object]]], Awaitable[object]]


async def by_asyncio(seconds: float, block: Callable[[], Awaitable[object]]) -> object:
    async with asyncio.timeout(seconds):
        return await block()


async def by_time_limit(seconds: float, block: Callable[[], Awaitable[object]]) -> object:
    with TimeLimit(seconds):
        return await block()


async def ends_in_time(limited: Limited) -> object:
    return await limited(_NEVER_S, lambda: asyncio.sleep(0, "done"))


async def takes_too_long(limited: Limited) -> object:
    return await limited(_SOON_S, lambda: asyncio.sleep(_NEVER_S))


async def has_no_time(limited: Limited) -> object:
    return await limited(-1.0, lambda: asyncio.sleep(_NEVER_S))


async def fails(limited: Limited) -> object:
    async def block() -> None:
        raise LookupError("its own")

    return await limited(_NEVER_S, block)


async def is_cancelled(limited: Limited) -> object:
    task = asyncio.ensure_future(limited(_NEVER_S, lambda: asyncio.sleep(_NEVER_S)))
    await asyncio.sleep(0)
    task.cancel("by other code")
    return await task


async def is_cancelled_when_its_time_is_up(limited: Limited) -> object:
    """Cancel the task in the same turn of the loop in which the limit does."""

    async def block() -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await asyncio.sleep(_NEVER_S)
        finally:
            task.cancel()  # while the limit's own cancellation is on its way out

    task = asyncio.ensure_future(limited(_SOON_S, block))
    return await task


async def swallows_the_cancellation(limited: Limited) -> object:
    async def block() -> str:
        try:
            await asyncio.sleep(_NEVER_S)
        except asyncio.CancelledError:
            return "went on"
        return "was not cancelled"

    found = await limited(_SOON_S, block)
    task = asyncio.current_task()
    assert task is not None
    return found, task.cancelling()


async def fails_after_its_time(limited: Limited) -> object:
    async def block() -> None:
        try:
            await asyncio.sleep(_NEVER_S)
        finally:
            raise LookupError("its own")

    return await limited(_SOON_S, block)


async def ends_within_a_shorter_one(limited: Limited) -> object:
    """Let the outer limit end first: the inner one must not take the cancellation for its own."""
    return await limited(_SOON_S, lambda: limited(_NEVER_S, lambda: asyncio.sleep(_NEVER_S)))


async def is_the_shorter_one(limited: Limited) -> object:
    async def block() -> str:
        try:
            await limited(_SOON_S, lambda: asyncio.sleep(_NEVER_S))
        except TimeoutError:
            await asyncio.sleep(0)  # the task is not cancelled any more
        return "went on"

    return await limited(_NEVER_S, block)


SCENARIOS = [
    ends_in_time,
    takes_too_long,
    has_no_time,
    fails,
    is_cancelled,
    is_cancelled_when_its_time_is_up,
    swallows_the_cancellation,
    fails_after_its_time,
    ends_within_a_shorter_one,
    is_the_shorter_one,
]


def _outcome(scenario: Callable[[Limited], Any], limited: Limited, make_loop: Callable[[], Any]) -> object:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        try:
            return runner.run(scenario(limited))
        except BaseException as error:  # noqa: BLE001 - a cancellation is an outcome
            cause = error.__cause__
            return type(error), str(error), type(cause)


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_it_ends_as_asyncios_own_does(
    scenario: Callable[[Limited], Any], make_loop: Callable[[], Any]
) -> None:
    expected = _outcome(scenario, by_asyncio, make_loop)

    assert _outcome(scenario, by_time_limit, make_loop) == expected


def test_it_needs_a_task() -> None:
    loop = asyncio.new_event_loop()
    found: list[object] = []

    def outside_a_task() -> None:
        try:
            with TimeLimit(_NEVER_S):
                pass
        except RuntimeError as error:
            found.append(error)
        loop.stop()

    loop.call_soon(outside_a_task)
    loop.run_forever()
    loop.close()

    assert len(found) == 1
