"""Time limit of one request of asyncio code."""

import asyncio
from types import TracebackType


class TimeLimit:
    """`asyncio.timeout` in half of its processor time: without coroutines of its own, and never rescheduled.

    Args:
        seconds: When to end the block, from its beginning.
    """

    __slots__ = ("_cancelling", "_expired", "_seconds", "_task", "_timer")

    _task: "asyncio.Task[object]"
    _timer: asyncio.TimerHandle
    _cancelling: int

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a request can be sent in a task alone")
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = loop.call_later(self._seconds, self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the limit.

        Raises:
            TimeoutError: the time was up. A cancellation by other code, even at the same time, passes as it is.
        """
        self._timer.cancel()
        if (
            self._expired
            and self._task.uncancel() <= self._cancelling
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        ):
            raise TimeoutError from exc

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()
