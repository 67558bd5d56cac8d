"""The connections of a driver close before its event loop ends, whatever one of them does."""

import asyncio

from enrichment.closing import CLOSE_S, close_all

from . import virtual_time


def test_an_error_of_one_keeps_no_other_open() -> None:
    closed = []

    async def broken() -> None:
        raise OSError("reset")

    async def closes() -> None:
        await asyncio.sleep(0)
        closed.append("one")

    virtual_time.run(close_all([broken, closes]))

    assert closed == ["one"]


def test_one_that_never_closes_is_waited_for_no_longer_than_the_limit() -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    async def ended_at_s() -> float:
        began_s = asyncio.get_running_loop().time()
        await close_all([hangs])
        return asyncio.get_running_loop().time() - began_s

    assert round(virtual_time.run(ended_at_s()), 3) == CLOSE_S
