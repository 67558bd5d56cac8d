"""Single flight: one call for all callers that ask for the same at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

import meshpass

from enrichment.errors import copy_error

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Calls under way, by key.

    A call is a task of its own. A caller that is cancelled or runs out of time leaves, and the others go on. When the
    last one has left, the call is cancelled and forgotten at once, so that no work goes on without a caller. The next
    caller begins a new call. The cancelled one ends without a value, and so cannot overwrite what the new one found.
    """

    def __init__(self) -> None:
        self._calls: dict[K, _Call[V]] = {}
        self._ending: set[asyncio.Task[V]] = set()  # cancelled; the loop itself holds tasks weakly

    def __len__(self) -> int:
        return len(self._calls)

    async def join(
        self, key: K, start: Callable[[], Coroutine[Any, Any, V]], deadline: meshpass.Deadline
    ) -> tuple[V, bool]:
        """Wait for the call of a key, and begin it where there is none.

        Args:
            key: What is asked for.
            start: Begins a call; it bounds its own time. It runs in the context of the caller that it is begun
                for, as a part of that caller's trace.
            deadline: How long this caller waits.

        Returns:
            The call's value, and whether it was under way already.

        Raises:
            TimeoutError: the deadline passed.
            Exception: what the call raised: for each caller an exception of its own, with the call's as its
                cause. A shared one would gather every caller's traceback.
        """
        left_s = deadline.left_s()
        if left_s <= 0:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        call = self._calls.get(key)
        joined = call is not None
        if call is None:
            call = self._calls[key] = _Call(loop.create_task(start()))
            call.task.add_done_callback(lambda _: self._land(key, call))
        waiter: asyncio.Future[None] = loop.create_future()
        call.waiters.add(waiter)
        timer = loop.call_later(left_s, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            call.waiters.discard(waiter)
            if not call.waiters and not call.task.done():
                self._forget(key, call)
                self._ending.add(call.task)
                call.task.cancel()
        if not call.task.done():
            raise TimeoutError
        error = call.task.exception()
        if error is not None:
            raise copy_error(error) from error
        return call.task.result(), joined

    def _land(self, key: K, call: "_Call[V]") -> None:
        self._forget(key, call)
        self._ending.discard(call.task)
        cancelled = call.task.cancelled()
        for waiter in call.waiters:
            if cancelled:
                waiter.cancel()  # the loop ends, and the callers with it
            else:
                _wake(waiter)
        if not cancelled:
            call.task.exception()  # seen, even if the last caller left in this very moment

    def _forget(self, key: K, call: "_Call[V]") -> None:
        if self._calls.get(key) is call:
            del self._calls[key]


class _Call(Generic[V]):
    __slots__ = ("task", "waiters")

    def __init__(self, task: asyncio.Task[V]) -> None:
        self.task = task
        self.waiters: set[asyncio.Future[None]] = set()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
